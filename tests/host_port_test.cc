// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/host_port.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace ftpalg;
using namespace std::string_literals;
using Kind = AnnouncementKind;
using Error = AnnouncementError;

/// Parses a copy that ends where its allocation ends, so that ASan sees a read past the line.
tl::expected<Announcement, Error> parse(Kind kind, std::string_view line) {
  const std::unique_ptr<char[]> exact{new char[line.size()]};
  std::copy(line.begin(), line.end(), exact.get());
  return parse_announcement(kind, {exact.get(), line.size()});
}

/// The host-port as reply-formats.tsv writes it.
std::string text_of(const tl::expected<Announcement, Error>& announcement) {
  if (!announcement) return "reject";
  const std::string address = announcement->address ? announcement->address->text() : "CTRL";
  return address + "," + std::to_string(announcement->port.number);
}

std::string rewritten(std::string_view line, const Announcement& announcement,
                      const Endpoint& endpoint) {
  const AnnouncementText replacement = print_announcement(announcement, endpoint);
  return std::string{line.substr(0, announcement.begin)} + std::string{replacement.view()} +
         std::string{line.substr(announcement.end)};
}

std::string unescape(std::string_view literal) {
  std::string bytes;
  for (std::size_t at = 0; at < literal.size(); ++at) {
    if (literal[at] != '\\') {
      bytes += literal[at];
      continue;
    }
    switch (literal.at(++at)) {
      case 'r':
        bytes += '\r';
        break;
      case 'n':
        bytes += '\n';
        break;
      case 't':
        bytes += '\t';
        break;
      case 'x':  // always two digits in this table
        bytes += static_cast<char>(std::stoi(std::string{literal.substr(at + 1, 2)}, nullptr, 16));
        at += 2;
        break;
      default:
        bytes += literal[at];
    }
  }
  return bytes;
}

struct FieldFormat {
  std::string source;
  std::string kind;
  std::string line;  // the last one of a reply in several lines, without its end
  std::string expected;
};

std::vector<FieldFormat> field_formats() {
  std::ifstream file{FTPALG_TEST_SOURCE_DIR "/reply-formats.tsv"};
  std::vector<FieldFormat> formats;
  for (std::string row; std::getline(file, row);) {
    if (row.empty() || row.front() == '#') continue;
    std::istringstream columns{row};
    FieldFormat format;
    std::string literal;
    std::getline(columns, format.source, '\t');
    std::getline(columns, format.kind, '\t');
    std::getline(columns, literal, '\t');
    std::getline(columns, format.expected);

    format.line = unescape(literal);
    if (format.line.ends_with('\n')) format.line.pop_back();
    if (format.line.ends_with('\r')) format.line.pop_back();
    const std::size_t previous_end = format.line.rfind('\n');
    if (previous_end != std::string::npos) format.line.erase(0, previous_end + 1);
    formats.push_back(format);
  }
  return formats;
}

std::optional<Kind> kind_of(std::string_view column) {
  const std::string_view name = column.substr(0, column.find_first_of("/-"));
  if (name == "PORT") return Kind::port;
  if (name == "EPRT") return Kind::eprt;
  if (name == "LPRT") return Kind::lprt;
  if (name == "227") return Kind::reply_227;
  if (name == "228") return Kind::reply_228;
  if (name == "229") return Kind::reply_229;
  return std::nullopt;
}

constexpr Kind kinds[] = {Kind::port,      Kind::eprt,      Kind::lprt,
                          Kind::reply_227, Kind::reply_228, Kind::reply_229};

}  // namespace

TEST_CASE("host-ports of the field read as expected", "[host_port]") {
  const std::vector<FieldFormat> formats = field_formats();
  REQUIRE(formats.size() > 80);
  std::size_t tried = 0;
  for (const FieldFormat& format : formats) {
    const std::optional<Kind> kind = kind_of(format.kind);
    INFO(format.source << ": " << format.line);
    if (!kind) {  // other replies: nobody may take them for an announcement
      for (const Kind any : kinds) CHECK_FALSE(parse(any, format.line));
      continue;
    }
    CHECK(text_of(parse(*kind, format.line)) == format.expected);
    ++tried;
  }
  CHECK(tried > 70);
}

