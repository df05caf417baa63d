// SPDX-License-Identifier: GPL-2.0-or-later
// The unit tests' main. Each *_test.cc beside this file tests the source file of that name.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
