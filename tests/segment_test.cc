// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/segment.h"

#include <catch2/catch.hpp>

#include "conversation.h"

namespace ftpalg::test {
namespace {

using namespace std::string_literals;

const Tuple ipv4{endpoint("10.0.0.2", 40000), endpoint("192.0.2.1", 21)};
const Tuple ipv6{endpoint("fd00::2", 40000), endpoint("2001:db8::1", 21)};

bool checksums_are_right(wire::Bytes packet) {
  const bool is_ipv4 = packet[0] >> 4 == 4;
  const std::size_t tcp = Segment::parse(packet)->tcp_begin();
  std::uint64_t sum = wire::checksum_add(0, packet.subspan(is_ipv4 ? 12 : 8, is_ipv4 ? 8 : 32));
  sum += 6 + packet.size() - tcp;
  const bool tcp_is_right =
      wire::checksum_finish(wire::checksum_add(sum, packet.subspan(tcp))) == 0;
  return tcp_is_right &&
         (!is_ipv4 || wire::checksum_finish(wire::checksum_add(0, packet.first(tcp))) == 0);
}

TEST_CASE("a packet built is the segment read, in both families") {
  for (const Tuple& tuple : {ipv4, ipv6}) {
    const auto packet = make_packet(tuple, {0xfffffffe}, {7}, Segment::ack_flag, "abc");
    const auto segment = Segment::parse(packet);
    REQUIRE(segment);
    CHECK(segment->tuple() == tuple);
    CHECK(segment->seq() == Seq{0xfffffffe});
    CHECK(segment->payload_end() == Seq{1});
    CHECK(segment->ack() == Seq{7});
    CHECK(std::string(segment->payload().begin(), segment->payload().end()) == "abc");
    CHECK(checksums_are_right(packet));
  }
}

TEST_CASE("bytes behind the packet's own length do not count") {
  auto packet = make_packet(ipv4, {1}, {1}, Segment::ack_flag, "abc");
  packet.resize(packet.size() + 6);
  CHECK(Segment::parse(packet)->payload().size() == 3);
}

TEST_CASE("what is no whole TCP segment is none") {
  const auto good = make_packet(ipv4, {1}, {1}, Segment::ack_flag, "abc");
  const auto good6 = make_packet(ipv6, {1}, {1}, Segment::ack_flag, "abc");
  for (const auto& packet : {good, good6}) {
    for (std::size_t size = 0; size < packet.size(); ++size) {
      CHECK_FALSE(Segment::parse(wire::Bytes{packet}.first(size)));
    }
  }
  const auto broken = [&](std::size_t at, std::uint8_t value) {
    auto packet = good;
    packet[at] = value;
    return Segment::parse(packet);
  };
  CHECK_FALSE(broken(0, 0x55));   // version
  CHECK_FALSE(broken(0, 0x44));   // header shorter than it can be
  CHECK_FALSE(broken(6, 0x20));   // more fragments
  CHECK_FALSE(broken(7, 0x01));   // a later fragment
  CHECK_FALSE(broken(9, 17));     // UDP
  CHECK_FALSE(broken(32, 0x40));  // TCP header shorter than it can be
  CHECK_FALSE(broken(32, 0xf0));  // TCP header longer than the packet
  CHECK(broken(6, 0x40));         // "do not fragment" is fine
}

TEST_CASE("IPv6 extension headers are passed over, fragments and others are not") {
  auto packet = make_packet(ipv6, {1}, {1}, Segment::ack_flag, "abc");
  packet.insert(packet.begin() + 40, {6, 0, 1, 4, 0, 0, 0, 0});
  wire::write16(packet, 4, static_cast<std::uint16_t>(packet.size() - 40));
  for (const auto& [header, readable] : {std::pair<std::uint8_t, bool>{0, true},
                                         {60, true},
                                         {43, false},
                                         {44, false},
                                         {50, false}}) {
    packet[6] = header;
    CHECK(Segment::parse(packet).has_value() == readable);
  }
  packet[6] = 0;
  packet[41] = 200;  // a header longer than the packet
  CHECK_FALSE(Segment::parse(packet));
}

TEST_CASE("options are read up to the first that does not fit") {
  const std::string timestamps = "\x08\x0a\x00\x00\x00\x07\x00\x00\x00\x09"s;
  struct Row {
    std::string options;
    bool found;
  };
  for (const auto& [options, found] : {
           Row{"\1\1"s + timestamps, true}, Row{timestamps + "\0\0"s, true},
           Row{"\2\4\5\264"s + timestamps + "\1\1"s, true},
           Row{"\0\1"s + timestamps, false},   // behind the end
           Row{"\2\0"s + timestamps, false},   // an option without a length
           Row{"\2\1"s + timestamps, false},   // shorter than its own head
           Row{"\2\50"s + timestamps, false},  // longer than there is room
           Row{"\1\10\12\0"s, false},          // cut off
           Row{"\1\1\1\10"s, false},           // a kind alone
           Row{"\10\4\0\7"s, false},           // not as long as timestamps are
           Row{"\1\1\1\1"s, false},            // to the last byte
       }) {
    CAPTURE(options);
    auto packet = make_packet(ipv4, {1}, {1}, Segment::ack_flag, options);
    // The payload becomes options.
    packet[32] = static_cast<std::uint8_t>((20 + options.size()) / 4 << 4);
    const auto segment = Segment::parse(packet);
    REQUIRE(segment);
    CHECK(segment->payload().empty());
    CHECK(segment->timestamps().has_value() == found);
  }
}

TEST_CASE("a bare acknowledgement answers the timestamps") {
  for (const Tuple& tuple : {ipv4, ipv6}) {
    PacketBuilder builder;
    builder.begin_bare(tuple, {5}, {9}, 77, Timestamps{1, 2});
    const auto packet = builder.finish();
    const auto segment = Segment::parse(packet);
    REQUIRE(segment);
    CHECK(segment->flags() == Segment::ack_flag);
    CHECK(segment->window() == 77);
    REQUIRE(segment->timestamps());
    CHECK(segment->timestamps()->value == 1);
    CHECK(segment->timestamps()->echo == 2);
    CHECK(checksums_are_right(packet));
  }
}

TEST_CASE("a packet does not grow past what IP can say") {
  const auto packet = make_packet(ipv4, {1}, {1}, Segment::ack_flag, "");
  PacketBuilder builder;
  builder.begin_like(*Segment::parse(packet));
  const std::vector<std::uint8_t> much(PacketBuilder::packet_bytes_max - 40, 'x');
  CHECK(builder.append(much));
  CHECK_FALSE(builder.append(wire::Bytes{much}.first(1)));
  CHECK(builder.finish().size() == PacketBuilder::packet_bytes_max);
}

}  // namespace
}  // namespace ftpalg::test
