// SPDX-License-Identifier: GPL-2.0-or-later
// The whole engine on its memory twins. The input is a sequence of operations: packets of either
// end of two control connections, with any numbers, flags and pieces of text; ticks; answers of the
// twins.
//
// Whatever comes: what goes out is a whole packet of the connection that it stands for; a session
// in which nothing was rewritten carries only bytes that its ends have sent, where they have sent
// them; there is one expectation per session at most, and none is left at the end.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "alg/engine.h"
#include "conntrack/memory_seams.h"
#include "valid_packet.h"

namespace ftpalg::fuzz {
namespace {

constexpr std::size_t sessions = 2;

/// Pieces of talk that make deep states reachable.
constexpr std::array<std::string_view, 24> phrases{
    "220 ready\r\n",
    "USER a\r\n",
    "331 who?\r\n",
    "PASS b\r\n",
    "230 in\r\n",
    "PASV\r\n",
    "EPSV\r\n",
    "227 Entering Passive Mode (192,168,100,200,195,80).\r\n",
    "229 Entering Extended Passive Mode (|||50000|)\r\n",
    "228 Long (4,4,192,168,100,200,2,195,80)\r\n",
    "PORT 10,0,0,2,195,80\r\n",
    "EPRT |1|10.0.0.2|50001|\r\n",
    "LPRT 4,4,10,0,0,2,2,195,82\r\n",
    "200 ok\r\n",
    "150 here\r\n",
    "226 done\r\n",
    "550 no\r\n",
    "RETR x\r\n",
    "NOOP\r\n",
    "AUTH TLS\r\n",
    "EPSV ALL\r\n",
    "REIN\r\n",
    "\xff\xf4\xff\xf2"
    "ABOR\r\n",
    "211-\r\n",
};

Endpoint at(const char* address, std::uint16_t port) {
  return {*Address::parse(address), Port{port}};
}

Master master_of(std::size_t session, bool nated) {
  const auto port = static_cast<std::uint16_t>(40000 + session);
  Master master;
  master.original = {at("10.0.0.2", port), nated ? at("9.9.9.9", 21) : at("192.168.100.200", 21)};
  master.reply = {at("192.168.100.200", 21),
                  nated ? at("203.0.113.100", port) : at("10.0.0.2", port)};
  master.has_carrier = true;
  return master;
}

/// Everything that was ever sent in a stream, and where.
class SentBytes {
 public:
  void note(Seq from, wire::Bytes bytes) {
    if (!bytes.empty()) pieces_.push_back({from, {bytes.begin(), bytes.end()}});
  }

  /// Each of `bytes` was sent at its position, in whichever piece.
  bool has(Seq from, wire::Bytes bytes) const {
    std::vector<bool> found(bytes.size());
    for (const Piece& piece : pieces_) {
      const Seq piece_end = piece.from + static_cast<std::int64_t>(piece.bytes.size());
      const Seq begin = std::max(from, piece.from);
      const Seq end = std::min(from + static_cast<std::int64_t>(bytes.size()), piece_end);
      for (Seq at = begin; at < end; at = at + 1) {
        const auto own = static_cast<std::size_t>(at - from);
        if (bytes[own] == piece.bytes[static_cast<std::size_t>(at - piece.from)]) found[own] = true;
      }
    }
    return std::ranges::all_of(found, [](bool is_found) { return is_found; });
  }

 private:
  struct Piece {
    Seq from;
    std::vector<std::uint8_t> bytes;
  };
  std::vector<Piece> pieces_;
};

struct End {
  Seq next;
  SentBytes sent;
};

class Play final : private Injector {
 public:
  explicit Play(Input& input) : input_(input), engine_(policy(), {masters_, expectations_, *this}) {
    const std::uint8_t setup = input_.byte();
    for (std::size_t session = 0; session < sessions; ++session) {
      known_[session] = master_of(session, (setup & 1) == 0);
      ends_[session][0].next = Seq{input_.number32()};
      ends_[session][1].next = Seq{input_.number32()};
      if ((setup & 2) == 0) begin(session);
    }
    for (const Master& master : known_) masters_.add(master);
    // A session that is logged in already, in most inputs.
    if ((setup & 4) == 0) log_in(0);
  }

  void run() {
    for (unsigned steps = 0; !input_.empty() && steps < steps_max; ++steps) step();
    engine_.withdraw_all(now_);
    require(expectations_.all().empty(), "no expectation is left at the end");
    require(engine_.connections() == 0, "no connection is left at the end");
  }

 private:
  static constexpr unsigned steps_max = 400;

