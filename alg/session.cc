// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/session.h"

#include <algorithm>

namespace ftpalg {
namespace {

constexpr std::uint16_t open_reply_lines_max = 1000;
constexpr std::uint32_t open_reply_bytes_max = 64 * 1024;

/// Replies by their first digit (RFC 959, section 4.2), and the two that say who is logged in.
enum ReplyClass : unsigned {
  positive = 1U << 0U,      ///< 2xx
  intermediate = 1U << 1U,  ///< 3xx
  refusal = 1U << 2U,       ///< 4xx and 5xx
  logged_in = 1U << 3U,     ///< 230 and 232
};

constexpr unsigned classes_of(std::uint16_t code) {
  const unsigned login = code == 230 || code == 232 ? logged_in : 0U;
  if (code >= 200 && code < 300) return positive | login;
  if (code >= 300 && code < 400) return intermediate;
  if (code >= 400 && code < 600) return refusal;
  return 0;
}

constexpr bool is_preliminary(std::uint16_t code) {
  return code < 200;
}

}  // namespace

// --- The tables. The numbers are those of the protocol rules.

enum class Session::Event : std::uint8_t {
  greeting,       ///< the server's 220
  other_reply,    ///< any other final reply
  ftp_command,    ///< a command that we know, but AUTH
  auth_command,   ///< AUTH
  foreign_words,  ///< a client line that is no FTP command
};

/// Where a talk goes from where it is.
struct Session::Step {
  Phase from;
  Event event;
  Phase to;
};

/// What the final reply to a command does.
struct Session::Answer {
  Verb verb;
  unsigned classes;  ///< any of these
  Effect effect;
};

/// What an announcement needs of the talk, besides a login (9).
struct Session::Need {
  AnnouncementKind kind;
  bool quiet;           ///< 10: no earlier command is unanswered
  bool question;        ///< 7: PASV, EPSV, LPSV or CPSV is unanswered
  bool after_epsv_all;  ///< 11: it may still come
};

struct Session::Tables {
  /// What has no row changes nothing.
  static constexpr std::array steps{
      // 9: the server speaks first, and an FTP command is the first word of the client.
      Step{Phase::greeting, Event::greeting, Phase::first_command},
      Step{Phase::greeting, Event::other_reply, Phase::left_alone},
      Step{Phase::greeting, Event::ftp_command, Phase::left_alone},
      Step{Phase::greeting, Event::auth_command, Phase::left_alone},
      Step{Phase::greeting, Event::foreign_words, Phase::left_alone},
      Step{Phase::first_command, Event::ftp_command, Phase::talking},
      Step{Phase::first_command, Event::auth_command, Phase::auth_sent},
      Step{Phase::first_command, Event::foreign_words, Phase::left_alone},
      // 13: after AUTH the client may speak another protocol.
      Step{Phase::talking, Event::auth_command, Phase::auth_sent},
  };

  /// What has no row does nothing.
  static constexpr std::array answers{
      // 9: USER, then 230 or 232.
      Answer{Verb::user, logged_in, Effect::log_in},
      Answer{Verb::login, logged_in, Effect::log_in},
      // 11
      Answer{Verb::epsv_all, positive, Effect::allow_epsv_only},
      // 12
      Answer{Verb::rein, positive, Effect::start_over},
      // 13
      Answer{Verb::auth, positive | intermediate, Effect::turn_opaque},
      Answer{Verb::auth, refusal, Effect::resume},
      // 28: active announcements stand only with a 2xx.
      Answer{Verb::port, intermediate | refusal, Effect::end_expectation},
      Answer{Verb::eprt, intermediate | refusal, Effect::end_expectation},
      Answer{Verb::lprt, intermediate | refusal, Effect::end_expectation},
      // 27: a transfer that is refused.
      Answer{Verb::transfer, refusal, Effect::end_expectation},
  };

