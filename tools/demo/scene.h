// SPDX-License-Identifier: GPL-2.0-or-later
// The demo's little network: a router between a client and a server, both hidden behind NAT. No
// host has a route to an address that it is not meant to see, and the router lets nothing pass but
// control connections and what conntrack takes for established or related.
#pragma once

#include <string_view>

#include "tools/demo/host.h"

namespace ftpalg::tools {

/// What the network looks like, for a person.
extern const std::string_view scene_picture;

/// Where the server really is, and where the client dials it.
inline constexpr const char* server_address = "192.168.7.2";
inline constexpr const char* server_public_address = "203.0.113.21";

struct Scene {
  Host client;
  Host router;
  Host server;

  static tl::expected<Scene, std::string> make();
};

}  // namespace ftpalg::tools
