// SPDX-License-Identifier: GPL-2.0-or-later
// Any talk, line by line: what the session allows is never more than the rules do.
//
// The input is text: each line's first character says who speaks, 'C' or 'S'; '!' before it makes
// the line unfit.
#include <string>

#include "alg/session.h"
#include "input.h"

namespace ftpalg::fuzz {
namespace {

class Talk {
 public:
  explicit Talk(bool adopted, const Policy& policy)
      : session_(adopted ? Session::adopted() : Session::from_start()),
        policy_(policy),
        may_be_logged_in_(adopted) {}

  void line(std::string_view input) {
    bool fit = true;
    if (input.starts_with('!')) {
      fit = false;
      input.remove_prefix(1);
    }
    if (input.empty()) return;
    const Direction direction = input.front() == 'S' ? Direction::reply : Direction::original;
    // A copy of its own size: reading past it is found.
    const std::string text(input.substr(1));
    const bool was_parsed = session_.is_parsed();
    const bool might_announce = session_.may_announce(direction, policy_);
    const Meaning meaning = direction == Direction::original
                                ? session_.on_command(text, fit, policy_)
                                : session_.on_reply(text, fit, policy_);
    if (!was_parsed) {
      require(meaning.kind == Meaning::Kind::nothing, "nothing is read after the end of parsing");
      require(!session_.is_parsed(), "parsing does not begin again");
    }
    if (meaning.kind == Meaning::Kind::ends_parsing) {
      require(!session_.is_parsed(), "the end of parsing is the end");
    }
    if (meaning.kind == Meaning::Kind::announces) {
      // What is not foreseen is not held back, and could not be edited when it comes in pieces.
      require(might_announce, "an announcement was foreseen");
      require(fit, "an unfit line announces nothing");
      require(meaning.begin <= text.size(), "the announcement begins inside the line");
      require(meaning.reason == Reason::none, "without an objection");
      require(is_active(meaning.announcement) == (direction == Direction::original),
              "rule 6: who may announce what");
      require(!policy_.login_required || may_be_logged_in_, "rule 9: not before the login");
      if (direction == Direction::reply) require(asked_passive_, "rule 7: not unasked");
    }
    note(direction, text, fit);
  }

 private:
  /// Over-estimates on purpose: these are bounds, not a second session.
  void note(Direction direction, const std::string& text, bool fit) {
    if (!fit) return;
    if (direction == Direction::reply) {
      may_be_logged_in_ |= text.starts_with("230") || text.starts_with("232");
      return;
    }
    asked_passive_ |= read_command(text).verb == Verb::passive;
  }

  Session session_;
  const Policy& policy_;
  bool may_be_logged_in_;
  bool asked_passive_ = false;
};

}  // namespace
}  // namespace ftpalg::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ftpalg;
  static Policy policy;
  fuzz::Input input(data, size);
  const std::uint8_t setup = input.byte();
  policy.login_required = (setup & 1) == 0;
  policy.active_needs_quiet = (setup & 2) == 0;
  fuzz::Talk talk((setup & 4) != 0, policy);
  const auto rest = input.rest();
  std::string_view text{reinterpret_cast<const char*>(rest.data()), rest.size()};
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    talk.line(text.substr(0, end));
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);
  }
  return 0;
}
