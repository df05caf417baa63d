// SPDX-License-Identifier: GPL-2.0-or-later
// Captures: pcap and pcapng files, read frame by frame and written as pcap.
//
// Errors are sentences for a person: the file, what is wrong, and what mends it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tl/expected.hpp>

#include "alg/wire.h"

struct pcap;
struct pcap_dumper;

namespace ftpalg::tools {

/// One packet as it was captured, link header included.
struct Frame {
  std::chrono::nanoseconds time{};  ///< since 1970, UTC
  wire::Bytes bytes;                ///< valid until the next frame is read
  std::uint32_t wire_bytes =
      0;  ///< what it had on the wire; more than `bytes` when the snap length cut it off
  /// Where in `bytes` the IP packet begins. Nothing when it is no IP.
  std::optional<std::size_t> ip_begin;
};

class CaptureReader {
 public:
  /// "-" is standard input. Link types: Ethernet (with any VLAN tags), Linux "any" (SLL and SLL2),
  /// raw IP, BSD loopback.
  static tl::expected<CaptureReader, std::string> open(const std::string& path);

  /// The next frame; nothing at the end. After an error there is no more.
  tl::expected<std::optional<Frame>, std::string> next();

  /// As DLT_ value of libpcap.
  int link_type() const { return link_type_; }

 private:
  struct Close {
    void operator()(pcap* file) const;
  };
  CaptureReader(std::string path, pcap* file, int link_type)
      : path_(std::move(path)), file_(file), link_type_(link_type) {}

  std::string path_;
  std::unique_ptr<pcap, Close> file_;
  int link_type_;
  std::uint64_t frames_read_ = 0;
};

class CaptureWriter {
 public:
  /// Replaces what was in the file. Times are kept in nanoseconds.
  static tl::expected<CaptureWriter, std::string> open(const std::string& path, int link_type);

  /// `wire_bytes` is what the frame would have on the wire. Failures are told by finish().
  void write(std::chrono::nanoseconds time, wire::Bytes bytes, std::uint32_t wire_bytes);

  /// All is in the file, or why it is not.
  tl::expected<void, std::string> finish();

 private:
  struct Close {
    void operator()(pcap_dumper* file) const;
    void operator()(pcap* format) const;
  };
  CaptureWriter(std::string path, pcap* format, pcap_dumper* file)
      : path_(std::move(path)), format_(format), file_(file) {}

  std::string path_;
  std::unique_ptr<pcap, Close> format_;
  std::unique_ptr<pcap_dumper, Close> file_;
};

}  // namespace ftpalg::tools
