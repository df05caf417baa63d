// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/session.h"

#include <algorithm>

namespace ftpalg {
namespace {

constexpr std::uint16_t open_reply_lines_max = 1000;
constexpr std::uint32_t open_reply_bytes_max = 64 * 1024;

constexpr bool is_preliminary(std::uint16_t code) {
  return code < 200;
}
constexpr bool is_positive(std::uint16_t code) {
  return code >= 200 && code < 300;
}
constexpr bool is_intermediate(std::uint16_t code) {
  return code >= 300 && code < 400;
}
constexpr bool is_refusal(std::uint16_t code) {
  return code >= 400 && code < 600;
}
constexpr bool says_logged_in(std::uint16_t code) {
  return code == 230 || code == 232;
}

/// Whether `code` can be the final reply to `verb`. An ABOR has two (RFC 959, section 4.1.3), so a
/// reply that ends a transfer may come when the transfer is no longer pending; it must not be taken
/// for the answer to a PASV.
bool can_answer(Verb verb, std::uint16_t code) {
  const bool ends_transfer =
      code == 225 || code == 226 || code == 250 || code == 426 || code == 451 || code == 452;
  return verb != Verb::passive || !ends_transfer;
}

}  // namespace

bool Session::Pending::push(Verb verb) {
  if (size_ == commands_max) return false;
  verbs_[size_++] = verb;
  return true;
}

void Session::Pending::drop_front(std::size_t count) {
  std::copy(verbs_.begin() + static_cast<std::ptrdiff_t>(count), verbs_.begin() + size_,
            verbs_.begin());
  size_ = static_cast<std::uint8_t>(size_ - count);
}

std::optional<std::size_t> Session::Pending::find(Verb verb) const {
  const auto end = verbs_.begin() + size_;
  const auto found = std::find(verbs_.begin(), end, verb);
  if (found == end) return std::nullopt;
  return static_cast<std::size_t>(found - verbs_.begin());
}

Session Session::from_start() {
  return {};
}

Session Session::adopted() {
  Session session;
  session.phase_ = Phase::talking;
  session.logged_in_ = true;
  return session;
}

Meaning Session::leave_alone(Reason reason) {
  phase_ = Phase::left_alone;
  return {Meaning::Kind::ends_parsing, reason};
}

Meaning Session::turn_opaque() {
  phase_ = Phase::opaque;
  return {Meaning::Kind::ends_parsing, Reason::opaque};
}

Meaning Session::announcement(AnnouncementKind kind, std::size_t begin, Reason objection) const {
  const auto meaning =
      objection == Reason::none ? Meaning::Kind::announces : Meaning::Kind::would_announce;
  return {meaning, objection, kind, begin};
}

Reason Session::objection_to_command(bool earlier_unanswered, const Policy& policy) const {
  if (policy.login_required && !logged_in_) return Reason::not_logged_in;
  if (epsv_all_) return Reason::epsv_all;
  if (policy.active_needs_quiet && earlier_unanswered) return Reason::command_unanswered;
  return Reason::none;
}

Meaning Session::on_command(std::string_view line, bool fit, const Policy& policy) {
  if (!is_parsed() || phase_ == Phase::auth_sent) return {};

  const Command command = fit ? read_command(line) : Command{};
  const bool is_first = phase_ != Phase::talking;
  const bool came_before_greeting = phase_ == Phase::greeting;
  if (is_first && (came_before_greeting || command.verb == Verb::unknown)) {
    return leave_alone(Reason::not_ftp);
  }
  phase_ = command.verb == Verb::auth ? Phase::auth_sent : Phase::talking;

  const bool earlier_unanswered = !pending_.empty();
  if (!pending_.push(command.verb)) return leave_alone(Reason::too_much_unanswered);

  const auto kind = announcement_of(command.verb);
  if (!kind) return {};
  return announcement(*kind, command.verb_begin, objection_to_command(earlier_unanswered, policy));
}

Meaning Session::on_reply(std::string_view line, bool fit, const Policy& policy) {
  if (!is_parsed()) return {};

  const auto reply = fit ? read_reply(line) : std::nullopt;
  if (open_reply_ != 0) {
    ++open_reply_lines_;
    open_reply_bytes_ += static_cast<std::uint32_t>(line.size());
    const bool closes = reply && reply->code == open_reply_ && !reply->continues;
    if (!closes) {
      const bool too_long =
          open_reply_lines_ > open_reply_lines_max || open_reply_bytes_ > open_reply_bytes_max;
      return too_long ? leave_alone(Reason::reply_too_long) : Meaning{};
    }
    open_reply_ = 0;
  }
  if (!reply) return {};
  if (reply->continues) {
    open_reply_ = reply->code;
    open_reply_lines_ = 1;
    open_reply_bytes_ = static_cast<std::uint32_t>(line.size());
    return {};
  }
  return is_preliminary(reply->code) ? Meaning{} : on_final_reply(reply->code, policy);
}

Meaning Session::on_final_reply(std::uint16_t code, const Policy& policy) {
  if (phase_ == Phase::greeting) {
    if (code != 220) return leave_alone(Reason::not_ftp);
    phase_ = Phase::first_command;
    return {};
  }
  if (says_logged_in(code)) logged_in_ = true;

  // "229 EPSV ALL Successful." answers EPSV ALL; any other 227, 228 and 229 stands for an
  // announcement.
  const auto kind = announcement_of(code);
  if (kind && pending_.front() != Verb::epsv_all) return on_passive_reply(*kind, policy);

  const Verb answered = pending_.front();
  if (pending_.empty() || !can_answer(answered, code)) return {};
  pending_.drop_front(1);
  return on_answer(answered, code);
}

Meaning Session::on_passive_reply(AnnouncementKind kind, const Policy& policy) {
  const auto asked = pending_.find(Verb::passive);
  if (!asked) return announcement(kind, 0, Reason::unsolicited_reply);
  // Servers answer in order: what was asked before has been answered, or never will be.
  pending_.drop_front(*asked + 1);

  Reason objection = Reason::none;
  if (policy.login_required && !logged_in_) objection = Reason::not_logged_in;
  if (epsv_all_ && kind != AnnouncementKind::reply_229) objection = Reason::epsv_all;
  return announcement(kind, 0, objection);
}

Meaning Session::on_answer(Verb verb, std::uint16_t code) {
  switch (verb) {
    case Verb::auth:
      if (is_positive(code) || is_intermediate(code)) return turn_opaque();
      phase_ = Phase::talking;
      return {};
    case Verb::rein:
      if (!is_positive(code)) return {};
      logged_in_ = false;
      epsv_all_ = false;
      pending_.clear();
      return {Meaning::Kind::ends_expectation};
    case Verb::epsv_all:
      if (is_positive(code)) epsv_all_ = true;
      return {};
    case Verb::port:
    case Verb::eprt:
    case Verb::lprt:
      return is_positive(code) ? Meaning{} : Meaning{Meaning::Kind::ends_expectation};
    case Verb::transfer:
      return is_refusal(code) ? Meaning{Meaning::Kind::ends_expectation} : Meaning{};
    default:
      return {};
  }
}

bool Session::may_announce(Direction direction, const Policy& policy) const {
  if (!is_parsed()) return false;
  if (policy.login_required && !logged_in_) return false;
  return direction == Direction::original ? phase_ != Phase::auth_sent && !epsv_all_
                                          : pending_.find(Verb::passive).has_value();
}

}  // namespace ftpalg