TEST_CASE("a host-port of the field can be rewritten and read again", "[host_port]") {
  const Endpoint ipv4{Address::ipv4(255, 255, 255, 255), {65535}};
  const Endpoint ipv6{*Address::parse("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"), {1}};
  for (const FieldFormat& format : field_formats()) {
    const std::optional<Kind> kind = kind_of(format.kind);
    const auto announcement = kind ? parse(*kind, format.line) : tl::unexpected(Error::other_line);
    if (!announcement) continue;
    INFO(format.line);
    for (const Endpoint& endpoint : {ipv4, ipv6}) {
      const std::string line = rewritten(format.line, *announcement, endpoint);
      if (print_announcement(*announcement, endpoint).view().empty()) continue;
      const auto again = parse(*kind, line);
      REQUIRE(again);
      CHECK(again->port == endpoint.port);
      CHECK(again->begin == announcement->begin);
      CHECK(again->delimiter == announcement->delimiter);
      if (announcement->address) CHECK(again->address == endpoint.address);
      CHECK(line.substr(again->end) == format.line.substr(announcement->end));
    }
  }
}

TEST_CASE("no truncation of a line is read past its end", "[host_port]") {
  for (const FieldFormat& format : field_formats()) {
    for (std::size_t size = 0; size <= format.line.size(); ++size) {
      for (const Kind kind : kinds) {
        const auto announcement = parse(kind, std::string_view{format.line}.substr(0, size));
        if (!announcement) continue;
        CHECK(announcement->begin < announcement->end);
        CHECK(announcement->end <= size);
        CHECK(announcement->port.number != 0);
      }
    }
  }
}

