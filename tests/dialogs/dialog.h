// SPDX-License-Identifier: GPL-2.0-or-later
// Dialogs: conversations in files, each line with what must become of it. README.md beside this
// file says how they are written.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "alg/policy.h"
#include "conntrack/master.h"
#include "tools/explain_line.h"

namespace ftpalg::test {

/// What must become of a line, in the words of `ftpalg explain`.
struct DialogOutcome {
  std::string action = "forward";
  std::string reason;  ///< empty: none of its own
  /// Escaped, without CR LF at its end; nothing: as it was said.
  std::optional<std::string> leaves;
  std::string expect;  ///< empty: no data connection is announced
  bool opaque = false;
};

struct DialogLine {
  tools::SaidLine said;
  DialogOutcome outcome;
  unsigned number = 0;  ///< of the line in the file
};

struct Dialog {
  std::string name;  ///< "rule 7: 227 without PASV opens nothing"
  Master master;
  Policy policy;
  std::vector<Address> gateway_addresses;
  std::vector<DialogLine> lines;
};

/// The dialogs of a file. Throws std::runtime_error when it is not written as it should be.
std::vector<Dialog> read_dialogs(const std::filesystem::path& path);

}  // namespace ftpalg::test
