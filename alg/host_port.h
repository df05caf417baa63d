// SPDX-License-Identifier: GPL-2.0-or-later
// The host-port: the place in an FTP line that says where the data connection will go. Reading one,
// and printing another in its place. Formats by RFC 959 (PORT, 227), RFC 1639 (LPRT, 228) and RFC
// 2428 (EPRT, 229), and what tests/reply-formats.tsv shows of the field.
//
// Pure: no allocation, and nothing outside the given line is read. Whether an announcement is
// honoured is the session's and the policy's business; whether the line is a command or a whole
// reply at all is its reader's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <tl/expected.hpp>

#include "conntrack/address.h"

namespace ftpalg {

enum class AnnouncementKind : std::uint8_t { port, eprt, lprt, reply_227, reply_228, reply_229 };

/// What a line announces, and where in the line the text stands that a rewrite replaces.
struct Announcement {
  AnnouncementKind kind = AnnouncementKind::port;
  std::optional<Address> address;  ///< nothing: the control connection's peer (229, empty field)
  Port port;                       ///< 1 to 65535
  std::size_t begin = 0;           ///< the replaced text is line[begin, end)
  std::size_t end = 0;
  char delimiter = ',';  ///< EPRT and 229: the character between the fields; else ','

  bool operator==(const Announcement&) const = default;
};

/// Why a line announces nothing that could be acted upon.
enum class AnnouncementError : std::uint8_t {
  other_line,    ///< begins with another verb or code, or nothing separates that from the rest
  unfit_byte,    ///< a NUL, CR or LF inside the line
  no_host_port,  ///< no text of the format's shape
  several_host_ports,   ///< two places; a rewrite could mend one only
  touched_host_port,    ///< a '-', '.' or ',' beside it makes another thing of it
  trailing_text,        ///< a command that goes on after its host-port
  number_out_of_range,  ///< an element of a list that is not 0 to 255, or has more than three
                        ///< digits
  wrong_length,         ///< an address or port length that does not go with the address family
  unknown_family,       ///< neither IPv4 nor IPv6
  bad_address,          ///< not in numeric form, or of another family than the line says
  bad_port,             ///< not a number from 1 to 65535
};

/// The error as the end of a sentence about the line: "the port is not a number from 1 to 65535".
std::string_view text(AnnouncementError error);

/// Reads the announcement in `line`, a whole line without its line end: from the verb on for a
/// command
/// ("PORT 10,0,0,1,195,80"; the verb in any case, one or more blanks after it), from the code on
/// for a reply. Of a reply in several lines only the last may carry one.
///
/// Commands are read strictly: the host-port and nothing else, save blanks at the end, which
/// servers skip. Replies are read as clients do, who look for the host-port wherever it stands, but
/// only where all clients agree.
tl::expected<Announcement, AnnouncementError> parse_announcement(AnnouncementKind kind,
                                                                 std::string_view line);

/// Text that takes the place of a host-port. Holds its bytes itself.
class AnnouncementText {
 public:
  /// In bytes. The longest is an IPv6 LPRT: "6,16," 16 times "255," and "2,255,255".
  static constexpr std::size_t bytes_max = 80;

  std::string_view view() const { return {bytes_.data(), size_}; }

  void append(std::string_view more);
  void append_number(std::uint32_t number);

  /// For alg/state_bytes.h.
  template <typename Fields, typename Self>
  static void visit(Fields& fields, Self& self) {
    fields.number(self.size_, bytes_max);
    for (std::size_t at = 0; at < self.size_; ++at) fields(self.bytes_[at]);
  }

 private:
  std::array<char, bytes_max> bytes_{};
  std::size_t size_ = 0;
};

/// The text for line[begin, end) of `original` that announces `endpoint`, its numbers in canonical
/// decimal. Of a 229 without an address only the port is printed; that it is reached at the control
/// connection's peer stays as it was.
///
/// Empty when the format cannot say it: IPv6 in a PORT or 227, or an address that contains the
/// line's delimiter.
AnnouncementText print_announcement(const Announcement& original, const Endpoint& endpoint);

}  // namespace ftpalg
