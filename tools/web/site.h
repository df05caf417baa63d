// SPDX-License-Identifier: GPL-2.0-or-later
// What is to be seen over HTTP: the page at /, its parts, what it asks for below /api/, and
// /metrics. It remembers nothing.
#pragma once

#include <functional>

#include "conntrack/address.h"
#include "tools/web/gateway_link.h"
#include "tools/web/http_request.h"
#include "tools/web/http_response.h"

namespace ftpalg::tools {

class Site {
 public:
  using Ask = std::function<tl::expected<GatewayLink::Answer, NoAnswer>(const nlohmann::json&)>;

  /// The site of a server that listens on `listen`.
  Site(const Endpoint& listen, Ask ask) : listen_(listen), ask_(std::move(ask)) {}

  HttpResponse respond(const HttpRequest& request) const;

 private:
  bool is_meant(const HttpRequest& request) const;
  HttpResponse answer(const nlohmann::json& question, std::string_view list) const;

  Endpoint listen_;
  Ask ask_;
};

/// Whether a browser that means this machine itself calls it `host`. A page of somebody else's that
/// has the name of its server lead here (DNS rebinding) calls it by that name.
bool names_this_machine(std::string_view host);

}  // namespace ftpalg::tools
