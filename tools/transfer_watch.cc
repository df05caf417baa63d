// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/transfer_watch.h"

#include <spdlog/spdlog.h>
#include <sys/random.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "rules/machine.h"

namespace ftpalg::tools {
namespace {

using Place = TransferLogSettings::Place;

constexpr Time warning_interval = std::chrono::minutes{1};

constexpr std::string_view events_sysctl = "net.netfilter.nf_conntrack_events";
constexpr std::string_view accounting_sysctl = "net.netfilter.nf_conntrack_acct";

bool is_off(std::string_view sysctl) {
  return rules::read_sysctl(sysctl).value_or(1) == 0;
}

KeyedHash::Key random_key() {
  KeyedHash::Key key;
  // Up to 256 bytes come whole and at once (getrandom(2)).
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) std::abort();
  return key;
}

/// The wall clock's, in milliseconds since 1970.
std::int64_t wall_clock(Time at, Time now) {
  using std::chrono::milliseconds;
  const auto then = std::chrono::system_clock::now().time_since_epoch() - (now - at);
  return std::chrono::duration_cast<milliseconds>(then).count();
}

/// Nothing where it could not be opened, and the log is told why.
template <class Opened>
std::optional<Opened> or_told(tl::expected<Opened, std::string> opened) {
  if (opened) return std::move(*opened);
  spdlog::error("{}", opened.error());
  return std::nullopt;
}

void tell(std::span<Records* const> records, const DataState& data, Time now) {
  using State = tools::DataConnection::State;
  if (data.stage == Progress::Stage::opening) return;
  const State state = data.stage == Progress::Stage::open ? State::open : State::closed;
  for (Records* each : records) {
    if (each->on_data_connection(data.control, state, data.came_to, data.to_client, data.to_server,
                                 now)) {
      return;
    }
  }
}

}  // namespace

std::optional<TransferWatch::Lack> TransferWatch::lack(const TransferLogSettings& settings) {
  if (settings.place == Place::off) return std::nullopt;
  const auto of = [](std::string_view sysctl, std::string_view what) {
    return Lack{std::string{sysctl}, fmt::format("{} is 0, so that conntrack {}", sysctl, what),
                fmt::format("sysctl -w {}=1", sysctl)};
  };
  if (is_off(events_sysctl)) {
    return of(events_sysctl,
              "tells of no data connection: transfers are logged without their bytes");
  }
  if (is_off(accounting_sysctl)) {
    return of(accounting_sysctl, "counts no bytes: transfers are logged without them");
  }
  return std::nullopt;
}

tl::expected<std::unique_ptr<TransferWatch>, std::string> TransferWatch::open(
    const Config& config, std::shared_ptr<const DescriptorPost> log_files) {
  auto bell = Wakeup::open();
  if (!bell) return tl::unexpected(bell.error());
  auto events = or_told(ConnectionEvents::open());
  std::optional<TransferLog> log;
  if (config.transfers.place != Place::off) log = or_told(TransferLog::open(config.transfers));
  if (const auto lacking = lack(config.transfers)) {
    spdlog::warn("{}; mend: {}", lacking->what, lacking->mend);
  }
  auto watch = std::make_unique<TransferWatch>(std::move(events), std::move(*bell), std::move(log),
                                               std::move(log_files));
  watch->set_control_ports(config.ruleset.control_ports);
  return watch;
}

TransferWatch::TransferWatch(std::optional<ConnectionEvents> events, Wakeup bell,
                             std::optional<TransferLog> log,
                             std::shared_ptr<const DescriptorPost> log_files)
    : events_(std::move(events)),
      bell_(std::move(bell)),
      log_(std::move(log)),
      log_files_(std::move(log_files)),
      transfers_([this](const RelatedConnection& connection) { return events_->look(connection); },
                 {.conntrack_tells = events_ && !is_off(events_sysctl),
                  .transfers_come = log_.has_value()},
                 random_key()) {}

std::unique_ptr<Witness> TransferWatch::witness() {
  if (!log_) return nullptr;
  return std::make_unique<TransferWitness>(random_key(), [this](Transfer&& transfer) {
    {
      const std::lock_guard held(box_.lock);
      if (box_.transfers.size() < untaken_max) {
        box_.transfers.push_back(std::move(transfer));
      } else {
        ++box_.left_out;
      }
    }
    bell_.ring();
  });
}

void TransferWatch::set_control_ports(std::vector<std::uint16_t> ports) {
  transfers_.set_control_ports(std::move(ports));
}

void TransferWatch::attend(std::span<Records* const> records, Time now) {
  // In this order: what conntrack told before a transfer was answered is there then.
  std::vector<Transfer> transfers = take_from_workers();
  hear_conntrack(now);
  for (Transfer& transfer : transfers) transfers_.on_transfer(std::move(transfer), now);
  if (const auto next = transfers_.next(); next && *next <= now) transfers_.on_tick(now);

  const Transfers::Told told = transfers_.take_told();
  for (const DataState& state : told.data) tell(records, state, now);
  write(told.finished, now);
}

void TransferWatch::hear_conntrack(Time now) {
  bool is_more = events_.has_value();
  while (is_more) {
    const ConnectionNews news = events_->take();
    is_more = !news.begun.empty() || !news.gone.empty() || news.has_gaps;
    transfers_.on_news(news, now);
    if (!news.has_gaps) continue;
    spdlog::warn(
        "conntrack told of more data connections at once than there was room for; those that it "
        "knows still are looked up");
    if (const auto listed = events_->list()) transfers_.on_list(*listed, now);
  }
}

void TransferWatch::settle(Time now) {
  attend({}, now);
  transfers_.finish_all(now);
  write(transfers_.take_told().finished, now);
}

std::vector<Transfer> TransferWatch::take_from_workers() {
  bell_.silence();
  const std::lock_guard held(box_.lock);
  lost_ += std::exchange(box_.left_out, 0);
  return std::exchange(box_.transfers, {});
}

void TransferWatch::write(const std::vector<FinishedTransfer>& finished, Time now) {
  if (!log_) return;
  std::string reason = "there were too many at once";
  for (const FinishedTransfer& each : finished) {
    if (const auto written = log_->write(each, wall_clock(each.ended(), now)); !written) {
      ++lost_;
      reason = written.error();
    }
  }
  if (lost_ == lost_told_ || now < next_warning_) return;
  spdlog::error("{} transfers are missing in the transfer log: {}", lost_ - lost_told_, reason);
  lost_told_ = lost_;
  next_warning_ = now + warning_interval;
}

void TransferWatch::go_on_in_new_file() {
  for (Descriptor file = log_files_->receive(); file.is_open(); file = log_files_->receive()) {
    if (log_) log_->go_on_in(std::move(file));
  }
}

}  // namespace ftpalg::tools
