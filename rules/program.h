// SPDX-License-Identifier: GPL-2.0-or-later
// Runs another program to its end, without a shell.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace ftpalg::rules {

struct ProgramResult {
  int exit_status = 0;  ///< 128 + signal number when a signal ended it
  std::string out;
  std::string err;
};

/// The path of `program` in the directories where system programs are, or nothing. Not $PATH alone:
/// a service may run without the sbin directories in it.
std::optional<std::string> find_program(std::string_view program);

/// Runs `arguments` (the first is a path) with `input` on its standard input. An error only when it
/// could not be run at all; what the program itself says is in the result.
tl::expected<ProgramResult, std::string> run_program(const std::vector<std::string>& arguments,
                                                     std::string_view input = {});

}  // namespace ftpalg::rules
