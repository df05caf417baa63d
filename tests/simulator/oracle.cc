// SPDX-License-Identifier: GPL-2.0-or-later
#include "oracle.h"

#include <fmt/format.h>

#include <algorithm>

namespace ftpalg::simulator {

bool Oracle::check(Direction direction, std::string_view received, Random& random) {
  Side& at = sides_[static_cast<std::size_t>(direction)];
  while (at.seen < received.size()) {
    if (received[at.seen++] != '\n') continue;
    const std::string_view text = received.substr(at.bytes, at.seen - at.bytes);
    const auto& lines = script_lines(direction);
    if (at.lines < lines.size() && lines[at.lines].urgent_end > 0) {
      urgent_ends_.push_back(at.bytes + lines[at.lines].urgent_end);
    }
    if (!check_line(direction, at.lines, text, random)) return false;
    at.bytes = at.seen;
    ++at.lines;
  }
  return true;
}

bool Oracle::check_line(Direction direction, std::size_t index, std::string_view text,
                        Random& random) {
  ++figures_.lines;
  const auto& lines = script_lines(direction);
  const char* const to = direction == Direction::original ? "server" : "client";
  if (index >= lines.size()) {
    return find(fmt::format("the {} got more than was sent: '{}'", to, escaped(text)));
  }
  const Line& line = lines[index];
  const std::uint16_t public_port = gateway_.expectations().granted(line.port);
  if (!line.opens || excuses_.gateway_is_absent) {
    if (text != line.text) {
      return find(fmt::format("the {} got '{}' for '{}'", to, escaped(text), escaped(line.text)));
    }
    const bool must_be_closed = line.ends_expectation && !script_.gateway_is_late;
    if (must_be_closed && !gateway_.expectations().live().empty()) {
      return find(fmt::format("an expectation is left after '{}'", escaped(text)));
    }
    return true;
  }
  if (public_port == 0) {
    if ((line.may_stay || script_.gateway_is_late) && text == line.text) return true;
    if (text == line.text && is_excused(direction, text)) return true;
    return find(fmt::format("nothing was expected for '{}', the {} got '{}'", escaped(line.text),
                            to, escaped(text)));
  }
  const std::string ideal = ideal_text(line, script_, public_port);
  if (text != ideal) {
    if (text == line.text && is_excused(direction, text)) return true;
    return find(fmt::format("the {} got '{}', should be '{}'", to, escaped(text), escaped(ideal)));
  }
  if (ideal != line.text) ++figures_.rewritten;
  if (ideal != line.text && script_.gateway_is_late) ++figures_.rewritten_late;
  return check_expectation(line, public_port, random);
}

bool Oracle::check_urgent(const std::vector<std::size_t>& said, bool all_came) {
  for (const std::size_t end : said) {
    // What lies behind the last complete line cannot be judged.
    if (end > side(Direction::original).bytes) continue;
    if (std::find(urgent_ends_.begin(), urgent_ends_.end(), end) == urgent_ends_.end()) {
      return find(fmt::format("the server was told that urgent data ends at {}", end));
    }
    ++figures_.urgent;
  }
  if (!all_came || urgent_ends_.empty()) return true;
  if (std::find(said.begin(), said.end(), urgent_ends_.back()) == said.end()) {
    return find(
        fmt::format("the server was not told that urgent data ends at {}", urgent_ends_.back()));
  }
  return true;
}

bool Oracle::is_excused(Direction direction, std::string_view text) {
  if (excuses_.seams_fail) {
    ++figures_.excused;
    return true;
  }
  const auto found = std::find_if(expired_.begin(), expired_.end(), [&](const Expired& expired) {
    return expired.direction == direction && text.starts_with(expired.start);
  });
  if (found == expired_.end()) return false;
  expired_.erase(found);
  ++figures_.held_too_long;
  return true;
}

bool Oracle::check_expectation(const Line& line, std::uint16_t public_port, Random& random) {
  const auto& live = gateway_.expectations().live();
  if (!gateway_.expectations().is_latest(line.port)) {
    ++figures_.superseded;
    return true;
  }
  // Who broke off needs no data connection, though the line was under way.
  if (live.empty() && (gateway_.saw_reset() || script_.gateway_is_late)) return true;
  if (live.size() != 1) {
    return find(fmt::format("{} expectations when '{}' arrived", live.size(), escaped(line.text)));
  }
  const Expectation ideal = ideal_expectation(line, script_.master, public_port);
  const Expectation found = live[0];
  if (found != ideal) {
    return find(fmt::format("expected is {} -> {} ({}), should be {} -> {} ({})",
                            found.source.text(), found.destination.text(), found.inside.port.number,
                            ideal.source.text(), ideal.destination.text(),
                            ideal.inside.port.number));
  }
  ++figures_.opened;
  if (random.chance(500)) gateway_.expectations().consume(found);
  return true;
}

bool Oracle::check_end(std::string_view server_received, std::string_view client_received,
                       std::string_view server_expected_tail, bool complete) {
  const std::string_view server_tail = server_received.substr(sides_[0].bytes);
  const std::string_view client_tail = client_received.substr(sides_[1].bytes);
  if (complete) {
    if (sides_[0].lines != script_.commands.size() || server_tail != server_expected_tail) {
      return find(fmt::format("the server got {} of {} lines and '{}' at the end", sides_[0].lines,
                              script_.commands.size(), escaped(server_tail)));
    }
    if (sides_[1].lines != script_.replies.size() || !client_tail.empty()) {
      return find(fmt::format("the client got {} of {} lines and '{}' at the end", sides_[1].lines,
                              script_.replies.size(), escaped(client_tail)));
    }
  }
  if (!gateway_.expectations().live().empty()) return find("an expectation is left at the end");
  return true;
}

}  // namespace ftpalg::simulator
