# SPDX-License-Identifier: GPL-2.0-or-later
# cmake -D OUTPUT=FILE.cc -P embed.cmake FILE...: page_file() of page_files.h with these files.
set(first_file 5)
math(EXPR last "${CMAKE_ARGC} - 1")
set(cases "")
foreach(at RANGE ${first_file} ${last})
  set(file "${CMAKE_ARGV${at}}")
  cmake_path(GET file FILENAME name)
  # By their bytes, since what CMake takes for text it reads its own way.
  file(READ "${file}" hex HEX)
  string(REGEX REPLACE "(................................................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" hex "${hex}")
  string(REPLACE "\n" "\"\n    \"" hex "${hex}")
  string(APPEND cases "  if (name == \"${name}\") {\n    return std::string_view{\n    \"${hex}\"\n")
  file(SIZE "${file}" size)
  string(APPEND cases "    , ${size}};\n  }\n")
endforeach()
file(WRITE "${OUTPUT}" "\
// Made by tools/web/embed.cmake.
#include \"tools/web/page_files.h\"

namespace ftpalg::tools {

std::optional<std::string_view> page_file(std::string_view name) {
${cases}  return std::nullopt;
}

}  // namespace ftpalg::tools
")