TEST_CASE("commands are read strictly", "[host_port]") {
  struct Row {
    Kind kind;
    std::string line;
    std::string expected;
  };
  const auto row = GENERATE(values<Row>({
      {Kind::port, "PORT 10,0,0,1,195,80", "10.0.0.1,50000"},
      {Kind::port, "PoRt\t10,0,0,1,195,80", "10.0.0.1,50000"},
      {Kind::port, "PORT 10,0,0,1,195,80  ", "10.0.0.1,50000"},
      {Kind::port, "PORT 010,000,00,01,195,080", "10.0.0.1,50000"},
      {Kind::port, "PORT 255,255,255,255,255,255", "255.255.255.255,65535"},
      {Kind::port, "PORT 0,0,0,0,0,1", "0.0.0.0,1"},
      {Kind::port, "PORT10,0,0,1,195,80", "reject"},
      {Kind::port, "PORT", "reject"},
      {Kind::port, "PORT ", "reject"},
      {Kind::port, "PORTS 10,0,0,1,195,80", "reject"},
      {Kind::port, " PORT 10,0,0,1,195,80", "reject"},
      {Kind::port, "PORT 10,0,0,1,195", "reject"},
      {Kind::port, "PORT 10,0,0,1,195,", "reject"},
      {Kind::port, "PORT 10,0,0,1,195,80,", "reject"},
      {Kind::port, "PORT 10,0,0,1,195,80,1", "reject"},
      {Kind::port, "PORT ,10,0,0,1,195,80", "reject"},
      {Kind::port, "PORT 10,0,0,1,,80", "reject"},
      {Kind::port, "PORT 10, 0,0,1,195,80", "reject"},
      {Kind::port, "PORT 10,0,0,1 ,195,80", "reject"},
      {Kind::port, "PORT -10,0,0,1,195,80", "reject"},
      {Kind::port, "PORT +10,0,0,1,195,80", "reject"},
      {Kind::port, "PORT 10.0.0.1,195,80", "reject"},
      {Kind::port, "PORT 0x0a,0,0,1,195,80", "reject"},
      {Kind::port, "PORT 10,0,0,1,0,0", "reject"},
      {Kind::port, "PORT 10,0,0,1,0,256", "reject"},
      {Kind::port, "PORT 10,0,0,1,195,0080", "reject"},
      {Kind::port, "PORT 10,0,0,1,195,18446744073709551616", "reject"},
      {Kind::port, "PORT 10,0,0,1,195,80 PORT 10,0,0,2,195,80", "reject"},
      {Kind::port, "PORT 10,0,0,1,195,80\rPORT", "reject"},
      {Kind::port, "EPRT |1|10.0.0.1|50000|", "reject"},
      {Kind::port, "227 10,0,0,1,195,80", "reject"},

      {Kind::eprt, "EPRT |1|10.0.0.1|50000|", "10.0.0.1,50000"},
      {Kind::eprt, "eprt   |2|2001:DB8::1|65535|", "2001:db8::1,65535"},
      {Kind::eprt, "EPRT !1!10.0.0.1!1!", "10.0.0.1,1"},
      {Kind::eprt, "EPRT :1:10.0.0.1:50000:", "10.0.0.1,50000"},
      {Kind::eprt, "EPRT |1|10.0.0.1|50000| ", "10.0.0.1,50000"},
      {Kind::eprt, "EPRT |2|2001:db8::1|50000", "reject"},
      {Kind::eprt, "EPRT |1|10.0.0.1|50000||", "reject"},
      {Kind::eprt, "EPRT |1|10.0.0.1|50000|x", "reject"},
      {Kind::eprt, "EPRT |1|10.0.0.1|0|", "reject"},
      {Kind::eprt, "EPRT |1|10.0.0.1|65536|", "reject"},
      {Kind::eprt, "EPRT |1|10.0.0.1|050000|", "reject"},
      {Kind::eprt, "EPRT |1|10.0.0.1|0050|", "reject"},
      {Kind::eprt, "EPRT |1|10.0.0.1|-1|", "reject"},
      {Kind::eprt, "EPRT |1|10.0.0.1| 5000|", "reject"},
      {Kind::eprt, "EPRT |1|10.0.0.1||", "reject"},
      {Kind::eprt, "EPRT |1||50000|", "reject"},
      {Kind::eprt, "EPRT ||10.0.0.1|50000|", "reject"},
      {Kind::eprt, "EPRT |||50000|", "reject"},
      {Kind::eprt, "EPRT |01|10.0.0.1|50000|", "reject"},
      {Kind::eprt, "EPRT |3|10.0.0.1|50000|", "reject"},
      {Kind::eprt, "EPRT |1|2001:db8::1|50000|", "reject"},
      {Kind::eprt, "EPRT |1|10.0.0|50000|", "reject"},
      {Kind::eprt, "EPRT |1|host.example|50000|", "reject"},
      {Kind::eprt, "EPRT |2|[2001:db8::1]|50000|", "reject"},
      {Kind::eprt, "EPRT 11110.0.0.11500001", "reject"},
      {Kind::eprt, "EPRT  ", "reject"},
      {Kind::eprt, "EPRT |", "reject"},
      {Kind::eprt,
       "EPRT \xff"
       "1\xff"
       "10.0.0.1\xff"
       "5000\xff",
       "reject"},

      {Kind::lprt, "LPRT 4,4,10,0,0,1,2,195,80", "10.0.0.1,50000"},
      {Kind::lprt, "lprt 6,16,32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,1,2,195,80", "2001:db8::1,50000"},
      {Kind::lprt, "LPRT 6,16,32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,1,2,195", "reject"},
      {Kind::lprt, "LPRT 6,16,32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,1,2,195,80,1", "reject"},
      {Kind::lprt, "LPRT 4,4,10,0,0,1,2,195,80,7", "reject"},
      {Kind::lprt, "LPRT 6,4,10,0,0,1,2,195,80", "reject"},
      {Kind::lprt, "LPRT 4,16,10,0,0,1,2,195,80", "reject"},
      {Kind::lprt, "LPRT 260,4,10,0,0,1,2,195,80", "reject"},
      {Kind::lprt, "LPRT 4,4,10,0,0,1,2,0,0", "reject"},
      {Kind::lprt, "LPRT 10,0,0,1,195,80", "reject"},
  }));
  INFO(row.line);
  CHECK(text_of(parse(row.kind, row.line)) == row.expected);
}

