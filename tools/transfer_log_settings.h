// SPDX-License-Identifier: GPL-2.0-or-later
// Where transfers are logged, and how.
#pragma once

#include <cstdint>
#include <string>

namespace ftpalg::tools {

struct TransferLogSettings {
  enum class Place : std::uint8_t { off, journal, standard_error, file };
  enum class Format : std::uint8_t { text, json };
  Place place = Place::off;
  std::string file;  ///< its path
  Format format = Format::text;

  bool operator==(const TransferLogSettings&) const = default;
};

}  // namespace ftpalg::tools
