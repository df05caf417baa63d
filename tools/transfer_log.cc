// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/transfer_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

namespace ftpalg::tools {
namespace {

using Place = TransferLogSettings::Place;
using Format = TransferLogSettings::Format;

/// Whoever may read the machine's logs may read this one.
constexpr mode_t file_mode = 0640;

constexpr const char* journal_socket = "/run/systemd/journal/socket";
/// By which all lines of this log are found: journalctl MESSAGE_ID=...
constexpr std::string_view message_id = "MESSAGE_ID=0c2421f60df54b26878e3825fe9dc5ad";

std::string line_of(const FinishedTransfer& finished, std::int64_t ended, Format format) {
  // What peers said is ASCII already.
  return format == Format::json ? transfer_json(finished, ended).dump()
                                : transfer_text(finished, ended);
}

std::string in_capitals(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

int send_to_journal(std::vector<std::string> fields) {
  fields.emplace_back(message_id);
  fields.emplace_back("SYSLOG_IDENTIFIER=ftpalg");
  fields.push_back(fmt::format("PRIORITY={}", LOG_INFO));
  std::vector<iovec> parts;
  for (std::string& field : fields) parts.push_back({field.data(), field.size()});
  return sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

/// Returns 0 or the errno.
int write_to_journal(const std::string& line, const FinishedTransfer& finished,
                     std::int64_t ended) {
  std::vector<std::string> fields{"MESSAGE=" + line};
  const auto object = transfer_json(finished, ended);
  for (const auto& [key, value] : object.items()) {
    if (value.is_null()) continue;
    fields.push_back(fmt::format("FTPALG_{}={}", in_capitals(key),
                                 value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return -send_to_journal(std::move(fields));
}

/// Returns 0 or the errno.
int write_to_file(int descriptor, std::string_view rest) {
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

std::string place_text(const TransferLogSettings& settings) {
  switch (settings.place) {
    case Place::off:
      break;
    case Place::journal:
      return "the journal";
    case Place::standard_error:
      return "standard error";
    case Place::file:
      return settings.file;
  }
  return "nowhere";
}

/// The C library opens its socket with the first message, which later it may not any more.
tl::expected<void, std::string> open_journal() {
  if (access(journal_socket, W_OK) != 0) {
    return tl::make_unexpected(fmt::format(
        "there is no journal to log transfers to: {}: {}; mend: start systemd-journald, or name a "
        "file in [transfers] log",
        journal_socket, std::strerror(errno)));
  }
  const int sent = send_to_journal({"MESSAGE=transfers are logged from here on"});
  if (sent < 0) {
    return tl::make_unexpected(
        fmt::format("the journal takes no lines about transfers: {}", std::strerror(-sent)));
  }
  return {};
}

}  // namespace

tl::expected<Descriptor, std::string> open_log_file(const std::string& path) {
  const auto failure = [&](std::string_view cause, std::string_view mend) {
    return tl::make_unexpected(fmt::format(
        "transfers cannot be logged to {}: {}; mend: {}, or name another file in [transfers] log",
        path, cause, mend));
  };
  // Not to wait for whoever reads, should it be a pipe.
  Descriptor file{::open(
      path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, file_mode)};
  if (!file.is_open()) {
    const bool has_no_directory = errno == ENOENT;
    return failure(std::strerror(errno),
                   has_no_directory ? "make its directory" : "let root write there");
  }
  struct stat status {};
  if (fstat(file.number(), &status) != 0) return failure(std::strerror(errno), "look at it");
  if (!S_ISREG(status.st_mode)) return failure("it is no regular file", "move it away");
  return file;
}

tl::expected<TransferLog, std::string> TransferLog::open(const TransferLogSettings& settings) {
  Descriptor file;
  if (settings.place == Place::file) {
    auto opened = open_log_file(settings.file);
    if (!opened) return tl::unexpected(opened.error());
    file = std::move(*opened);
  } else if (settings.place == Place::journal) {
    if (auto opened = open_journal(); !opened) return tl::unexpected(opened.error());
  }
  return TransferLog(settings, std::move(file));
}

tl::expected<void, std::string> TransferLog::write(const FinishedTransfer& finished,
                                                   std::int64_t ended) {
  std::string line = line_of(finished, ended, settings_.format);
  int error = 0;
  if (settings_.place == Place::journal) {
    error = write_to_journal(line, finished, ended);
  } else {
    line += '\n';
    const bool is_file = settings_.place == Place::file;
    error = write_to_file(is_file ? file_.number() : STDERR_FILENO, line);
  }
  if (error == 0) return {};
  return tl::make_unexpected(fmt::format("a transfer is not logged to {}: {}",
                                         place_text(settings_), std::strerror(error)));
}

}  // namespace ftpalg::tools