TEST_CASE("replies are read as clients do", "[host_port]") {
  struct Row {
    Kind kind;
    std::string line;
    std::string expected;
  };
  const auto row = GENERATE(values<Row>({
      {Kind::reply_227, "227 10,0,0,1,195,80", "10.0.0.1,50000"},
      {Kind::reply_227, "227 a10,0,0,1,195,80b", "10.0.0.1,50000"},
      {Kind::reply_227, "227 Mode 2 of 3 (10,0,0,1,195,80), go.", "10.0.0.1,50000"},
      {Kind::reply_227, "227 Version 1.2,3 (10 ,\t0,0 , 1,195,80)", "10.0.0.1,50000"},
      {Kind::reply_227, "227 \xff\xfe (10,0,0,1,195,80)", "10.0.0.1,50000"},
      {Kind::reply_227, "227-10,0,0,1,195,80", "reject"},
      {Kind::reply_227, "227\t10,0,0,1,195,80", "reject"},
      {Kind::reply_227, "227", "reject"},
      {Kind::reply_227, "227 ", "reject"},
      {Kind::reply_227, "227 Logout.", "reject"},
      {Kind::reply_227, "2270,0,0,1,195,80", "reject"},
      {Kind::reply_227, "227 -10,0,0,1,195,80", "reject"},
      {Kind::reply_227, "227 10,0,0,1,195,80-", "reject"},
      {Kind::reply_227, "227 10,0,0,1,195,80.5", "reject"},
      {Kind::reply_227, "227 1.10,0,0,1,195,80", "reject"},
      {Kind::reply_227, "227 ,10,0,0,1,195,80", "reject"},
      {Kind::reply_227, "227 , 10,0,0,1,195,80", "reject"},
      {Kind::reply_227, "227 10,0,0,1,195,80 ,", "reject"},
      {Kind::reply_227, "227 Mode 2, 10,0,0,1,195,80", "reject"},
      {Kind::reply_227, "227 (10,0,0,1,195,80) (10,0,0,1,195,80)", "reject"},
      {Kind::reply_227, "227 (1,2,3,4,5,6,7) (10,0,0,1,195,80)", "reject"},
      {Kind::reply_227, "227 (10,0,0,1,195,80) (1,2,3,4,5,999)", "reject"},
      {Kind::reply_227, "227 (10,0,0,1,195,256)", "reject"},
      {Kind::reply_227, "227 (10,0,0,1,195,0080)", "reject"},
      {Kind::reply_227, "227 (10,0,0,1,195,\r80)", "reject"},
      {Kind::reply_227, "227 (10,0,0,1,195,80)\r227 (10,0,0,2,195,80)", "reject"},
      {Kind::reply_227, "227 (10,0,0,1,195,80)\n227 x", "reject"},
      {Kind::reply_227, "227 (10,0,0,1,195,80)\0"s, "reject"},
      {Kind::reply_227, "228 (10,0,0,1,195,80)", "reject"},
      {Kind::reply_227, "229 Entering Extended Passive Mode (|||50000|)", "reject"},

      {Kind::reply_228, "228 4,4,10,0,0,1,2,195,80", "10.0.0.1,50000"},
      {Kind::reply_228, "228 Mode (4, 4, 10, 0, 0, 1, 2, 195, 80)", "10.0.0.1,50000"},
      {Kind::reply_228, "228 (10,0,0,1,195,80)", "reject"},
      {Kind::reply_228, "228 (4,4,10,0,0,1,2,0,0)", "reject"},
      {Kind::reply_228, "228 (4,4,10,0,0,1,2,195,80,1)", "reject"},
      {Kind::reply_228, "228 (4,4,10,0,0,1,2,195,80) (4,4,10,0,0,1,2,195,80)", "reject"},

      {Kind::reply_229, "229 (|||1|)", "CTRL,1"},
      {Kind::reply_229, "229 (|||65535|)", "CTRL,65535"},
      {Kind::reply_229, "229 (|||02021|)", "CTRL,2021"},
      {Kind::reply_229, "229 Extended (passive) mode (|||2021|), thanks (|||9|)", "CTRL,2021"},
      {Kind::reply_229, "229 ((((2021()", "CTRL,2021"},
      {Kind::reply_229, "229 ((|||2021|))", "CTRL,2021"},
      {Kind::reply_229, "229 (aaa2021a)", "CTRL,2021"},
      {Kind::reply_229, "229 (|2|2001:db8::1|2021|)", "2001:db8::1,2021"},
      {Kind::reply_229, "229 (|2|0000:0000:0000:0000:0000:ffff:255.255.255.255|65535|)",
       "::ffff:255.255.255.255,65535"},
      {Kind::reply_229, "229 (|||65536|)", "reject"},
      {Kind::reply_229, "229 (|||65536|) (|||2021|)", "reject"},
      {Kind::reply_229, "229 (||||)", "reject"},
      {Kind::reply_229, "229 (|||2021|", "reject"},
      {Kind::reply_229, "229 (|||2021)", "reject"},
      {Kind::reply_229, "229 (||2021|)", "reject"},
      {Kind::reply_229, "229 (|||2021|x)", "reject"},
      {Kind::reply_229, "229 (|||2021| )", "reject"},
      {Kind::reply_229, "229 (||| 2021|)", "reject"},
      {Kind::reply_229, "229 (|||-2021|)", "reject"},
      {Kind::reply_229, "229 (|||2021,|)", "reject"},
      {Kind::reply_229, "229 (|1||2021|)", "reject"},
      {Kind::reply_229, "229 (||10.0.0.1|2021|)", "reject"},
      {Kind::reply_229, "229 (|2|10.0.0.1|2021|)", "reject"},
      {Kind::reply_229, "229 (|3|10.0.0.1|2021|)", "reject"},
      {Kind::reply_229, "229 (|2|fe80::1%eth0|2021|)", "reject"},
      {Kind::reply_229, "229 (\t\t\t2021\t)", "reject"},
      {Kind::reply_229, "229-(|||2021|)", "reject"},
      {Kind::reply_229, "229 (", "reject"},
      {Kind::reply_229, "229 (" + std::string(2000, '('), "reject"},
  }));
  INFO(row.line);
  CHECK(text_of(parse(row.kind, row.line)) == row.expected);
}

