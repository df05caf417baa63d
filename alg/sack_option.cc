// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/sack_option.h"

#include <algorithm>

#include "alg/tcp_option.h"

namespace ftpalg {
namespace {

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
  std::fill(option.begin() + static_cast<std::ptrdiff_t>(kept), option.end(),
            tcp_option::no_operation);
}

}  // namespace

std::optional<Seq> sacked_end(wire::Bytes options) {
  std::optional<Seq> end;
  tcp_option::visit_all(options, [&](wire::Bytes option) {
    if (option[0] != tcp_option::sack) return;
    for (std::size_t at = 2; at + block_bytes <= option.size(); at += block_bytes) {
      const Seq right{wire::read32(option, at + 4)};
      if (!end || right > *end) end = right;
    }
  });
  return end;
}

void shift_sack_blocks(wire::MutableBytes options, const SeqMap& map) {
  tcp_option::visit_all(options, [&](wire::MutableBytes option) {
    if (option[0] == tcp_option::sack) shift_option(option, map);
  });
}

}  // namespace ftpalg
