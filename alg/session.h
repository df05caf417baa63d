// SPDX-License-Identifier: GPL-2.0-or-later
// The session: how far the talk between client and server has come, and so what a line means.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "alg/ftp_line.h"
#include "alg/policy.h"
#include "alg/reason.h"
#include "conntrack/tuple.h"

namespace ftpalg {

/// What a line means to the gateway.
struct Meaning {
  enum class Kind : std::uint8_t {
    nothing,           ///< no more than a line that passes
    announces,         ///< the session allows this line to open a data connection
    would_announce,    ///< it has the shape of an announcement, but `reason` forbids that it opens
                       ///< anything
    ends_expectation,  ///< the announced data connection will not come
    ends_parsing,      ///< from here on no line is looked at; `reason` says why
  };
  Kind kind = Kind::nothing;
  Reason reason = Reason::none;
  AnnouncementKind announcement{};  ///< with announces and would_announce
  /// With announces and would_announce: where in the line the announcement begins, behind Telnet
  /// sequences.
  std::size_t begin = 0;
};

class Session {
 public:
  /// A talk that is seen from its SYN on.
  static Session from_start();
  /// A talk that was under way when the gateway came: it is taken to be FTP, logged in, and without
  /// pending commands.
  static Session adopted();

  /// Lines are given in the order of their stream, without line end. `fit` is false for one that is
  /// too long or holds bytes that no FTP line may hold (protocol rule 1): its text is not looked
  /// at.
  Meaning on_command(std::string_view line, bool fit, const Policy& policy);
  Meaning on_reply(std::string_view line, bool fit, const Policy& policy);
  /// A command has no final reply yet: a transfer may be under way.
  bool awaits_reply() const { return !pending_.empty(); }
  /// No answer to the last command is waited for.
  void take_back_command();
  /// In the place of on_command, for a command that the server is given as a word it does not know.
  Meaning on_refused_command();

  /// The client began to speak TLS.
  Meaning turn_opaque();

  /// The connection is plain again. Whoever gave up encryption had logged in under it.
  void resume();

  bool is_parsed() const { return phase_ != Phase::opaque && phase_ != Phase::left_alone; }
  bool is_opaque() const { return phase_ == Phase::opaque; }

  /// True while the next line in `direction` could be an announcement that opens something.
  bool may_announce(Direction direction, const Policy& policy) const;

  /// For alg/state_bytes.h.
  template <typename Fields, typename Self>
  static void visit(Fields& fields, Self& self) {
    fields.choice(self.phase_, Phase::left_alone);
    fields(self.logged_in_, self.epsv_all_, self.open_reply_, self.open_reply_lines_,
           self.open_reply_bytes_, self.pending_);
  }

 private:
  enum class Phase : std::uint8_t {
    greeting,       ///< nothing but 120 has been heard
    first_command,  ///< 220 heard, the client has said nothing yet
    talking,
    auth_sent,  ///< AUTH is unanswered: client bytes may already be another protocol's
    opaque,
    left_alone,
  };

  enum class Effect : std::uint8_t {
    log_in,
    allow_epsv_only,
    start_over,
    turn_opaque,
    resume,
    end_expectation,
  };

  // The rows of the tables in session.cc, which say how a talk goes.
  enum class Event : std::uint8_t;
  struct Step;
  struct Answer;
  struct Need;
  struct Tables;

  /// The commands without a final reply, oldest first.
  class Pending {
   public:
    static constexpr std::size_t commands_max = 32;
    bool push(Verb verb);
    /// The oldest, or unknown when there is none.
    Verb front() const { return size_ == 0 ? Verb::unknown : verbs_[0]; }
    bool begins_unknown() const { return !empty() && front() == Verb::unknown; }
    Verb at(std::size_t index) const { return verbs_[index]; }
    void drop_front(std::size_t count);
    void drop_back() { size_ = static_cast<std::uint8_t>(empty() ? 0 : size_ - 1); }
    void clear() { size_ = 0; }
    bool empty() const { return size_ == 0; }
    std::optional<std::size_t> find(Verb verb) const;
    std::optional<std::size_t> answered_by(std::uint16_t code) const;

    template <typename Fields, typename Self>
    static void visit(Fields& fields, Self& self) {
      fields.number(self.size_, commands_max);
      for (std::size_t at = 0; at < self.size_; ++at) fields.choice(self.verbs_[at], Verb::abor);
    }

   private:
    std::array<Verb, commands_max> verbs_{};
    std::uint8_t size_ = 0;
  };

  /// In which an announcement comes.
  struct Circumstances {
    bool is_quiet;  ///< no earlier command is unanswered
    bool is_asked;  ///< a command that asks for it is unanswered
  };

  bool follow(Event event);
  Meaning leave_alone(Reason reason);
  Meaning on_final_reply(std::uint16_t code, const Policy& policy);
  Meaning on_passive_reply(AnnouncementKind kind, const Policy& policy);
  Meaning take_effect(Effect effect);
  Meaning announcement(AnnouncementKind kind, std::size_t begin, Circumstances circumstances,
                       const Policy& policy) const;
  Reason objection(AnnouncementKind kind, Circumstances circumstances, const Policy& policy) const;

  Phase phase_ = Phase::greeting;
  bool logged_in_ = false;
  bool epsv_all_ = false;
  std::uint16_t open_reply_ = 0;  ///< the code that a reply in several lines waits for, or 0
  std::uint16_t open_reply_lines_ = 0;
  std::uint32_t open_reply_bytes_ = 0;
  Pending pending_;
};

}  // namespace ftpalg