TEST_CASE("each reason to reject is told apart", "[host_port]") {
  const auto [kind, line, error] = GENERATE(table<Kind, std::string, Error>({
      {Kind::port, "PASV", Error::other_line},
      {Kind::port, "PORT 10,0,0,1,195,80\0"s, Error::unfit_byte},
      {Kind::reply_227, "227 Logout.", Error::no_host_port},
      {Kind::reply_227, "227 (10,0,0,1,195,80) or (10,0,0,2,0,22)", Error::several_host_ports},
      {Kind::reply_227, "227 (10,0,0,1,195,80.)", Error::touched_host_port},
      {Kind::port, "PORT 10,225,1,89,124,22_", Error::trailing_text},
      {Kind::port, "PORT 10,0,0,1,256,80", Error::number_out_of_range},
      {Kind::port, "PORT 10,0,0,1,195,80,1", Error::wrong_length},
      {Kind::lprt, "LPRT 9,4,10,0,0,1,2,195,80", Error::unknown_family},
      {Kind::eprt, "EPRT |2|10.0.0.1|50000|", Error::bad_address},
      {Kind::reply_229, "229 (|||1000000|)", Error::bad_port},
  }));
  const auto announcement = parse(kind, line);
  INFO(line);
  REQUIRE_FALSE(announcement);
  CHECK(announcement.error() == error);
  CHECK_FALSE(text(announcement.error()).empty());
}

TEST_CASE("a rewrite touches the host-port alone", "[host_port]") {
  struct Row {
    Kind kind;
    std::string line;
    std::string endpoint_address;
    std::string expected;
  };
  const auto row = GENERATE(values<Row>({
      {Kind::port, "port  010,0,0,1,195,80 ", "203.0.113.5", "port  203,0,113,5,7,230 "},
      {Kind::reply_227, "227 Mode( 10, 0, 0, 1, 195,80).", "203.0.113.5",
       "227 Mode( 203,0,113,5,7,230)."},
      {Kind::eprt, "EPRT !1!10.0.0.1!50000!", "203.0.113.5", "EPRT !1!203.0.113.5!2022!"},
      {Kind::eprt, "EPRT |2|2001:DB8:0::1|50000|", "2001:db8:1::5", "EPRT |2|2001:db8:1::5|2022|"},
      {Kind::eprt, "EPRT |1|10.0.0.1|50000|", "2001:db8::5", "EPRT |2|2001:db8::5|2022|"},
      {Kind::lprt, "LPRT 4,4,10,0,0,1,2,195,80", "203.0.113.5", "LPRT 4,4,203,0,113,5,2,7,230"},
      {Kind::lprt, "LPRT 4,4,10,0,0,1,2,195,80", "2001:db8::5",
       "LPRT 6,16,32,1,13,184,0,0,0,0,0,0,0,0,0,0,0,5,2,7,230"},
      {Kind::reply_228, "228 ok (4,4,10,0,0,1,2,195,80)", "203.0.113.5",
       "228 ok (4,4,203,0,113,5,2,7,230)"},
      {Kind::reply_229, "229 ok (|||50000|).", "203.0.113.5", "229 ok (|||2022|)."},
      {Kind::reply_229, "229 ok (!1!10.0.0.1!50000!).", "203.0.113.5",
       "229 ok (!1!203.0.113.5!2022!)."},
  }));
  const auto announcement = parse(row.kind, row.line);
  REQUIRE(announcement);
  CHECK(rewritten(row.line, *announcement, {*Address::parse(row.endpoint_address), {2022}}) ==
        row.expected);
}

