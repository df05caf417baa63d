// SPDX-License-Identifier: GPL-2.0-or-later
// How people write ranges, pairs and durations, on the command line and in the configuration file
// alike.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "alg/policy.h"
#include "alg/time.h"
#include "conntrack/address.h"

namespace ftpalg::tools {

/// "50000-50999", from 1 to 65535, the lower end first.
std::optional<PortRange> parse_port_range(std::string_view text);

/// "10.0.0.5=203.0.113.5": INSIDE=OUTSIDE, two addresses of one family.
std::optional<ExternalAddress> parse_external_address(std::string_view text);

/// "127.0.0.1:9121" or "[::1]:9121", the port from 1 to 65535.
std::optional<Endpoint> parse_endpoint(std::string_view text);

/// "60s", "10 min", "24h": a whole number and its unit, which is s, min or h.
std::optional<Time> parse_duration(std::string_view text);

/// "512KiB", "64 MiB", "1GiB": a whole number of bytes and its unit.
std::optional<std::size_t> parse_size(std::string_view text);

/// A whole number of KiB as parse_size() reads it, in the largest unit that fits.
std::string size_text(std::size_t bytes);

/// A whole number of seconds as parse_duration() reads it, in the largest unit that fits.
std::string duration_text(Time duration);

}  // namespace ftpalg::tools
