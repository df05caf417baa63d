// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/journal.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>
#include <utility>

// The line of this program's source means nothing to whoever reads the journal.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

namespace ftpalg::tools {
namespace {

thread_local std::vector<std::string> fields_of_thread;

int priority(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
      return LOG_CRIT;
    case spdlog::level::err:
      return LOG_ERR;
    case spdlog::level::warn:
      return LOG_WARNING;
    case spdlog::level::info:
      return LOG_INFO;
    default:
      return LOG_DEBUG;
  }
}

bool stderr_is_journal() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat there {};
  return stream != nullptr && fstat(STDERR_FILENO, &there) == 0 &&
         fmt::format("{}:{}", there.st_dev, there.st_ino) == stream;
}

void send(int level, std::string_view text) {
  std::vector<std::string> entries{fmt::format("PRIORITY={}", level), "SYSLOG_IDENTIFIER=ftpalg",
                                   fmt::format("MESSAGE={}", text)};
  entries.insert(entries.end(), fields_of_thread.begin(), fields_of_thread.end());
  std::vector<iovec> parts;
  for (std::string& each : entries) parts.push_back({each.data(), each.size()});
  sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

}  // namespace

LogFields::LogFields(std::vector<std::string> fields) {
  fields_of_thread = std::move(fields);
}

LogFields::~LogFields() {
  fields_of_thread.clear();
}

std::shared_ptr<Journal> Journal::open() {
  if (!stderr_is_journal()) return nullptr;
  // libsystemd makes its socket for the first line, and keeps it.
  send(LOG_DEBUG, "ftpalg " FTPALG_VERSION " starts");
  return std::make_shared<Journal>();
}

void Journal::sink_it_(const spdlog::details::log_msg& message) {
  send(priority(message.level), {message.payload.data(), message.payload.size()});
}

}  // namespace ftpalg::tools