TEST_CASE("what a format cannot say is not printed", "[host_port]") {
  const auto [kind, line, address] = GENERATE(table<Kind, std::string, std::string>({
      {Kind::port, "PORT 10,0,0,1,195,80", "2001:db8::1"},
      {Kind::reply_227, "227 (10,0,0,1,195,80)", "2001:db8::1"},
      {Kind::eprt, "EPRT :1:10.0.0.1:50000:", "2001:db8::1"},
      {Kind::eprt, "EPRT .2.2001:db8::1.50000.", "::ffff:10.0.0.1"},
  }));
  const auto announcement = parse(kind, line);
  REQUIRE(announcement);
  CHECK(print_announcement(*announcement, {*Address::parse(address), {1}}).view().empty());
}

TEST_CASE("what is printed reads back", "[host_port]") {
  std::mt19937 random{20240611};
  const auto byte = [&] { return static_cast<std::uint8_t>(random()); };
  const std::pair<Kind, std::string> originals[] = {
      {Kind::port, "PORT 10,0,0,1,195,80"},           {Kind::eprt, "EPRT |1|10.0.0.1|50000|"},
      {Kind::lprt, "LPRT 4,4,10,0,0,1,2,195,80"},     {Kind::reply_227, "227 10,0,0,1,195,80"},
      {Kind::reply_228, "228 4,4,10,0,0,1,2,195,80"}, {Kind::reply_229, "229 (|1|10.0.0.1|50000|)"},
      {Kind::reply_229, "229 (|||50000|)"},
  };
  for (int round = 0; round < 20000; ++round) {
    const auto& [kind, original_line] = originals[random() % std::size(originals)];
    const Announcement original = *parse(kind, original_line);

    std::array<std::uint8_t, 16> bytes{};
    for (std::uint8_t& value : bytes) value = random() % 3 == 0 ? 0 : byte();
    const bool is_ipv4 = kind == Kind::port || kind == Kind::reply_227 || random() % 2 == 0;
    const Endpoint endpoint{*Address::from_bytes(std::span{bytes}.first(is_ipv4 ? 4 : 16)),
                            {static_cast<std::uint16_t>(1 + random() % 65535)}};

    const std::string line = rewritten(original_line, original, endpoint);
    INFO(line);
    const auto again = parse(kind, line);
    REQUIRE(again);
    CHECK(again->port == endpoint.port);
    CHECK(again->address.has_value() == original.address.has_value());
    if (again->address) CHECK(*again->address == endpoint.address);
    CHECK(print_announcement(*again, endpoint).view() ==
          std::string_view{line}.substr(again->begin, again->end - again->begin));
  }
}

TEST_CASE("no mutation of a line leads outside of it", "[host_port]") {
  std::mt19937 random{7};
  const std::vector<FieldFormat> formats = field_formats();
  const std::string alphabet = "0123456789,,,,|||()-. \t\0\r\n!:abf%PORT"s;
  for (int round = 0; round < 50000; ++round) {
    std::string line = formats[random() % formats.size()].line;
    for (std::size_t changes = 1 + random() % 4; changes > 0 && !line.empty(); --changes) {
      const std::size_t at = random() % line.size();
      const char with = alphabet[random() % alphabet.size()];
      switch (random() % 3) {
        case 0:
          line[at] = with;
          break;
        case 1:
          line.insert(at, 1, with);
          break;
        default:
          line.erase(at, 1);
      }
    }
    for (const Kind kind : kinds) {
      const auto announcement = parse(kind, line);
      if (!announcement) continue;
      INFO(line);
      REQUIRE(announcement->begin < announcement->end);
      REQUIRE(announcement->end <= line.size());
      REQUIRE(announcement->port.number != 0);
    }
  }
}
