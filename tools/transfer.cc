// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/transfer.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "tools/decision_text.h"

namespace ftpalg::tools {
namespace {

constexpr std::uint16_t first_failure_code = 400;
/// "Can't open data connection" (RFC 959, section 4.2.2).
constexpr std::uint16_t no_data_connection_code = 425;

/// Without options.
constexpr std::uint64_t tcp_header_bytes = 20;
constexpr std::uint64_t ipv4_header_bytes = 20;
constexpr std::uint64_t ipv6_header_bytes = 40;

constexpr std::int64_t milliseconds_per_second = 1000;

/// "2026-11-26T21:03:55.123Z".
std::string time_text(std::int64_t milliseconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(static_cast<std::time_t>(milliseconds / milliseconds_per_second)),
                     milliseconds % milliseconds_per_second);
}

/// In seconds, to the millisecond.
double seconds(Time time) {
  return static_cast<double>(std::chrono::duration_cast<std::chrono::milliseconds>(time).count()) /
         static_cast<double>(milliseconds_per_second);
}

template <class Value>
nlohmann::ordered_json or_null(const std::optional<Value>& value) {
  return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(escaped(text));
}

/// A value as it stands behind "key=".
std::string word(const nlohmann::ordered_json& value) {
  return value.is_null() ? "-" : value.dump(-1, ' ', true);
}

/// Whether its value goes without quotes: it is made of what is not the peers'.
bool is_plain(std::string_view key) {
  return key != "user" && key != "path";
}

}  // namespace

std::string_view name(Transfer::Kind kind) {
  switch (kind) {
    case Transfer::Kind::download:
      return "download";
    case Transfer::Kind::upload:
      return "upload";
    case Transfer::Kind::listing:
      return "listing";
  }
  return "";
}

std::string_view name(TransferResult result) {
  switch (result) {
    case TransferResult::done:
      return "done";
    case TransferResult::aborted:
      return "aborted";
    case TransferResult::refused:
      return "refused";
    case TransferResult::never_connected:
      return "never_connected";
    case TransferResult::unanswered:
      return "unanswered";
  }
  return "";
}

TransferResult FinishedTransfer::result() const {
  const bool was_open = data && data->was_open;
  if (!transfer.code) {
    const bool came = was_open || !data_is_known;
    return came || !transfer.begun ? TransferResult::unanswered : TransferResult::never_connected;
  }
  if (*transfer.code < first_failure_code) {
    return transfer.to_abort ? TransferResult::aborted : TransferResult::done;
  }
  if (was_open) return transfer.begun ? TransferResult::aborted : TransferResult::refused;
  if (*transfer.code == no_data_connection_code) return TransferResult::never_connected;
  if (!transfer.begun) return TransferResult::refused;
  return data_is_known ? TransferResult::never_connected : TransferResult::aborted;
}

Time FinishedTransfer::ended() const {
  return data ? std::max(data->ended, transfer.answered) : transfer.answered;
}

Time FinishedTransfer::duration() const {
  const Time begun = data ? data->begun : transfer.asked;
  const Time end = data ? data->ended : transfer.answered;
  return std::max(end - begun, Time{});
}

std::optional<std::uint64_t> FinishedTransfer::payload_bytes_max() const {
  if (!data || !data->ip_bytes || !data->packets) return std::nullopt;
  const bool is_ipv4 = transfer.control.source.address.family() == Family::ipv4;
  const std::uint64_t headers =
      *data->packets * (tcp_header_bytes + (is_ipv4 ? ipv4_header_bytes : ipv6_header_bytes));
  return *data->ip_bytes - std::min(headers, *data->ip_bytes);
}

nlohmann::ordered_json transfer_json(const FinishedTransfer& finished, std::int64_t ended) {
  const Transfer& transfer = finished.transfer;
  const auto& data = finished.data;
  return {{"time", time_text(ended)},
          {"result", name(finished.result())},
          {"code", or_null(transfer.code)},
          {"direction", name(transfer.kind)},
          {"client", transfer.control.source.text()},
          {"dialled", transfer.control.destination.text()},
          {"server", transfer.server.text()},
          {"user", text_or_null(transfer.user)},
          {"command", transfer.command},
          {"path", text_or_null(transfer.path)},
          {"restart_at", or_null(transfer.restart_at)},
          {"mode", text_or_null(transfer.mode)},
          {"ip_bytes", data ? or_null(data->ip_bytes) : nullptr},
          {"ip_packets", data ? or_null(data->packets) : nullptr},
          {"payload_bytes_max", or_null(finished.payload_bytes_max())},
          {"duration", seconds(finished.duration())}};
}

std::string transfer_text(const FinishedTransfer& finished, std::int64_t ended) {
  std::string text;
  const auto object = transfer_json(finished, ended);
  for (const auto& [key, value] : object.items()) {
    if (!text.empty()) text += ' ';
    text += fmt::format(
        "{}={}", key, is_plain(key) && value.is_string() ? value.get<std::string>() : word(value));
  }
  return text;
}

}  // namespace ftpalg::tools
