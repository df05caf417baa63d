// SPDX-License-Identifier: GPL-2.0-or-later
#include "rules/payload_filter.h"

#include <fmt/format.h>
#include <linux/filter.h>

#include <array>

namespace ftpalg::rules {
namespace {

// One name per form of instruction, after the mnemonics of bpf_asm(1).
constexpr FilterInstruction ldb(std::uint32_t at) {
  return {BPF_LD | BPF_B | BPF_ABS, 0, 0, at};
}
constexpr FilterInstruction ldh(std::uint32_t at) {
  return {BPF_LD | BPF_H | BPF_ABS, 0, 0, at};
}
constexpr FilterInstruction ldb_x(std::uint32_t at) {
  return {BPF_LD | BPF_B | BPF_IND, 0, 0, at};
}
constexpr FilterInstruction ldx_4_times_low_nibble(std::uint32_t at) {
  return {BPF_LDX | BPF_B | BPF_MSH, 0, 0, at};
}
constexpr FilterInstruction and_with(std::uint32_t mask) {
  return {BPF_ALU | BPF_AND | BPF_K, 0, 0, mask};
}
constexpr FilterInstruction shift_right(std::uint32_t bits) {
  return {BPF_ALU | BPF_RSH | BPF_K, 0, 0, bits};
}
constexpr FilterInstruction add_x() {
  return {BPF_ALU | BPF_ADD | BPF_X, 0, 0, 0};
}
constexpr FilterInstruction tax() {
  return {BPF_MISC | BPF_TAX, 0, 0, 0};
}
constexpr FilterInstruction jset(std::uint32_t bits, std::uint8_t yes, std::uint8_t no) {
  return {BPF_JMP | BPF_JSET | BPF_K, yes, no, bits};
}
constexpr FilterInstruction jeq(std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
  return {BPF_JMP | BPF_JEQ | BPF_K, yes, no, value};
}
constexpr FilterInstruction jeq_x(std::uint8_t yes, std::uint8_t no) {
  return {BPF_JMP | BPF_JEQ | BPF_X, yes, no, 0};
}
constexpr FilterInstruction ret(std::uint32_t value) {
  return {BPF_RET | BPF_K, 0, 0, value};
}

constexpr std::uint32_t tcp_flags_fin_syn_rst = 0x07;
constexpr std::uint32_t protocol_tcp = 6;

// tcp[13] & (fin|syn|rst) != 0 or ip.total_length != 4 * ip.ihl + 4 * tcp.doff
constexpr std::array program_ipv4{
    ldx_4_times_low_nibble(0),          // x = 4 * ihl: where TCP starts
    ldb_x(13),                          // a = TCP flags
    jset(tcp_flags_fin_syn_rst, 8, 0),  // any of them: return 1
    ldb_x(12),                          // a = doff in the high nibble
    and_with(0xf0),
    shift_right(2),  // a = 4 * doff
    add_x(),
    tax(),        // x = length of both headers
    ldh(2),       // a = total length
    jeq_x(0, 1),  // no payload?
    ret(0),
    ret(1),
};

// ip6.next_header != tcp or tcp[13] & (fin|syn|rst) != 0 or ip6.payload_length != 4 * tcp.doff
constexpr std::array program_ipv6{
    ldb(6),                             // a = next header
    jeq(protocol_tcp, 0, 9),            // extension headers: return 1
    ldb(40 + 13),                       // a = TCP flags
    jset(tcp_flags_fin_syn_rst, 7, 0),  // any of them: return 1
    ldb(40 + 12),                       // a = doff in the high nibble
    and_with(0xf0),
    shift_right(2),  // a = 4 * doff
    tax(),           // x = length of the TCP header
    ldh(4),          // a = payload length
    jeq_x(0, 1),     // no payload?
    ret(0),
    ret(1),
};

}  // namespace

std::span<const FilterInstruction> more_than_acknowledgement(Family family) {
  if (family == Family::ipv4) return program_ipv4;
  return program_ipv6;
}

std::string bytecode(std::span<const FilterInstruction> program) {
  std::string text = fmt::format("{}", program.size());
  for (const FilterInstruction& instruction : program) {
    text += fmt::format(",{} {} {} {}", instruction.code, instruction.jump_if_true,
                        instruction.jump_if_false, instruction.operand);
  }
  return text;
}

}  // namespace ftpalg::rules
