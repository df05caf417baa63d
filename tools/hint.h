// SPDX-License-Identifier: GPL-2.0-or-later
// The hint: one sentence for somebody who has never seen this program and wants to know why a
// session's transfer does not go on, and where to look.
#pragma once

#include <optional>
#include <string>

#include "tools/record.h"

namespace ftpalg::tools {

/// What it takes to judge a record.
struct Viewpoint {
  Time now{};
  /// Between `now` and Unix time: what is to be added.
  Time to_unix{};
  /// How long an announced data connection may take to come.
  Time expectation_life = std::chrono::seconds{60};
  /// Data connections are watched, so that one that is not known to be open is not open.
  bool data_is_watched = false;
};

/// What is slow is nothing to speak of before it has been so for this long.
inline constexpr Time patience = std::chrono::seconds{5};

/// The state of the data connection, where only time tells.
DataConnection::State state_of(const DataConnection& data, const Record::Shown& session,
                               const Viewpoint& view);

/// Nothing where all seems well.
std::optional<std::string> hint(const Record::Shown& session, const Viewpoint& view);

}  // namespace ftpalg::tools
