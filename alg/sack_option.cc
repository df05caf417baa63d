// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/sack_option.h"

#include <algorithm>

namespace ftpalg {
namespace {

constexpr std::uint8_t option_end = 0;
constexpr std::uint8_t option_nop = 1;
constexpr std::uint8_t option_sack = 5;
constexpr std::size_t block_bytes = 8;

void shift_option(wire::MutableBytes option, const SeqMap& map) {
  std::size_t written = 2;
  for (std::size_t at = 2; at + block_bytes <= option.size(); at += block_bytes) {
    const auto block =
        map.backward_sack({{wire::read32(option, at)}, {wire::read32(option, at + 4)}});
    if (!block) continue;
    wire::write32(option, written, block->left.number);
    wire::write32(option, written + 4, block->right.number);
    written += block_bytes;
  }
  const bool is_empty = written == 2;
  option[1] = static_cast<std::uint8_t>(written);
  const std::size_t kept = is_empty ? 0 : written;
  std::fill(option.begin() + static_cast<std::ptrdiff_t>(kept), option.end(), option_nop);
}

}  // namespace

void shift_sack_blocks(wire::MutableBytes options, const SeqMap& map) {
  std::size_t at = 0;
  while (at < options.size() && options[at] != option_end) {
    if (options[at] == option_nop) {
      ++at;
      continue;
    }
    if (at + 1 >= options.size()) return;
    const std::size_t length = options[at + 1];
    if (length < 2 || at + length > options.size()) return;
    if (options[at] == option_sack) shift_option(options.subspan(at, length), map);
    at += length;
  }
}

}  // namespace ftpalg
