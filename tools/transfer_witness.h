// SPDX-License-Identifier: GPL-2.0-or-later
// The witness that picks the transfers out of what passes: each one's command, how it was answered,
// and which data connection was announced for it. What that has carried others know
// (tools/transfers.h).
#pragma once

#include <deque>
#include <functional>
#include <unordered_map>

#include "alg/ftp_line.h"
#include "alg/keyed_hash.h"
#include "alg/witness.h"
#include "tools/transfer.h"

namespace ftpalg::tools {

/// The transfers of one control connection, by its lines.
class TransferTalk {
 public:
  /// Of a session that was under way: logged in, and nothing unanswered.
  TransferTalk(const Endpoint& server, Witness::Beginning beginning);

  /// Returns the transfer that has come to its end by this line.
  std::optional<Transfer> on_line(const Witness::WitnessedLine& line, Time now);
  /// The control connection has ended, or is not read any more. Returns the transfer that had no
  /// answer.
  std::optional<Transfer> on_end(Time now);

 private:
  void on_command(const Witness::WitnessedLine& line, Time now);
  std::optional<Transfer> on_reply(const Witness::WitnessedLine& line, Time now);
  std::optional<Transfer> on_final_reply(std::uint16_t code, Time now);
  std::size_t answered_by(std::uint16_t code) const;
  void note_announcement(const Decision& decision);

  Endpoint server_;
  std::string user_;
  std::optional<std::uint64_t> restart_at_;
  std::string mode_;
  std::optional<Endpoint> data_destination_;
  /// The commands without a final reply, oldest first.
  std::deque<Verb> unanswered_;
  std::optional<Transfer> transfer_;
  std::uint16_t open_reply_ = 0;  ///< the code that a reply in several lines waits for, or 0
  bool greeted_;
};

class TransferWitness final : public Witness {
 public:
  /// Each transfer that has ended is given to `take`, in the thread that serves its session.
  using Take = std::function<void(Transfer&&)>;
  /// `key` is for nobody to know who makes sessions.
  TransferWitness(const KeyedHash::Key& key, Take take);

  void on_answered(const Master& master, Beginning beginning, Time now) override;
  void on_begin(const Tuple&, Time) override {}
  void on_line(const WitnessedLine& line, Time now) override;
  void on_decision(const Decision&, Time) override {}
  void on_left(const Tuple& control, Time now) override { on_end(control, now); }
  void on_end(const Tuple& control, Time now) override;

 private:
  Take take_;
  std::unordered_map<Tuple, TransferTalk, KeyedHash> talks_;
};

}  // namespace ftpalg::tools
