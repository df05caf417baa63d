// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/transfer_witness.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

namespace ftpalg::tools {
namespace {

/// As many as a session may leave unanswered (Session); beyond, the oldest are forgotten.
constexpr std::size_t unanswered_max = 32;
/// A name; no server has longer ones.
constexpr std::size_t user_bytes_max = 200;

constexpr std::uint16_t first_final_code = 200;
constexpr std::uint16_t first_failure_code = 400;

/// A command's verb in capitals, and what follows it.
struct Words {
  std::string verb;
  std::string argument;
};

Words words_of(std::string_view line) {
  const std::size_t blank = std::min(line.find(' '), line.size());
  Words words{std::string{line.substr(0, blank)}, {}};
  std::ranges::transform(words.verb, words.verb.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  const std::size_t begin = std::min(line.find_first_not_of(' ', blank), line.size());
  words.argument = line.substr(begin);
  return words;
}

Transfer::Kind kind_of(std::string_view verb) {
  if (verb == "RETR") return Transfer::Kind::download;
  if (verb == "LIST" || verb == "NLST" || verb == "MLSD") return Transfer::Kind::listing;
  return Transfer::Kind::upload;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Whether a transfer may be answered so for good: 2xx of others do not end it.
bool may_end_transfer(std::uint16_t code) {
  return code == 226 || code == 250 || code >= first_failure_code;
}

}  // namespace

TransferTalk::TransferTalk(const Endpoint& server, Witness::Beginning beginning)
    : server_(server), greeted_(beginning == Witness::Beginning::under_way) {}

std::optional<Transfer> TransferTalk::on_line(const Witness::WitnessedLine& line, Time now) {
  // What may be the end of a line only says nothing.
  if (!line.start_certain) return std::nullopt;
  if (line.direction == Direction::reply) return on_reply(line, now);
  on_command(line, now);
  return std::nullopt;
}

std::optional<Transfer> TransferTalk::on_end(Time now) {
  auto transfer = std::exchange(transfer_, std::nullopt);
  if (transfer) transfer->answered = now;
  return transfer;
}

void TransferTalk::on_command(const Witness::WitnessedLine& line, Time now) {
  const Command command = read_command(line.text);
  unanswered_.push_back(command.verb);
  if (unanswered_.size() > unanswered_max) unanswered_.pop_front();

  Words words = words_of(line.text.substr(command.verb_begin));
  switch (command.verb) {
    case Verb::user:
      user_ = words.argument.substr(0, user_bytes_max);
      break;
    case Verb::rein:
      user_.clear();
      mode_.clear();
      data_destination_.reset();
      break;
    case Verb::port:
    case Verb::eprt:
    case Verb::lprt:
    case Verb::passive:
      mode_ = words.verb;
      data_destination_.reset();
      if (line.decision != nullptr) note_announcement(*line.decision);
      break;
    case Verb::abor:
      if (transfer_) transfer_->to_abort = true;
      break;
    case Verb::transfer:
      transfer_ = Transfer{.control = line.control,
                           .server = server_,
                           .user = user_,
                           .command = words.verb,
                           .path = std::move(words.argument),
                           .kind = kind_of(words.verb),
                           .restart_at = std::exchange(restart_at_, std::nullopt),
                           .mode = mode_,
                           .data_destination = data_destination_,
                           .asked = now};
      break;
    default:
      if (words.verb == "REST") restart_at_ = number(words.argument);
      break;
  }
}

std::optional<Transfer> TransferTalk::on_reply(const Witness::WitnessedLine& line, Time now) {
  const auto reply = read_reply(line.text);
  if (open_reply_ != 0) {
    if (!reply || reply->code != open_reply_ || reply->continues) return std::nullopt;
    open_reply_ = 0;
  } else if (!reply) {
    return std::nullopt;
  } else if (reply->continues) {
    open_reply_ = reply->code;
    return std::nullopt;
  }
  if (line.decision != nullptr) note_announcement(*line.decision);
  if (reply->code >= first_final_code) return on_final_reply(reply->code, now);
  if (transfer_) transfer_->begun = true;
  return std::nullopt;
}

std::optional<Transfer> TransferTalk::on_final_reply(std::uint16_t code, Time now) {
  if (!greeted_) {
    greeted_ = true;
    return std::nullopt;
  }
  const std::size_t answered = answered_by(code);
  if (answered == unanswered_.size()) return std::nullopt;
  const auto place = unanswered_.begin() + static_cast<std::ptrdiff_t>(answered);
  const bool is_transfer = *place == Verb::transfer;
  unanswered_.erase(place);
  if (!is_transfer || !transfer_) return std::nullopt;
  if (transfer_->begun || code < first_failure_code) {
    // The data connection was its own.
    mode_.clear();
    data_destination_.reset();
  }
  auto transfer = std::exchange(transfer_, std::nullopt);
  transfer->code = code;
  transfer->answered = now;
  return transfer;
}

/// Which of the commands; their number where it answers none. Servers answer what is asked during a
/// transfer (STAT, NOOP) before the transfer itself.
std::size_t TransferTalk::answered_by(std::uint16_t code) const {
  if (unanswered_.empty() || unanswered_.front() != Verb::transfer || may_end_transfer(code)) {
    return 0;
  }
  const auto other =
      std::ranges::find_if(unanswered_, [](Verb verb) { return verb != Verb::transfer; });
  return static_cast<std::size_t>(other - unanswered_.begin());
}

void TransferTalk::note_announcement(const Decision& decision) {
  if (decision.expectation) data_destination_ = decision.expectation->destination;
}

TransferWitness::TransferWitness(const KeyedHash::Key& key, Take take)
    : take_(std::move(take)), talks_(0, KeyedHash{key}) {}

void TransferWitness::on_answered(const Master& master, Beginning beginning, Time) {
  talks_.insert_or_assign(master.original, TransferTalk(master.reply.source, beginning));
}

void TransferWitness::on_line(const WitnessedLine& line, Time now) {
  const auto talk = talks_.find(line.control);
  if (talk == talks_.end()) return;
  if (auto transfer = talk->second.on_line(line, now)) take_(std::move(*transfer));
}

void TransferWitness::on_end(const Tuple& control, Time now) {
  const auto talk = talks_.find(control);
  if (talk == talks_.end()) return;
  if (auto transfer = talk->second.on_end(now)) take_(std::move(*transfer));
  talks_.erase(talk);
}

}  // namespace ftpalg::tools