  Policy policy() {
    Policy policy;
    const std::uint8_t choice = input_.byte();
    policy.offset_owner = (choice & 1) == 0 ? OffsetOwner::kernel : OffsetOwner::engine;
    policy.active_needs_quiet = (choice & 2) == 0;
    policy.login_required = (choice & 4) == 0;
    policy.sessions_max = (choice & 8) == 0 ? 100 : 1;
    if ((choice & 16) != 0) policy.data_ports = PortRange{Port{50000}, Port{50003}};
    if ((choice & 32) != 0) {
      policy.refused_commands = {{*Network::parse("10.0.0.0/8"), {"STOR", "RETR"}}};
      overwrites_ = true;
    }
    if ((choice & 64) != 0) policy.done_mark = 0;
    if ((choice & 128) != 0) policy.kept_bytes_max = 100;
    return policy;
  }

  void begin(std::size_t session) {
    packet(session, Direction::original, ends_[session][0].next, Segment::syn_flag, {});
    packet(session, Direction::reply, ends_[session][1].next, Segment::syn_flag | Segment::ack_flag,
           {});
  }

  void log_in(std::size_t session) {
    constexpr std::array talk{0, 1, 2, 3, 4};
    for (const int phrase : talk) {
      say(session, phrase % 2 == 0 ? Direction::reply : Direction::original,
          phrases[static_cast<std::size_t>(phrase)]);
    }
  }

  void say(std::size_t session, Direction direction, std::string_view text) {
    packet(session, direction, ends_[session][static_cast<std::size_t>(direction)].next,
           Segment::ack_flag, text);
  }

  void step() {
    const std::uint8_t choice = input_.byte();
    const std::size_t session = (choice & 0x10) != 0 ? 1 : 0;
    const Direction direction = (choice & 0x20) != 0 ? Direction::reply : Direction::original;
    End& end = ends_[session][static_cast<std::size_t>(direction)];
    switch (choice & 0x0f) {
      case 0:
      case 1:
      case 2:  // a phrase
        say(session, direction, phrases[input_.byte() % phrases.size()]);
        return;
      case 3:
      case 4: {  // the start of a phrase, and its rest
        const std::string_view phrase = phrases[input_.byte() % phrases.size()];
        const std::size_t cut = input_.byte() % phrase.size();
        say(session, direction, phrase.substr(0, cut));
        say(session, direction, phrase.substr(cut));
        return;
      }
      case 5:  // any text
        say(session, direction, input_.text(input_.byte() % 64));
        return;
      case 6: {  // a long text
        const std::size_t length = input_.number16() % 3000;
        const std::string text(length, static_cast<char>(input_.byte()));
        say(session, direction, text);
        return;
      }
      case 7: {  // something old again, with this content
        const Seq from = end.next + -std::int64_t{input_.byte()};
        const std::size_t length = input_.byte();
        packet(session, direction, from, Segment::ack_flag, input_.text(length));
        return;
      }
      case 8: {  // something too early
        const Seq from = end.next + std::int64_t{input_.byte()};
        packet(session, direction, from, Segment::ack_flag,
               phrases[input_.byte() % phrases.size()]);
        return;
      }
      case 9: {  // a phrase that was sent before, once more, or its end only
        const std::string_view phrase = phrases[input_.byte() % phrases.size()];
        const Seq from = end.next + -static_cast<std::int64_t>(phrase.size());
        const std::size_t cut = input_.byte() % phrase.size();
        packet(session, direction, from + static_cast<std::int64_t>(cut), Segment::ack_flag,
               phrase.substr(cut));
        return;
      }
      case 10: {  // any flags
        const Seq from = end.next + static_cast<std::int8_t>(input_.byte());
        const std::uint8_t flags = input_.byte();
        packet(session, direction, from, flags, input_.text(input_.byte() % 16));
        return;
      }
      case 11:  // an acknowledgement that says anything
        ack_shift_ = static_cast<std::int8_t>(input_.byte());
        say(session, direction, {});
        return;
      case 12:
        now_ += std::chrono::seconds{input_.byte()};
        engine_.on_tick(now_);
        return;
      case 13:
        answers();
        return;
      case 14: {  // any packet at all
        const auto bytes = input_.bytes(input_.byte());
        const std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
        judge(0, engine_.on_packet(copy, now_), copy, false);
        return;
      }
      default:
        begin(session);
    }
  }