  // clang-format off
  static constexpr std::array needs{
      //                                quiet  question  after EPSV ALL
      Need{AnnouncementKind::port,      true,  false,    false},
      Need{AnnouncementKind::eprt,      true,  false,    false},
      Need{AnnouncementKind::lprt,      true,  false,    false},
      Need{AnnouncementKind::reply_227, false, true,     false},
      Need{AnnouncementKind::reply_228, false, true,     false},
      Need{AnnouncementKind::reply_229, false, true,     true},
  };
  // clang-format on
};

// --- Pending commands

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

/// Whose final reply `code` is. Servers answer in order, but an ABOR has two replies (RFC 959,
/// section 4.1.3): what ends a transfer may come when the transfer is no longer pending, and is not
/// the answer to a PASV. A 230 or 232 is for the one who logs in. A command that is not known may
/// be answered by anything.
std::optional<std::size_t> Session::Pending::answered_by(std::uint16_t code) const {
  if ((classes_of(code) & logged_in) != 0) {
    const auto user = find(Verb::user);
    const auto login = user ? user : find(Verb::login);
    return login || !begins_unknown() ? login : 0;
  }
  const bool ends_transfer =
      code == 225 || code == 226 || code == 250 || code == 426 || code == 451 || code == 452;
  if (empty() || (ends_transfer && front() == Verb::passive)) return std::nullopt;
  return 0;
}

// --- Talk

Session Session::from_start() {
  return {};
}

Session Session::adopted() {
  Session session;
  session.phase_ = Phase::talking;
  session.logged_in_ = true;
  return session;
}

bool Session::follow(Event event) {
  const auto step = std::find_if(
      Tables::steps.begin(), Tables::steps.end(),
      [&](const Step& candidate) { return candidate.from == phase_ && candidate.event == event; });
  if (step != Tables::steps.end()) phase_ = step->to;
  return phase_ != Phase::left_alone;
}

Meaning Session::leave_alone(Reason reason) {
  phase_ = Phase::left_alone;
  return {Meaning::Kind::ends_parsing, reason};
}

Meaning Session::turn_opaque() {
  phase_ = Phase::opaque;
  return {Meaning::Kind::ends_parsing, Reason::opaque};
}

void Session::resume() {
  *this = adopted();
}

Meaning Session::on_command(std::string_view line, bool fit, const Policy& policy) {
  if (!is_parsed() || phase_ == Phase::auth_sent) return {};

  const Command command = fit ? read_command(line) : Command{};
  const bool is_first = phase_ != Phase::talking;
  if (command.verb != Verb::unknown || is_first) {
    const Event event = command.verb == Verb::unknown ? Event::foreign_words
                        : command.verb == Verb::auth  ? Event::auth_command
                                                      : Event::ftp_command;
    if (!follow(event)) return leave_alone(Reason::not_ftp);
  }
  const bool is_quiet = pending_.empty();
  if (!pending_.push(command.verb)) return leave_alone(Reason::too_much_unanswered);

  const auto kind = announcement_of(command.verb);
  if (!kind) return {};
  return announcement(*kind, command.verb_begin, {is_quiet, false}, policy);
}

void Session::take_back_command() {
  // What AUTH begins ends with its answer.
  if (phase_ == Phase::talking) pending_.drop_back();
}

Meaning Session::on_refused_command() {
  if (!is_parsed() || phase_ == Phase::auth_sent) return {};
  if (!follow(Event::ftp_command)) return leave_alone(Reason::not_ftp);
  return pending_.push(Verb::unknown) ? Meaning{} : leave_alone(Reason::too_much_unanswered);
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
    const bool is_ftp = follow(code == 220 ? Event::greeting : Event::other_reply);
    return is_ftp ? Meaning{} : leave_alone(Reason::not_ftp);
  }
  // "229 EPSV ALL Successful." answers EPSV ALL; any other 227, 228 and 229 stands for an
  // announcement.
  const auto kind = announcement_of(code);
  if (kind && pending_.front() != Verb::epsv_all) return on_passive_reply(*kind, policy);

  const auto answered = pending_.answered_by(code);
  if (!answered) return {};
  const Verb verb = pending_.at(*answered);
  pending_.drop_front(*answered + 1);

  const auto answer =
      std::find_if(Tables::answers.begin(), Tables::answers.end(), [&](const Answer& candidate) {
        return candidate.verb == verb && (candidate.classes & classes_of(code)) != 0;
      });
  return answer == Tables::answers.end() ? Meaning{} : take_effect(answer->effect);
}

Meaning Session::on_passive_reply(AnnouncementKind kind, const Policy& policy) {
  const auto asked = pending_.find(Verb::passive);
  // Servers answer in order: what was asked before has been answered, or never will be.
  if (asked) {
    pending_.drop_front(*asked + 1);
  } else if (pending_.begins_unknown()) {
    pending_.drop_front(1);
  }
  return announcement(kind, 0, {false, asked.has_value()}, policy);
}

Meaning Session::take_effect(Effect effect) {
  switch (effect) {
    case Effect::log_in:
      logged_in_ = true;
      return {};
    case Effect::allow_epsv_only:
      epsv_all_ = true;
      return {};
    case Effect::start_over:
      logged_in_ = false;
      epsv_all_ = false;
      pending_.clear();
      return {Meaning::Kind::ends_expectation};
    case Effect::turn_opaque:
      return turn_opaque();
    case Effect::resume:
      phase_ = Phase::talking;
      return {};
    case Effect::end_expectation:
      return {Meaning::Kind::ends_expectation};
  }
  return {};
}

Meaning Session::announcement(AnnouncementKind kind, std::size_t begin, Circumstances circumstances,
                              const Policy& policy) const {
  const Reason reason = objection(kind, circumstances, policy);
  const auto meaning =
      reason == Reason::none ? Meaning::Kind::announces : Meaning::Kind::would_announce;
  return {meaning, reason, kind, begin};
}

Reason Session::objection(AnnouncementKind kind, Circumstances circumstances,
                          const Policy& policy) const {
  const Need& need = *std::find_if(Tables::needs.begin(), Tables::needs.end(),
                                   [&](const Need& candidate) { return candidate.kind == kind; });
  if (need.question && !circumstances.is_asked) return Reason::unsolicited_reply;
  if (policy.login_required && !logged_in_) return Reason::not_logged_in;
  if (epsv_all_ && !need.after_epsv_all) return Reason::epsv_all;
  if (need.quiet && policy.active_needs_quiet && !circumstances.is_quiet) {
    return Reason::command_unanswered;
  }
  return Reason::none;
}

bool Session::may_announce(Direction direction, const Policy& policy) const {
  if (!is_parsed()) return false;
  if (policy.login_required && !logged_in_) return false;
  return direction == Direction::original ? phase_ != Phase::auth_sent && !epsv_all_
                                          : pending_.find(Verb::passive).has_value();
}

}  // namespace ftpalg
