// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/record.h"

#include <algorithm>
#include <utility>

#include "alg/ftp_line.h"
#include "tools/redaction.h"

namespace ftpalg::tools {
namespace {

/// Rungs are forgotten so many at once, because the others have to move.
constexpr std::size_t rungs_forgotten_at_once = 8;

constexpr std::uint16_t first_final_code = 200;
constexpr std::uint16_t first_failure_code = 400;

std::string shortened(std::string text) {
  if (text.size() <= text_bytes_max) return text;
  text.resize(text_bytes_max - 3);
  return text += "...";
}

Rung::From from(Direction direction) {
  return direction == Direction::original ? Rung::From::client : Rung::From::server;
}

std::optional<AnnouncementKind> announcement_in(Direction direction, std::string_view line) {
  if (direction == Direction::original) return announcement_of(read_command(line).verb);
  const auto reply = read_reply(line);
  return reply ? announcement_of(reply->code) : std::nullopt;
}

/// The address that an announcement shows to its reader, where it shows one.
std::optional<Address> shown_address(Direction direction, std::string_view line) {
  const auto kind = announcement_in(direction, line);
  if (!kind) return std::nullopt;
  const std::size_t begin =
      direction == Direction::original ? read_command(line).verb_begin : telnet_bytes(line);
  const auto announcement = parse_announcement(*kind, line.substr(begin));
  return announcement ? announcement->address : std::nullopt;
}

bool is_opened(Reason reason) {
  return reason == Reason::rewritten || reason == Reason::expected;
}

std::string argument_of(std::string_view line, std::size_t verb_begin) {
  const std::size_t blank = line.find(' ', verb_begin);
  if (blank == std::string_view::npos) return {};
  return std::string{line.substr(std::min(line.find_first_not_of(' ', blank), line.size()))};
}

bool ends_transfer(std::uint16_t code) {
  return code == 226 || code == 250 || code >= first_failure_code;
}

}  // namespace

Record::Record(const Master& master, Witness::Beginning beginning, Time now, std::size_t rungs_max)
    : rungs_max_(rungs_max) {
  shown_.master = master;
  shown_.began = now;
  shown_.last_seen = now;
  // Taken to be logged in, as the engine takes it.
  greeted_ = logged_in_ = beginning == Witness::Beginning::under_way;
  settle_state();
  if (greeted_) {
    add({.at = now,
         .kind = Rung::Kind::note,
         .text = "the session was under way when the gateway came"});
  }
}

Record::Effect Record::on_line(const Witness::WitnessedLine& line, Time now) {
  shown_.last_seen = now;
  Rung rung{.at = now, .from = from(line.direction)};
  const bool is_command = line.direction == Direction::original;
  if (is_command && !line.start_certain) {
    // It may be the rest of a password.
    rung.kind = Rung::Kind::note;
    rung.text = "the end of a line, whose start nobody has seen";
  } else {
    rung.before = shortened(without_secret(line.direction, line.text));
  }
  if (line.decision != nullptr) {
    const Decision& decision = *line.decision;
    rung.action = decision.action;
    rung.reason = decision.reason;
    if (decision.after != decision.before && rung.kind == Rung::Kind::line) {
      rung.after = shortened(after_without_secret(decision));
    }
    if (decision.expectation) {
      rung.expectation = std::make_shared<const Expectation>(*decision.expectation);
    }
  }
  (is_command ? shown_.last_command : shown_.last_reply) =
      Said{rung.kind == Rung::Kind::line ? rung.before : rung.text, now};
  add(std::move(rung));

  Effect effect;
  if (is_command) {
    on_command(line, now);
  } else {
    effect = on_reply(line, now);
  }
  if (line.decision != nullptr) heed(*line.decision, now);
  settle_state();
  return effect;
}

void Record::on_decision(const Decision& decision, Time now) {
  shown_.last_seen = now;
  Rung rung{.at = now, .kind = Rung::Kind::note, .from = from(decision.direction)};
  rung.action = decision.action;
  rung.reason = decision.reason;
  rung.text = text(decision.reason);
  rung.before = shortened(without_secret(decision.direction, decision.before));
  // What has to come again is told of again.
  const bool is_repeated = !ladder_.empty() && ladder_.back().kind == Rung::Kind::note &&
                           ladder_.back().reason == rung.reason &&
                           ladder_.back().before == rung.before;
  if (!is_repeated) add(std::move(rung));
  heed(decision, now);
  settle_state();
}

void Record::on_left(Time now) {
  shown_.last_seen = now;
  // It was encrypted, or is nothing to be read: heed() knows which.
  if (is_read()) shown_.state = SessionState::left_alone;
}

void Record::on_end(Time now) {
  if (shown_.state == SessionState::ended) return;
  shown_.state = SessionState::ended;
  shown_.last_seen = now;
  add({.at = now, .kind = Rung::Kind::note, .text = "the control connection has ended"});
}

void Record::on_data_connection(DataConnection::State state, const Endpoint& came_to,
                                std::optional<std::uint64_t> to_client,
                                std::optional<std::uint64_t> to_server, Time now) {
  const bool has_closed = state == DataConnection::State::closed;
  std::optional<std::uint64_t> bytes;
  if (to_client || to_server) bytes = to_client.value_or(0) + to_server.value_or(0);
  if (has_closed && bytes) shown_.bytes = shown_.bytes.value_or(0) + *bytes;

  auto& data = shown_.data;
  if (!data || (data->advertised && data->advertised->port != came_to.port)) return;
  const bool is_new = data->state != state;
  data->to_client = to_client;
  data->to_server = to_server;
  if (is_new) {
    data->state = state;
    data->since = now;
  }
  // The server may have said before that it has closed, but not what has passed.
  if (!is_new && !has_closed) return;
  Rung rung{.at = now, .kind = Rung::Kind::data};
  rung.bytes = bytes;
  rung.text = has_closed ? "the data connection has closed" : "the data connection is open";
  add(std::move(rung));
}

void Record::shorten_ladder(std::size_t rungs) {
  if (ladder_.size() <= rungs) return;
  forgotten_ += ladder_.size() - rungs;
  ladder_.erase(ladder_.begin(), ladder_.end() - static_cast<std::ptrdiff_t>(rungs));
}

void Record::on_command(const Witness::WitnessedLine& line, Time now) {
  if (!line.start_certain) return;
  ++unanswered_;
  shown_.refused.reset();
  const Command command = read_command(line.text);
  switch (command.verb) {
    case Verb::user:
      logged_in_ = false;
      shown_.user = shortened(argument_of(line.text, command.verb_begin));
      break;
    case Verb::rein:
      logged_in_ = false;
      shown_.user.reset();
      break;
    case Verb::auth:
      shown_.tls = Tls::asked;
      break;
    case Verb::transfer:
      shown_.transfer_command = shown_.last_command->text;
      shown_.transfer_began = now;
      transfer_begun_ = false;
      break;
    default:
      break;
  }
}

Record::Effect Record::on_reply(const Witness::WitnessedLine& line, Time now) {
  const auto reply = read_reply(line.text);
  if (open_reply_ != 0) {
    if (!reply || reply->code != open_reply_ || reply->continues) return {};
    open_reply_ = 0;
  } else if (!reply) {
    return {};
  } else if (reply->continues) {
    open_reply_ = reply->code;
    return {};
  }
  if (reply->code >= first_final_code) return on_final_reply(reply->code, now);
  if (!shown_.transfer_command.empty()) transfer_begun_ = true;
  return {};
}

Record::Effect Record::on_final_reply(std::uint16_t code, Time now) {
  if (!greeted_) {
    greeted_ = true;
    return {};
  }
  if (unanswered_ > 0) --unanswered_;
  if (code == 230 || code == 232) logged_in_ = true;
  if (shown_.tls == Tls::asked && code >= first_failure_code) shown_.tls = Tls::none;
  if (shown_.transfer_command.empty() || !ends_transfer(code)) return {};

  transfer_begun_ = false;
  const bool is_done = code < first_failure_code;
  ++(is_done ? shown_.transfers_done : shown_.transfers_failed);
  if (shown_.data && is_done && shown_.data->state == DataConnection::State::expected) {
    shown_.data->state = DataConnection::State::closed;
    shown_.data->since = now;
  }
  return {is_done ? Effect::Transfer::done : Effect::Transfer::failed,
          std::exchange(shown_.transfer_command, {})};
}

/// What a decision says of the session.
void Record::heed(const Decision& decision, Time now) {
  if (decision.action == Action::wait) return;
  switch (decision.reason) {
    case Reason::opaque:
      shown_.state = SessionState::encrypted;
      shown_.tls = Tls::encrypted;
      shown_.left_for = decision.reason;
      return;
    case Reason::plain_again:
      shown_.state = SessionState::ready;
      shown_.tls = Tls::none;
      shown_.left_for = Reason::none;
      logged_in_ = true;
      unanswered_ = 0;
      return;
    case Reason::not_ftp:
    case Reason::too_much_unanswered:
    case Reason::reply_too_long:
      shown_.state = SessionState::left_alone;
      shown_.left_for = decision.reason;
      return;
    default:
      break;
  }
  if (decision.action == Action::refuse) {
    shown_.refused = Said{shortened(without_secret(decision.direction, decision.before)), now};
  }
  if (announcement_in(decision.direction, decision.before)) announce(decision, now);
}

void Record::announce(const Decision& decision, Time now) {
  using Mode = DataConnection::Mode;
  using State = DataConnection::State;
  DataConnection data;
  data.mode = decision.direction == Direction::original ? Mode::active : Mode::passive;
  data.state = is_opened(decision.reason) ? State::expected : State::refused;
  data.reason = decision.reason;
  data.since = data.announced_at = now;
  if (const auto& expectation = decision.expectation) {
    data.announced = expectation->inside;
    data.advertised = expectation->destination;
    data.who = expectation->source;
    if (const auto address = shown_address(decision.direction, decision.after)) {
      data.advertised->address = *address;
    }
  }
  shown_.data = data;
}

bool Record::is_read() const {
  return shown_.state != SessionState::encrypted && shown_.state != SessionState::left_alone &&
         shown_.state != SessionState::ended;
}

void Record::settle_state() {
  if (!is_read()) return;
  if (!greeted_) {
    shown_.state = SessionState::greeting;
  } else if (transfer_begun_) {
    shown_.state = SessionState::transfer;
  } else if (!logged_in_) {
    shown_.state = SessionState::login;
  } else {
    shown_.state = unanswered_ > 0 ? SessionState::waiting : SessionState::ready;
  }
}

void Record::add(Rung rung) {
  ladder_.push_back(std::move(rung));
  if (ladder_.size() >= rungs_max_ + rungs_forgotten_at_once) {
    shorten_ladder(rungs_max_);
  }
}

}  // namespace ftpalg::tools
