// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/demo/scene.h"

namespace ftpalg::tools {
namespace {

constexpr const char* client_links = R"(
address add 10.0.0.2/24 dev uplink
route add 203.0.113.21 via 10.0.0.1
)";

constexpr const char* router_links = R"(
address add 10.0.0.1/24 dev to_client
address add 192.168.7.1/24 dev to_server
address add 198.51.100.7/32 dev lo
address add 203.0.113.21/32 dev lo
)";

constexpr const char* server_links = R"(
address add 192.168.7.2/24 dev uplink
route add 198.51.100.7 via 192.168.7.1
)";

constexpr const char* router_firewall = R"(
table ip firewall {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct state new tcp dport 21 accept
  }
  chain prerouting {
    type nat hook prerouting priority dstnat;
    ip daddr 203.0.113.21 tcp dport 21 dnat to 192.168.7.2
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr 10.0.0.2 snat to 198.51.100.7
  }
}
)";

}  // namespace

const std::string_view scene_picture = R"(
     client                        router                       server
    10.0.0.2 ------ 10.0.0.1 [ NAT, firewall ] 192.168.7.1 ------ 192.168.7.2
                       |                           |
       the client dials 203.0.113.21     the server sees 198.51.100.7

)";

tl::expected<Scene, std::string> Scene::make() {
  auto client = Host::make("client");
  if (!client) return tl::unexpected(client.error());
  auto router = Host::make("router");
  if (!router) return tl::unexpected(router.error());
  auto server = Host::make("server");
  if (!server) return tl::unexpected(server.error());
  Scene scene{std::move(*client), std::move(*router), std::move(*server)};

  const auto wire = [&] { return connect(scene.router, "to_client", scene.client, "uplink"); };
  const auto made =
      wire()
          .and_then([&] { return connect(scene.router, "to_server", scene.server, "uplink"); })
          .and_then([&] { return scene.client.ip(client_links); })
          .and_then([&] { return scene.router.ip(router_links); })
          .and_then([&] { return scene.server.ip(server_links); })
          .and_then([&] { return scene.router.set_sysctl("net/ipv4/ip_forward", "1"); })
          .and_then([&] { return scene.router.nft(router_firewall); })
          // The server listens on port 21 without being root.
          .and_then(
              [&] { return scene.server.set_sysctl("net/ipv4/ip_unprivileged_port_start", "21"); });
  if (!made) return tl::unexpected(made.error());
  return scene;
}

}  // namespace ftpalg::tools
