// SPDX-License-Identifier: GPL-2.0-or-later
// An answer of HTTP/1.1, which is the last one on its connection.
#pragma once

#include <string>
#include <string_view>

namespace ftpalg::tools {

struct HttpResponse {
  unsigned status = 200;
  std::string_view type = "text/plain; charset=utf-8";
  std::string body;
};

/// What goes over the wire. Browsers are told to show it in no other page, to run no script that is
/// not from here, and to keep nothing. `with_body`: else only what is said of it, as HEAD asks.
std::string bytes_of(const HttpResponse& response, bool with_body);

/// A sentence for a person who sees it in a browser or in the log of Prometheus.
HttpResponse refusal(unsigned status, std::string_view sentence);

}  // namespace ftpalg::tools
