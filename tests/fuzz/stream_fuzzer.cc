// SPDX-License-Identifier: GPL-2.0-or-later
// Any text in any pieces: the lines that the stream finds are those that the text has, wherever it
// is cut, and going back over a line changes nothing.
#include <string>
#include <vector>

#include "alg/stream.h"
#include "input.h"

namespace ftpalg::fuzz {
namespace {

struct Expected {
  std::size_t begin;
  std::string_view text;
  bool fit;
};

std::vector<Expected> lines_of(std::string_view all, std::size_t bytes_max) {
  std::vector<Expected> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < all.size(); ++at) {
    if (all[at] != '\n') continue;
    std::string_view text = all.substr(begin, at - begin);
    const bool is_short = text.size() + 1 <= bytes_max;
    if (text.ends_with('\r')) text.remove_suffix(1);
    const bool is_clean = text.find_first_of(std::string_view{"\0\r", 2}) == text.npos;
    lines.push_back({begin, text, is_short && is_clean});
    begin = at + 1;
  }
  return lines;
}

void read_in_pieces(Input& input) {
  constexpr std::size_t bytes_max = 40;  // short, so that too long lines are common
  Stream stream(bytes_max);
  const Seq first{input.number32()};
  const std::size_t piece_bytes_max = std::size_t{input.byte()} % 60 + 1;
  std::uint32_t choice = input.number16();
  const auto chosen = [&](std::uint32_t end) {
    choice = choice * 1664525 + 1013904223;
    return (choice >> 16) % end;
  };
  const std::span<const std::uint8_t> all = input.rest();
  const std::string_view text{reinterpret_cast<const char*>(all.data()), all.size()};
  const auto expected = lines_of(text, bytes_max);

  stream.start(first);
  std::size_t found = 0;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t length = std::min<std::size_t>(
        1 + chosen(static_cast<std::uint32_t>(piece_bytes_max)), all.size() - at);
    // A copy of its own size: reading past it is found.
    const std::vector<std::uint8_t> piece(all.begin() + static_cast<std::ptrdiff_t>(at),
                                          all.begin() + static_cast<std::ptrdiff_t>(at + length));
    wire::Bytes rest{piece};
    if (stream.keep(stream.next(), piece)) {
      require(stream.kept_end() - stream.kept_begin() <=
                  static_cast<std::int32_t>(Stream::kept_bytes_max),
              "what is kept is bounded");
    }
    bool went_back = false;
    while (!rest.empty()) {
      const Stream::Mark mark = stream.mark();
      const wire::Bytes before = rest;
      const auto line = stream.take_line(rest);
      if (!line) {
        require(rest.empty(), "all is read when there is no line");
        break;
      }
      // The engine goes back over fit lines only; of one that was too long the start is forgotten.
      if (line->fit && !went_back && chosen(8) == 0) {
        stream.rewind(mark);
        rest = before;
        went_back = true;
        continue;
      }
      require(found < expected.size(), "no more lines than there are");
      const Expected& right = expected[found++];
      require(line->begin == first + static_cast<std::int64_t>(right.begin), "line begin");
      require(line->fit == right.fit, "fit");
      require(!line->fit || line->text == right.text, "text");
      require(line->start_certain, "certain from the SYN on");
    }
    at += length;
    require(stream.next() == first + static_cast<std::int64_t>(at), "position");
    stream.forward_until(stream.next());
  }
  require(found == expected.size(), "every line is found");
}

}  // namespace
}  // namespace ftpalg::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ftpalg::fuzz::Input input(data, size);
  ftpalg::fuzz::read_in_pieces(input);
  return 0;
}
