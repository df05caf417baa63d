// SPDX-License-Identifier: GPL-2.0-or-later
// The journal of systemd as a sink of the log: each line with its priority, and with fields of what
// it is about, so that `journalctl FTPALG_CLIENT=10.0.0.2` shows what happened to one client.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace ftpalg::tools {

/// What the lines are about that this thread tells while this exists: "NAME=value" each. Bytes of
/// peers are escaped in them.
class LogFields {
 public:
  explicit LogFields(std::vector<std::string> fields);
  ~LogFields();
  LogFields(const LogFields&) = delete;
  LogFields& operator=(const LogFields&) = delete;
};

class Journal final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  /// None where standard error is not the journal's (JOURNAL_STREAM, systemd.exec(5)). To be called
  /// while sockets may be made.
  static std::shared_ptr<Journal> open();

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}
};

}  // namespace ftpalg::tools
