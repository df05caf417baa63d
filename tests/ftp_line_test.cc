// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/ftp_line.h"

#include <catch2/catch.hpp>

namespace ftpalg::test {
namespace {

TEST_CASE("rule 3: verbs are read in any case, behind Telnet sequences") {
  CHECK(read_command("PORT 1").verb == Verb::port);
  CHECK(read_command("pOrT 1").verb == Verb::port);
  CHECK(read_command("\xff\xf4\xff\xf2"
                     "ABOR")
            .verb == Verb::abor);
  CHECK(read_command("\xff\xf4\xff\xf2"
                     "ABOR")
            .verb_begin == 4);
  CHECK(read_command("\xff\xfb\x01"
                     "PORT 1")
            .verb_begin == 3);
  CHECK(read_command("\xff").verb == Verb::unknown);
  CHECK(read_command("\xff\xfb").verb == Verb::unknown);
}

TEST_CASE("a verb is the whole first word") {
  CHECK(read_command("PORTS 1").verb == Verb::unknown);
  CHECK(read_command(" PORT 1").verb == Verb::unknown);
  CHECK(read_command("PORT").verb == Verb::port);
  CHECK(read_command("").verb == Verb::unknown);
  CHECK(read_command("X-A: PORT 10,0,0,1,195,80").verb == Verb::unknown);
  CHECK(read_command("EPSV  all ").verb == Verb::epsv_all);
  CHECK(read_command("EPSV ALLES").verb == Verb::passive);
}

TEST_CASE("a reply is three digits and a blank, a hyphen or the end") {
  CHECK(read_reply("227 x")->code == 227);
  CHECK_FALSE(read_reply("227 x")->continues);
  CHECK(read_reply("227-x")->continues);
  CHECK(read_reply("227")->code == 227);
  for (const char* line :
       {"", "22", "227(x)", " 227 x", "2277 x", "027 x", "777 x", "269 x", "abc x"}) {
    CAPTURE(line);
    CHECK_FALSE(read_reply(line));
  }
}

TEST_CASE("the start of a line tells what it may still become") {
  for (const char* begin : {"", "P", "PO", "port ", "EPRT |1", "L", "\xff\xf4P"}) {
    CAPTURE(begin);
    CHECK(may_become_active_command(begin));
  }
  for (const char* begin : {"PA", "PORTS", "X", "NOOP"})
    CHECK_FALSE(may_become_active_command(begin));
  for (const char* begin : {"", "2", "22", "227 (1", "229 "})
    CHECK(may_become_passive_reply(begin));
  for (const char* begin : {"1", "226", "227-", "2270"})
    CHECK_FALSE(may_become_passive_reply(begin));
}

}  // namespace
}  // namespace ftpalg::test
