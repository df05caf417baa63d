// SPDX-License-Identifier: GPL-2.0-or-later
// Any line as an announcement: what is read lies inside the line, and what is printed in its place
// is read as what was printed.
#include <string>

#include "alg/host_port.h"
#include "input.h"

namespace ftpalg::fuzz {
namespace {

void require_readable(AnnouncementKind kind, const std::string& line,
                      const Announcement& announcement, const Endpoint& endpoint) {
  const AnnouncementText text = print_announcement(announcement, endpoint);
  if (text.view().empty()) return;  // the format cannot say it
  require(text.view().size() <= AnnouncementText::bytes_max, "bounded");
  std::string edited = line;
  edited.replace(announcement.begin, announcement.end - announcement.begin, text.view());
  const auto again = parse_announcement(kind, edited);
  require(again.has_value(), "what was printed can be read");
  require(again->port == endpoint.port, "same port");
  require(again->address.has_value() == announcement.address.has_value(), "address or none");
  require(!again->address || *again->address == endpoint.address, "same address");
  require(
      again->begin == announcement.begin && again->end == announcement.begin + text.view().size(),
      "same place");
}

}  // namespace
}  // namespace ftpalg::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ftpalg;
  fuzz::Input input(data, size);
  const auto kind = static_cast<AnnouncementKind>(input.byte() % 6);
  const auto rest = input.rest();
  const std::string line(reinterpret_cast<const char*>(rest.data()), rest.size());
  const auto announcement = parse_announcement(kind, line);
  if (!announcement) {
    fuzz::require(!text(announcement.error()).empty(), "every error has its words");
    return 0;
  }
  fuzz::require(announcement->kind == kind, "kind");
  fuzz::require(announcement->begin < announcement->end && announcement->end <= line.size(),
                "inside the line");
  fuzz::require(announcement->port.number != 0, "port");
  const Address own = announcement->address.value_or(Address::ipv4(10, 0, 0, 1));
  static const Address other4 = Address::ipv4(203, 0, 113, 100);
  static const Address other6 = *Address::parse("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff");
  const Address& other = own.family() == Family::ipv4 ? other4 : other6;
  // Of several places that look like one the first that fits is taken; another length may make an
  // earlier one fit.
  const bool is_first = line.find('(') + 1 == announcement->begin;
  if (kind == AnnouncementKind::reply_229 && !is_first) return 0;
  for (const std::uint16_t port : {std::uint16_t{1}, std::uint16_t{1024}, std::uint16_t{65535}}) {
    fuzz::require_readable(kind, line, *announcement, {own, Port{port}});
    fuzz::require_readable(kind, line, *announcement, {other, Port{port}});
  }
  return 0;
}
