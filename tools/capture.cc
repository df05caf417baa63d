// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/capture.h"

#include <fmt/format.h>
#include <pcap/pcap.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace ftpalg::tools {
namespace {

using wire::Bytes;

// As tcpdump's default: larger than any packet.
constexpr int snap_bytes_max = 262144;

constexpr std::uint16_t ethertype_ipv4 = 0x0800;
constexpr std::uint16_t ethertype_ipv6 = 0x86dd;

constexpr bool is_ip(std::uint16_t ethertype) {
  return ethertype == ethertype_ipv4 || ethertype == ethertype_ipv6;
}

/// 802.1Q, 802.1ad, and what was used before 802.1ad.
constexpr bool is_vlan(std::uint16_t ethertype) {
  return ethertype == 0x8100 || ethertype == 0x88a8 || ethertype == 0x9100;
}

std::optional<std::size_t> skip_ethernet(Bytes frame) {
  constexpr std::size_t vlan_tag_bytes = 4;
  std::size_t type_at = 12;
  while (type_at + 2 <= frame.size() && is_vlan(wire::read16(frame, type_at))) {
    type_at += vlan_tag_bytes;
  }
  if (type_at + 2 > frame.size() || !is_ip(wire::read16(frame, type_at))) return std::nullopt;
  return type_at + 2;
}

std::optional<std::size_t> skip_cooked(Bytes frame, std::size_t type_at, std::size_t header_bytes) {
  if (frame.size() < header_bytes || !is_ip(wire::read16(frame, type_at))) return std::nullopt;
  return header_bytes;
}

/// Where the family number in front says nothing certain: each BSD has its own for IPv6, in its own
/// byte order.
std::optional<std::size_t> skip_to_version(Bytes frame, std::size_t header_bytes) {
  if (frame.size() <= header_bytes) return std::nullopt;
  const int version = frame[header_bytes] >> 4;
  if (version != 4 && version != 6) return std::nullopt;
  return header_bytes;
}

bool is_known_link_type(int link_type) {
  switch (link_type) {
    case DLT_EN10MB:
    case DLT_LINUX_SLL:
    case DLT_LINUX_SLL2:
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
    case DLT_NULL:
    case DLT_LOOP:
      return true;
    default:
      return false;
  }
}

std::optional<std::size_t> find_ip(int link_type, Bytes frame) {
  switch (link_type) {
    case DLT_EN10MB:
      return skip_ethernet(frame);
    case DLT_LINUX_SLL:
      return skip_cooked(frame, 14, 16);
    case DLT_LINUX_SLL2:
      return skip_cooked(frame, 0, 20);
    case DLT_NULL:
    case DLT_LOOP:
      return skip_to_version(frame, 4);
    default:
      return skip_to_version(frame, 0);
  }
}

}  // namespace

void CaptureReader::Close::operator()(pcap* file) const {
  pcap_close(file);
}
void CaptureWriter::Close::operator()(pcap* format) const {
  pcap_close(format);
}
void CaptureWriter::Close::operator()(pcap_dumper* file) const {
  pcap_dump_close(file);
}

tl::expected<CaptureReader, std::string> CaptureReader::open(const std::string& path) {
  std::array<char, PCAP_ERRBUF_SIZE> cause{};
  // Opened here, since libpcap repeats the name in some of its messages only.
  std::FILE* const stream = path == "-" ? stdin : std::fopen(path.c_str(), "rbe");
  if (stream == nullptr) {
    return tl::unexpected(
        fmt::format("cannot read '{}': {}; name a capture that tcpdump -w or Wireshark has written",
                    path, std::strerror(errno)));
  }
  pcap_t* const file =
      pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, cause.data());
  if (file == nullptr) {
    if (stream != stdin) std::fclose(stream);
    return tl::unexpected(
        fmt::format("'{}' is no capture: {}; name a file that tcpdump -w or Wireshark has written",
                    path, cause.data()));
  }
  CaptureReader reader{path, file, pcap_datalink(file)};
  if (!is_known_link_type(reader.link_type_)) {
    const char* const name = pcap_datalink_val_to_name(reader.link_type_);
    return tl::unexpected(
        fmt::format("'{}' has packets of link type {}, which is not supported; capture on an "
                    "Ethernet, tunnel or "
                    "loopback interface, or on 'any'",
                    path, name != nullptr ? std::string{name} : std::to_string(reader.link_type_)));
  }
  return reader;
}

tl::expected<std::optional<Frame>, std::string> CaptureReader::next() {
  pcap_pkthdr* header = nullptr;
  const std::uint8_t* bytes = nullptr;
  const int status = pcap_next_ex(file_.get(), &header, &bytes);
  if (status == PCAP_ERROR_BREAK) return std::nullopt;
  if (status != 1) {
    return tl::unexpected(
        fmt::format("'{}' cannot be read beyond packet {}: {}; what came before it is done", path_,
                    frames_read_, pcap_geterr(file_.get())));
  }
  ++frames_read_;
  Frame frame;
  // With nanosecond precision libpcap keeps nanoseconds in tv_usec.
  frame.time =
      std::chrono::seconds{header->ts.tv_sec} + std::chrono::nanoseconds{header->ts.tv_usec};
  frame.bytes = {bytes, header->caplen};
  frame.wire_bytes = header->len;
  frame.ip_begin = find_ip(link_type_, frame.bytes);
  return frame;
}

tl::expected<CaptureWriter, std::string> CaptureWriter::open(const std::string& path,
                                                             int link_type) {
  pcap_t* const format =
      pcap_open_dead_with_tstamp_precision(link_type, snap_bytes_max, PCAP_TSTAMP_PRECISION_NANO);
  std::FILE* const stream = std::fopen(path.c_str(), "wbe");
  pcap_dumper_t* const file =
      format != nullptr && stream != nullptr ? pcap_dump_fopen(format, stream) : nullptr;
  if (file == nullptr) {
    std::string reason = stream == nullptr ? std::strerror(errno) : pcap_geterr(format);
    if (stream != nullptr) std::fclose(stream);
    if (format != nullptr) pcap_close(format);
    return tl::unexpected(fmt::format(
        "cannot write '{}': {}; name a file in a directory that you may write to", path, reason));
  }
  return CaptureWriter{path, format, file};
}

void CaptureWriter::write(std::chrono::nanoseconds time, Bytes bytes, std::uint32_t wire_bytes) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  pcap_pkthdr header{};
  header.ts.tv_sec = seconds.count();
  header.ts.tv_usec = (time - seconds).count();
  header.caplen = static_cast<bpf_u_int32>(bytes.size());
  header.len = wire_bytes;
  pcap_dump(reinterpret_cast<std::uint8_t*>(file_.get()), &header, bytes.data());
}

tl::expected<void, std::string> CaptureWriter::finish() {
  if (pcap_dump_flush(file_.get()) == 0 && std::ferror(pcap_dump_file(file_.get())) == 0) return {};
  return tl::unexpected(
      fmt::format("'{}' is incomplete: {}; make room and run again", path_, std::strerror(errno)));
}

}  // namespace ftpalg::tools
