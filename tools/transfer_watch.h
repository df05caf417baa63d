// SPDX-License-Identifier: GPL-2.0-or-later
// The watch over data connections and transfers, in the program's main thread: hears conntrack and
// the workers, tells the records of what data connections do, and writes the transfer log.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "conntrack/netlink/connection_events.h"
#include "tools/config_file.h"
#include "tools/descriptor_post.h"
#include "tools/records.h"
#include "tools/transfer_log.h"
#include "tools/transfer_witness.h"
#include "tools/transfers.h"
#include "tools/wakeup.h"

namespace ftpalg::tools {

class TransferWatch {
 public:
  /// Beyond, while the main thread is busy, transfers are not logged.
  static constexpr std::size_t untaken_max = 100'000;

  /// Opens what it listens to and writes to; later it needs no right but to send and to receive.
  /// What cannot be opened is done without, and the program's log says so. An error names the
  /// cause.
  static tl::expected<std::unique_ptr<TransferWatch>, std::string> open(
      const Config& config, std::shared_ptr<const DescriptorPost> log_files);
  TransferWatch(std::optional<ConnectionEvents> events, Wakeup bell, std::optional<TransferLog> log,
                std::shared_ptr<const DescriptorPost> log_files);
  TransferWatch(const TransferWatch&) = delete;
  TransferWatch& operator=(const TransferWatch&) = delete;

  /// What on this machine keeps things from being known that are to be logged, and the mend.
  struct Lack {
    std::string name;
    std::string what;
    std::string mend;
  };
  static std::optional<Lack> lack(const TransferLogSettings& settings);

  /// A witness for a worker, to pick out its transfers; nothing where nobody logs them. It is the
  /// worker's thread's, and this outlives it.
  std::unique_ptr<Witness> witness();

  void set_control_ports(std::vector<std::uint16_t> ports);

  /// Readable when there is something to attend() to, both of them; negative when there never is.
  int events_descriptor() const { return events_ ? events_->descriptor() : -1; }
  int bell_descriptor() const { return bell_.descriptor(); }
  /// When attend() has to be called even so; nothing while there is nothing to wait for.
  std::optional<Time> next() const { return transfers_.next(); }

  /// Takes what has come, and tells the records what data connections do.
  void attend(std::span<Records* const> records, Time now);
  /// Before the program ends: writes what is known.
  void settle(Time now);

  /// Goes on in the file that has come by the post, if one has.
  void go_on_in_new_file();

 private:
  std::vector<Transfer> take_from_workers();
  void hear_conntrack(Time now);
  void write(const std::vector<FinishedTransfer>& finished, Time now);

  std::optional<ConnectionEvents> events_;
  Wakeup bell_;
  std::optional<TransferLog> log_;
  std::shared_ptr<const DescriptorPost> log_files_;
  Transfers transfers_;
  std::uint64_t lost_ = 0;  ///< transfers that were not logged
  std::uint64_t lost_told_ = 0;
  Time next_warning_{};

  /// What the workers bring, under the lock.
  struct Box {
    std::mutex lock;
    std::vector<Transfer> transfers;
    std::uint64_t left_out = 0;
  } box_;
};

}  // namespace ftpalg::tools