  void answers() {
    const std::uint8_t choice = input_.byte();
    constexpr std::array offsets{OffsetResult::done, OffsetResult::unsupported,
                                 OffsetResult::failed};
    masters_.answer_offsets_with(offsets[choice % 3]);
    masters_.answer_marks_with((choice & 8) == 0 ? MarkResult::done : MarkResult::failed);
    injector_works_ = (choice & 0x10) == 0;
    const unsigned expects = choice >> 5;
    expectations_.answer_with(expects == 1   ? std::optional{ExpectationResult::busy}
                              : expects == 2 ? std::optional{ExpectationResult::failed}
                                             : std::nullopt);
  }

  void packet(std::size_t session, Direction direction, Seq seq, std::uint8_t flags,
              std::string_view text) {
    const auto side = static_cast<std::size_t>(direction);
    End& end = ends_[session][side];
    const End& other = ends_[session][1 - side];
    const Master& master = known_[session];
    const Tuple& tuple = direction == Direction::original ? master.original : master.reply;

    std::vector<std::uint8_t> bytes(40);
    bytes[0] = 0x45;
    bytes[8] = 64;
    bytes[9] = 6;
    std::ranges::copy(tuple.source.address.bytes(), bytes.begin() + 12);
    std::ranges::copy(tuple.destination.address.bytes(), bytes.begin() + 16);
    wire::write16(bytes, 20, tuple.source.port.number);
    wire::write16(bytes, 22, tuple.destination.port.number);
    wire::write32(bytes, 24, seq.number);
    wire::write32(bytes, 28, (other.next + ack_shift_).number);
    ack_shift_ = 0;
    bytes[32] = 5 << 4;
    bytes[33] = flags;
    wire::write16(bytes, 34, 64000);
    bytes.insert(bytes.end(), text.begin(), text.end());
    wire::write16(bytes, 2, static_cast<std::uint16_t>(bytes.size()));
    bytes.shrink_to_fit();

    const bool has_syn = (flags & Segment::syn_flag) != 0;
    const Seq begin = seq + (has_syn ? 1 : 0);
    end.sent.note(begin, wire::Bytes{bytes}.subspan(40));
    const Seq after = begin + static_cast<std::int64_t>(text.size());
    if (end.next <= after) end.next = after;
    judge(session, engine_.on_packet(bytes, now_), bytes, true);
  }

  void judge(std::size_t session, const Outcome& outcome, wire::Bytes packet, bool is_known) {
    for (const Decision& decision : outcome.decisions) {
      if (decision.action == Action::rewrite) rewritten_ = true;
      require(!text(decision.reason).empty() || decision.reason == Reason::none, "words");
    }
    require(expectations_.all().size() <= sessions, "one expectation per session at most");
    require(engine_.connections() <= sessions + 300, "connections are bounded");
    if (outcome.verdict.action != Verdict::Action::replace) return;
    const Segment leaving = require_valid(outcome.verdict.packet);
    const auto arriving = Segment::parse(packet);
    require(arriving && leaving.tuple() == arriving->tuple(), "it stays on its connection");
    if (is_known) require_own_bytes(session, leaving);
  }

  /// Only while nothing at all was rewritten: then numbers are the sender's own.
  void require_own_bytes(std::size_t session, const Segment& leaving) {
    if (rewritten_ || overwrites_) return;
    const std::size_t side = leaving.tuple() == known_[session].original ? 0 : 1;
    require(ends_[session][side].sent.has(leaving.payload_seq(), leaving.payload()),
            "what leaves is what was sent there");
  }

  InjectResult send(std::span<const std::uint8_t> packet, InjectAs as) override {
    const Segment segment = require_valid(packet);
    std::size_t session = 0;
    const auto belongs = [&](const Master& master) {
      const Tuple& tuple = segment.tuple();
      return as == InjectAs::tracked
                 ? tuple == master.original || tuple == master.reply
                 : tuple == master.original.reversed() || tuple == master.reply.reversed();
    };
    while (session < sessions && !belongs(known_[session])) ++session;
    require(session < sessions, "it injects into known sessions only");
    if (as == InjectAs::untracked) {
      require(segment.payload().empty(), "an acknowledgement brings nothing");
    } else {
      require_own_bytes(session, segment);
    }
    return injector_works_ ? InjectResult::sent : InjectResult::failed;
  }

  Input& input_;
  bool overwrites_ = false;  ///< some commands are refused
  MemoryMasters masters_;
  MemoryExpectations expectations_;
  Engine engine_;
  std::array<Master, sessions> known_;
  std::array<std::array<End, 2>, sessions> ends_;
  std::int64_t ack_shift_ = 0;
  bool injector_works_ = true;
  bool rewritten_ = false;
  Time now_{};
};

}  // namespace
}  // namespace ftpalg::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ftpalg::fuzz::Input input(data, size);
  ftpalg::fuzz::Play(input).run();
  return 0;
}
