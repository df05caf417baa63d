// SPDX-License-Identifier: GPL-2.0-or-later
// What a subcommand says when it cannot do what it is asked to: on standard error. Both return the
// exit status of a program that ends for it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ftpalg::tools {

int failed(std::string_view reason);
int failed(const std::vector<std::string>& reasons);

}  // namespace ftpalg::tools
