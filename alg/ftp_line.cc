// SPDX-License-Identifier: GPL-2.0-or-later
#include "alg/ftp_line.h"

#include <algorithm>
#include <array>

namespace ftpalg {
namespace {

struct NamedVerb {
  std::string_view name;
  Verb verb;
};

// RFC 959, 1639, 2228, 2389, 2428, 2640, 3659, 7151, and what servers in the field add.
constexpr std::array verbs{
    NamedVerb{"USER", Verb::user},     NamedVerb{"PASS", Verb::login},
    NamedVerb{"ACCT", Verb::login},    NamedVerb{"AUTH", Verb::auth},
    NamedVerb{"HOST", Verb::host},     NamedVerb{"REIN", Verb::rein},
    NamedVerb{"PORT", Verb::port},     NamedVerb{"EPRT", Verb::eprt},
    NamedVerb{"LPRT", Verb::lprt},     NamedVerb{"PASV", Verb::passive},
    NamedVerb{"EPSV", Verb::passive},  NamedVerb{"LPSV", Verb::passive},
    NamedVerb{"CPSV", Verb::passive},  NamedVerb{"ABOR", Verb::abor},
    NamedVerb{"RETR", Verb::transfer}, NamedVerb{"STOR", Verb::transfer},
    NamedVerb{"STOU", Verb::transfer}, NamedVerb{"APPE", Verb::transfer},
    NamedVerb{"LIST", Verb::transfer}, NamedVerb{"NLST", Verb::transfer},
    NamedVerb{"MLSD", Verb::transfer}, NamedVerb{"ADAT", Verb::other},
    NamedVerb{"ALLO", Verb::other},    NamedVerb{"AVBL", Verb::other},
    NamedVerb{"CCC", Verb::other},     NamedVerb{"CDUP", Verb::other},
    NamedVerb{"CLNT", Verb::other},    NamedVerb{"COMB", Verb::other},
    NamedVerb{"CONF", Verb::other},    NamedVerb{"CSID", Verb::other},
    NamedVerb{"CWD", Verb::other},     NamedVerb{"DELE", Verb::other},
    NamedVerb{"DSIZ", Verb::other},    NamedVerb{"ENC", Verb::other},
    NamedVerb{"ESTA", Verb::other},    NamedVerb{"ESTP", Verb::other},
    NamedVerb{"FEAT", Verb::other},    NamedVerb{"HASH", Verb::other},
    NamedVerb{"HELP", Verb::other},    NamedVerb{"LANG", Verb::other},
    NamedVerb{"MDTM", Verb::other},    NamedVerb{"MFCT", Verb::other},
    NamedVerb{"MFF", Verb::other},     NamedVerb{"MFMT", Verb::other},
    NamedVerb{"MIC", Verb::other},     NamedVerb{"MKD", Verb::other},
    NamedVerb{"MLST", Verb::other},    NamedVerb{"MODE", Verb::other},
    NamedVerb{"NOOP", Verb::other},    NamedVerb{"OPTS", Verb::other},
    NamedVerb{"PBSZ", Verb::other},    NamedVerb{"PROT", Verb::other},
    NamedVerb{"PWD", Verb::other},     NamedVerb{"QUIT", Verb::other},
    NamedVerb{"RANG", Verb::other},    NamedVerb{"REST", Verb::other},
    NamedVerb{"RMD", Verb::other},     NamedVerb{"RMDA", Verb::other},
    NamedVerb{"RNFR", Verb::other},    NamedVerb{"RNTO", Verb::other},
    NamedVerb{"SITE", Verb::other},    NamedVerb{"SIZE", Verb::other},
    NamedVerb{"SMNT", Verb::other},    NamedVerb{"SPSV", Verb::other},
    NamedVerb{"SSCN", Verb::other},    NamedVerb{"STAT", Verb::other},
    NamedVerb{"STRU", Verb::other},    NamedVerb{"SYST", Verb::other},
    NamedVerb{"TYPE", Verb::other},    NamedVerb{"XCRC", Verb::other},
    NamedVerb{"XCUP", Verb::other},    NamedVerb{"XCWD", Verb::other},
    NamedVerb{"XMD5", Verb::other},    NamedVerb{"XMKD", Verb::other},
    NamedVerb{"XPWD", Verb::other},    NamedVerb{"XRMD", Verb::other},
    NamedVerb{"XSHA1", Verb::other},
};

constexpr char to_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool equal_ignoring_case(std::string_view text, std::string_view upper) {
  return std::equal(text.begin(), text.end(), upper.begin(), upper.end(),
                    [](char a, char b) { return to_upper(a) == b; });
}

std::string_view first_word(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text.substr(0, text.find(' '));
}

}  // namespace

std::size_t telnet_bytes(std::string_view line) {
  constexpr auto iac = '\xff';
  constexpr unsigned will = 251;
  constexpr unsigned dont = 254;
  std::size_t at = 0;
  while (at < line.size() && line[at] == iac) {
    std::size_t length = 2;
    if (at + 1 < line.size()) {
      const auto command = static_cast<unsigned char>(line[at + 1]);
      if (command >= will && command <= dont) length = 3;
    }
    at = std::min(at + length, line.size());
  }
  return at;
}

Command read_command(std::string_view line) {
  Command command;
  command.verb_begin = telnet_bytes(line);
  line.remove_prefix(command.verb_begin);

  const std::string_view name = line.substr(0, line.find(' '));
  const auto found = std::find_if(verbs.begin(), verbs.end(), [&](const NamedVerb& verb) {
    return equal_ignoring_case(name, verb.name);
  });
  if (found == verbs.end()) return command;
  command.verb = found->verb;

  if (equal_ignoring_case(name, "EPSV") &&
      equal_ignoring_case(first_word(line.substr(name.size())), "ALL")) {
    command.verb = Verb::epsv_all;
  }
  return command;
}

bool is_known_verb(std::string_view name) {
  return std::any_of(verbs.begin(), verbs.end(),
                     [&](const NamedVerb& verb) { return verb.name == name; });
}

std::vector<std::string_view> known_verbs() {
  std::vector<std::string_view> names;
  for (const NamedVerb& verb : verbs) names.push_back(verb.name);
  return names;
}

std::optional<AnnouncementKind> announcement_of(Verb verb) {
  switch (verb) {
    case Verb::port:
      return AnnouncementKind::port;
    case Verb::eprt:
      return AnnouncementKind::eprt;
    case Verb::lprt:
      return AnnouncementKind::lprt;
    default:
      return std::nullopt;
  }
}

std::optional<ReplyLine> read_reply(std::string_view line) {
  if (line.size() < 3 || !is_digit(line[0]) || !is_digit(line[1]) || !is_digit(line[2])) {
    return std::nullopt;
  }
  if (line[0] < '1' || line[0] > '6' || line[1] > '5') return std::nullopt;
  const bool continues = line.size() > 3 && line[3] == '-';
  if (line.size() > 3 && line[3] != ' ' && !continues) return std::nullopt;
  const int code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
  return ReplyLine{static_cast<std::uint16_t>(code), continues};
}

std::optional<AnnouncementKind> announcement_of(std::uint16_t reply_code) {
  switch (reply_code) {
    case 227:
      return AnnouncementKind::reply_227;
    case 228:
      return AnnouncementKind::reply_228;
    case 229:
      return AnnouncementKind::reply_229;
    default:
      return std::nullopt;
  }
}

bool may_become_active_command(std::string_view begin) {
  begin.remove_prefix(telnet_bytes(begin));
  constexpr std::array<std::string_view, 3> wanted{"PORT ", "EPRT ", "LPRT "};
  return std::any_of(wanted.begin(), wanted.end(), [&](std::string_view verb) {
    const std::size_t length = std::min(verb.size(), begin.size());
    return equal_ignoring_case(begin.substr(0, length), verb.substr(0, length));
  });
}

bool may_become_passive_reply(std::string_view begin) {
  constexpr std::array<std::string_view, 3> wanted{"227 ", "228 ", "229 "};
  return std::any_of(wanted.begin(), wanted.end(), [&](std::string_view code) {
    const std::size_t length = std::min(code.size(), begin.size());
    return begin.substr(0, length) == code.substr(0, length);
  });
}

}  // namespace ftpalg
