// SPDX-License-Identifier: GPL-2.0-or-later
// Answers of the control protocol in many lines: the sessions of all workers, and their events.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "tools/control/control_server.h"
#include "tools/control/session_filter.h"
#include "tools/hint.h"
#include "tools/records.h"

namespace ftpalg::tools {

/// Every session that was there when it was asked for, and is there still, and {"end": ...}.
class SessionLines final : public AnswerLines {
 public:
  struct Wish {
    SessionFilter filter;
    std::size_t limit = 0;  ///< 0: all
    bool with_ended = false;
    bool only_stuck = false;  ///< those that have a hint
  };
  SessionLines(std::vector<const Records*> records, std::function<Viewpoint()> view, Wish wish)
      : records_(std::move(records)), view_(std::move(view)), wish_(std::move(wish)) {}

  Next append_to(std::string& out) override;

 private:
  std::vector<const Records*> records_;
  std::function<Viewpoint()> view_;
  Wish wish_;
  std::size_t worker_ = 0;
  std::uint64_t after_ = 0;
  std::size_t sessions_ = 0;
  std::size_t shown_ = 0;
};

/// The events from now on, without an end.
class EventLines final : public AnswerLines {
 public:
  EventLines(std::vector<const Records*> records, std::function<Viewpoint()> view,
             SessionFilter filter);

  Next append_to(std::string& out) override;

 private:
  std::vector<const Records*> records_;
  std::function<Viewpoint()> view_;
  SessionFilter filter_;
  std::vector<std::uint64_t> next_;  ///< of each worker
};

/// Those of the last `count` events that the filter lets by, oldest first, and {"end": ...}.
class LatestEventLines final : public AnswerLines {
 public:
  static constexpr std::size_t count_max = 100;

  LatestEventLines(std::vector<const Records*> records, std::function<Viewpoint()> view,
                   SessionFilter filter, std::size_t count)
      : records_(std::move(records)),
        view_(std::move(view)),
        filter_(std::move(filter)),
        count_(std::min(count, count_max)) {}

  Next append_to(std::string& out) override;

 private:
  std::vector<const Records*> records_;
  std::function<Viewpoint()> view_;
  SessionFilter filter_;
  std::size_t count_;
};

}  // namespace ftpalg::tools
