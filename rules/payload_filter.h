// SPDX-License-Identifier: GPL-2.0-or-later
// The packet filter that tells pure acknowledgements from the rest, as a classic BPF program for
// iptables' `-m bpf --bytecode`. It sees TCP packets from the IP header on.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "conntrack/address.h"

namespace ftpalg::rules {

/// Laid out as struct sock_filter and struct bpf_insn.
struct FilterInstruction {
  std::uint16_t code;
  std::uint8_t jump_if_true;
  std::uint8_t jump_if_false;
  std::uint32_t operand;
};

/// Returns 0 for a pure acknowledgement, that is one without payload, SYN, FIN and RST, and 1 for
/// every other packet. IPv6 packets whose TCP header does not directly follow count as other: to
/// queue too much is harmless, to queue too little is not.
std::span<const FilterInstruction> more_than_acknowledgement(Family family);

/// The program as iptables reads and prints it: "3,48 0 0 6,6 0 0 1,6 0 0 0".
std::string bytecode(std::span<const FilterInstruction> program);

}  // namespace ftpalg::rules
