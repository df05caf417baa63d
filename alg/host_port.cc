// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/host_port.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <span>

namespace ftpalg {
namespace {

using Error = AnnouncementError;
using Result = tl::expected<Announcement, Error>;

constexpr std::size_t element_digits_max = 3;
constexpr std::size_t port_digits_max = 5;

// Elements of a list: PORT and 227 have six; LPRT and 228 have nine (IPv4) or 21 (IPv6).
constexpr std::size_t short_list_size = 6;
constexpr std::size_t long_list_size_min = 9;
constexpr std::size_t long_list_size_max = 21;

// How far a 229's fields may reach from its parenthesis, in bytes: the longest IPv6 address in text
// has 45.
constexpr std::size_t extended_fields_bytes_max = 64;

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
constexpr bool is_delimiter(char c) {
  return c >= 33 && c <= 126 && !is_digit(c);
}
constexpr char to_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

std::size_t skip_blanks(std::string_view line, std::size_t at) {
  while (at < line.size() && is_blank(line[at])) ++at;
  return at;
}

std::size_t skip_digits(std::string_view line, std::size_t at) {
  while (at < line.size() && is_digit(line[at])) ++at;
  return at;
}

/// Where the text after a command's verb or a reply's code begins.
tl::expected<std::size_t, Error> skip_lead(std::string_view line, std::string_view lead,
                                           bool is_command) {
  if (line.size() <= lead.size()) return tl::unexpected(Error::other_line);
  const bool same = std::equal(lead.begin(), lead.end(), line.begin(),
                               [](char want, char have) { return want == to_upper(have); });
  const char separator = line[lead.size()];
  if (!same || !(separator == ' ' || (is_command && separator == '\t'))) {
    return tl::unexpected(Error::other_line);
  }
  return is_command ? skip_blanks(line, lead.size()) : lead.size() + 1;
}

// --- Lists: numbers with commas between them ---

struct List {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t size = 0;  // may exceed what `elements` holds
  bool in_range = true;
  std::array<std::uint8_t, long_list_size_max> elements{};

  void append(std::string_view digits) {
    std::uint32_t value = 0;
    const bool fits = digits.size() <= element_digits_max;
    if (fits) std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (!fits || value > 255) in_range = false;
    if (size < elements.size()) elements[size] = static_cast<std::uint8_t>(value & 0xff);
    ++size;
  }
  std::span<const std::uint8_t> slice(std::size_t at, std::size_t count) const {
    return std::span(elements).subspan(at, count);
  }
};

/// The longest list that begins with the digit at `at`.
List read_list(std::string_view line, std::size_t at, bool blanks_allowed) {
  List list;
  list.begin = at;
  while (true) {
    list.end = skip_digits(line, at);
    list.append(line.substr(at, list.end - at));

    std::size_t next = blanks_allowed ? skip_blanks(line, list.end) : list.end;
    if (next == line.size() || line[next] != ',') return list;
    ++next;
    if (blanks_allowed) next = skip_blanks(line, next);
    if (next == line.size() || !is_digit(line[next])) return list;
    at = next;
  }
}

bool is_touched(std::string_view line, std::size_t begin, std::size_t end) {
  const auto joins = [](char c) { return c == '-' || c == '.'; };
  if (begin > 0 && joins(line[begin - 1])) return true;
  if (end < line.size() && joins(line[end])) return true;

  while (begin > 0 && is_blank(line[begin - 1])) --begin;
  end = skip_blanks(line, end);
  return (begin > 0 && line[begin - 1] == ',') || (end < line.size() && line[end] == ',');
}

/// The one list of at least `size_min` numbers after `from`. A longer one than the format has is
/// found too, as a client would read its first numbers; it is for the caller to refuse.
tl::expected<List, Error> find_list(std::string_view line, std::size_t from, std::size_t size_min) {
  std::optional<List> found;
  for (std::size_t at = from; at < line.size();) {
    if (!is_digit(line[at])) {
      ++at;
      continue;
    }
    const List list = read_list(line, at, true);
    at = list.end;
    if (list.size < size_min) continue;
    if (found) return tl::unexpected(Error::several_host_ports);
    found = list;
  }
  if (!found) return tl::unexpected(Error::no_host_port);
  if (is_touched(line, found->begin, found->end)) return tl::unexpected(Error::touched_host_port);
  return *found;
}

/// The list that a command consists of.
tl::expected<List, Error> read_only_list(std::string_view line, std::size_t from) {
  if (from == line.size() || !is_digit(line[from])) return tl::unexpected(Error::no_host_port);
  const List list = read_list(line, from, false);
  if (skip_blanks(line, list.end) != line.size()) return tl::unexpected(Error::trailing_text);
  return list;
}

Result announce(AnnouncementKind kind, const List& list, std::span<const std::uint8_t> address,
                std::span<const std::uint8_t> port) {
  Announcement announcement;
  announcement.kind = kind;
  announcement.address = Address::from_bytes(address);
  announcement.port = {static_cast<std::uint16_t>(port[0] << 8 | port[1])};
  announcement.begin = list.begin;
  announcement.end = list.end;
  if (announcement.port.number == 0) return tl::unexpected(Error::bad_port);
  return announcement;
}

/// h1,h2,h3,h4,p1,p2
Result read_short(AnnouncementKind kind, const List& list) {
  if (list.size != short_list_size) {
    return tl::unexpected(list.size < short_list_size ? Error::no_host_port : Error::wrong_length);
  }
  if (!list.in_range) return tl::unexpected(Error::number_out_of_range);
  return announce(kind, list, list.slice(0, 4), list.slice(4, 2));
}

/// 4,4,h1,...,h4,2,p1,p2 or 6,16,h1,...,h16,2,p1,p2
Result read_long(AnnouncementKind kind, const List& list) {
  if (list.size < long_list_size_min) return tl::unexpected(Error::wrong_length);
  if (!list.in_range) return tl::unexpected(Error::number_out_of_range);
  if (list.elements[0] != 4 && list.elements[0] != 6) return tl::unexpected(Error::unknown_family);
  const std::size_t address_size = list.elements[0] == 4 ? 4 : 16;
  if (list.elements[1] != address_size || list.size != address_size + 5 ||
      list.elements[address_size + 2] != 2) {
    return tl::unexpected(Error::wrong_length);
  }
  return announce(kind, list, list.slice(2, address_size), list.slice(address_size + 3, 2));
}

// --- Fields: protocol, address and port with a delimiter around each ---

struct Field {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool empty() const { return begin == end; }
  std::string_view in(std::string_view line) const { return line.substr(begin, end - begin); }
};

struct Fields {
  char delimiter = '|';
  Field protocol;
  Field address;
  Field port;
  std::size_t end = 0;  // after the last delimiter
};

/// The fields whose first delimiter stands at `at`; nothing unless all four delimiters stand before
/// `limit`.
std::optional<Fields> read_fields(std::string_view line, std::size_t at, std::size_t limit) {
  limit = std::min(limit, line.size());
  if (at >= limit || !is_delimiter(line[at])) return std::nullopt;

  Fields fields;
  fields.delimiter = line[at];
  for (Field* field : {&fields.protocol, &fields.address, &fields.port}) {
    field->begin = at + 1;
    field->end = line.substr(0, limit).find(fields.delimiter, field->begin);
    if (field->end == std::string_view::npos) return std::nullopt;
    at = field->end;
  }
  fields.end = at + 1;
  return fields;
}

tl::expected<Address, Error> read_address(std::string_view protocol, std::string_view numeric) {
  if (protocol != "1" && protocol != "2") return tl::unexpected(Error::unknown_family);
  const std::optional<Address> address = Address::parse(numeric);
  const Family family = protocol == "1" ? Family::ipv4 : Family::ipv6;
  if (!address || address->family() != family) return tl::unexpected(Error::bad_address);
  return *address;
}

tl::expected<Port, Error> read_port(std::string_view digits, bool leading_zeros_allowed) {
  std::uint32_t value = 0;
  const bool is_number = !digits.empty() && digits.size() <= port_digits_max &&
                         std::all_of(digits.begin(), digits.end(), is_digit);
  if (is_number) std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (value == 0 || value > 65535 || (digits.front() == '0' && !leading_zeros_allowed)) {
    return tl::unexpected(Error::bad_port);
  }
  return Port{static_cast<std::uint16_t>(value)};
}

Result read_extended_command(std::string_view line, std::size_t from) {
  const std::optional<Fields> fields = read_fields(line, from, line.size());
  if (!fields) return tl::unexpected(Error::no_host_port);
  if (skip_blanks(line, fields->end) != line.size()) return tl::unexpected(Error::trailing_text);

  const auto address = read_address(fields->protocol.in(line), fields->address.in(line));
  if (!address) return tl::unexpected(address.error());
  const auto port = read_port(fields->port.in(line), false);
  if (!port) return tl::unexpected(port.error());
  return Announcement{AnnouncementKind::eprt, *address,         *port,
                      fields->protocol.begin, fields->port.end, fields->delimiter};
}

Result read_extended_reply(std::string_view line, std::size_t from) {
  for (std::size_t at = from; at < line.size(); ++at) {
    if (line[at] != '(') continue;
    const auto fields = read_fields(line, at + 1, at + 1 + extended_fields_bytes_max);
    // Other words in parentheses may come first.
    if (!fields || fields->end == line.size() || line[fields->end] != ')') continue;

    const auto port = read_port(fields->port.in(line), true);
    if (!port) return tl::unexpected(port.error());
    Announcement announcement{AnnouncementKind::reply_229, std::nullopt,     *port,
                              fields->port.begin,          fields->port.end, fields->delimiter};
    if (fields->protocol.empty() && fields->address.empty()) return announcement;

    const auto address = read_address(fields->protocol.in(line), fields->address.in(line));
    if (!address) return tl::unexpected(address.error());
    announcement.address = *address;
    announcement.begin = fields->protocol.begin;
    return announcement;
  }
  return tl::unexpected(Error::no_host_port);
}

std::string_view lead_of(AnnouncementKind kind) {
  switch (kind) {
    case AnnouncementKind::port:
      return "PORT";
    case AnnouncementKind::eprt:
      return "EPRT";
    case AnnouncementKind::lprt:
      return "LPRT";
    case AnnouncementKind::reply_227:
      return "227";
    case AnnouncementKind::reply_228:
      return "228";
    case AnnouncementKind::reply_229:
      return "229";
  }
  return {};
}

bool is_command(AnnouncementKind kind) {
  return kind == AnnouncementKind::port || kind == AnnouncementKind::eprt ||
         kind == AnnouncementKind::lprt;
}

// --- Printing ---

void print_list(AnnouncementText& text, std::span<const std::uint8_t> elements) {
  for (const std::uint8_t element : elements) {
    if (!text.view().empty()) text.append(",");
    text.append_number(element);
  }
}

}  // namespace

std::string_view text(AnnouncementError error) {
  switch (error) {
    case Error::other_line:
      return "the line begins with another verb or code";
    case Error::unfit_byte:
      return "a NUL, CR or LF stands inside the line";
    case Error::no_host_port:
      return "the line has no host-port of this format";
    case Error::several_host_ports:
      return "the line has more than one host-port";
    case Error::touched_host_port:
      return "a '-', '.' or ',' touches the host-port";
    case Error::trailing_text:
      return "the command goes on after its host-port";
    case Error::number_out_of_range:
      return "a number of the host-port is above 255";
    case Error::wrong_length:
      return "the host-port has too few or too many numbers for its address family";
    case Error::unknown_family:
      return "the address family is neither IPv4 nor IPv6";
    case Error::bad_address:
      return "the address is not a numeric one of the family that the line names";
    case Error::bad_port:
      return "the port is not a number from 1 to 65535";
  }
  return "unknown";
}

Result parse_announcement(AnnouncementKind kind, std::string_view line) {
  using namespace std::string_view_literals;
  const auto from = skip_lead(line, lead_of(kind), is_command(kind));
  if (!from) return tl::unexpected(from.error());
  if (line.find_first_of("\0\r\n"sv) != std::string_view::npos) {
    return tl::unexpected(Error::unfit_byte);
  }

  switch (kind) {
    case AnnouncementKind::port:
      return read_only_list(line, *from).and_then([&](const List& list) {
        return read_short(kind, list);
      });
    case AnnouncementKind::lprt:
      return read_only_list(line, *from).and_then([&](const List& list) {
        return read_long(kind, list);
      });
    case AnnouncementKind::reply_227:
      return find_list(line, *from, short_list_size).and_then([&](const List& list) {
        return read_short(kind, list);
      });
    case AnnouncementKind::reply_228:
      return find_list(line, *from, long_list_size_min).and_then([&](const List& list) {
        return read_long(kind, list);
      });
    case AnnouncementKind::eprt:
      return read_extended_command(line, *from);
    case AnnouncementKind::reply_229:
      return read_extended_reply(line, *from);
  }
  return tl::unexpected(Error::other_line);
}

void AnnouncementText::append(std::string_view more) {
  assert(more.size() <= bytes_max - size_);
  std::copy(more.begin(), more.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ += more.size();
}

void AnnouncementText::append_number(std::uint32_t number) {
  std::array<char, 10> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  append({digits.data(), static_cast<std::size_t>(end - digits.data())});
}

AnnouncementText print_announcement(const Announcement& original, const Endpoint& endpoint) {
  const std::span<const std::uint8_t> address = endpoint.address.bytes();
  const std::uint16_t port = endpoint.port.number;
  const std::array port_bytes{static_cast<std::uint8_t>(port >> 8),
                              static_cast<std::uint8_t>(port & 0xff)};
  const bool is_ipv4 = endpoint.address.family() == Family::ipv4;

  AnnouncementText text;
  switch (original.kind) {
    case AnnouncementKind::port:
    case AnnouncementKind::reply_227:
      if (!is_ipv4) return {};
      print_list(text, address);
      print_list(text, port_bytes);
      return text;

    case AnnouncementKind::lprt:
    case AnnouncementKind::reply_228:
      text.append(is_ipv4 ? "4,4" : "6,16");
      print_list(text, address);
      text.append(",2");
      print_list(text, port_bytes);
      return text;

    case AnnouncementKind::eprt:
    case AnnouncementKind::reply_229:
      break;
  }

  if (original.address) {
    std::array<char, INET6_ADDRSTRLEN> numeric{};
    inet_ntop(is_ipv4 ? AF_INET : AF_INET6, address.data(), numeric.data(), numeric.size());
    const std::string_view address_text{numeric.data()};
    if (address_text.find(original.delimiter) != std::string_view::npos) return {};

    const std::string_view delimiter{&original.delimiter, 1};
    text.append(is_ipv4 ? "1" : "2");
    text.append(delimiter);
    text.append(address_text);
    text.append(delimiter);
  }
  text.append_number(port);
  return text;
}

}  // namespace ftpalg
