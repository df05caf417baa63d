// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/web/gateway_link.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace ftpalg::tools {
namespace {

/// Whether nothing follows `line` in the answer that it belongs to: lists end with their count.
bool ends_answer(const nlohmann::json& line, bool is_list) {
  return !is_list || line.contains("end") || line.contains("error");
}

bool asks_for_list(const nlohmann::json& question) {
  const auto what = question.value("ask", std::string{});
  return what == "sessions" || what == "events";
}

}  // namespace

tl::expected<GatewayLink::Answer, NoAnswer> GatewayLink::ask(const nlohmann::json& question) {
  const auto no_answer = [](NoAnswer::Cause cause, std::string_view text) {
    return tl::make_unexpected(NoAnswer{cause, std::string{text}});
  };
  constexpr std::string_view gone = "the gateway does not answer; its log says why";
  if (is_too_often()) {
    return no_answer(NoAnswer::Cause::busy,
                     "the gateway is asked too often; ask again in a second");
  }
  const bool is_list = asks_for_list(question);
  nlohmann::json line;
  // An answer that came too late is nobody's any more.
  while (owed_is_list_ && read_line(Clock::now(), line)) {
    if (ends_answer(line, *owed_is_list_)) owed_is_list_.reset();
  }
  if (owed_is_list_) return no_answer(NoAnswer::Cause::gone, gone);

  const auto until = Clock::now() + answer_time_max;
  if (!is_greeted_ && !(is_greeted_ = read_line(until, line))) {
    return no_answer(NoAnswer::Cause::gone, gone);
  }
  if (!send(question.dump() + "\n")) return no_answer(NoAnswer::Cause::gone, gone);
  Answer answer;
  do {
    if (!read_line(until, line)) {
      owed_is_list_ = is_list;
      return no_answer(NoAnswer::Cause::gone, gone);
    }
    answer.push_back(line);
  } while (!ends_answer(line, is_list));
  if (const auto error = line.find("error"); error != line.end() && error->is_string()) {
    return no_answer(NoAnswer::Cause::refused, error->get<std::string>());
  }
  return answer;
}

bool GatewayLink::is_too_often() {
  const auto now = Clock::now();
  if (now - second_ >= std::chrono::seconds{1}) {
    second_ = now;
    questions_ = 0;
  }
  return ++questions_ > questions_per_second_max;
}

/// A question is far smaller than what a socket takes at once.
bool GatewayLink::send(std::string_view line) {
  const ssize_t sent =
      ::send(channel_.number(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent == static_cast<ssize_t>(line.size());
}

bool GatewayLink::read_line(Clock::time_point until, nlohmann::json& line) {
  std::size_t seen = 0;
  std::size_t end = 0;
  while ((end = received_.find('\n', seen)) == std::string::npos) {
    seen = received_.size();
    if (seen > answer_bytes_max || !receive(until)) return false;
  }
  line = nlohmann::json::parse(
      received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
  received_.erase(0, end + 1);
  return line.is_object();
}

/// False when nothing came in time, or nothing will come any more.
bool GatewayLink::receive(Clock::time_point until) {
  std::array<char, 65536> bytes{};
  for (;;) {
    const ssize_t received = recv(channel_.number(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (received > 0) {
      received_.append(bytes.data(), static_cast<std::size_t>(received));
      return true;
    }
    if (received == 0 || (errno != EAGAIN && errno != EINTR)) return false;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    if (left.count() <= 0) return false;
    pollfd source{channel_.number(), POLLIN, 0};
    if (poll(&source, 1, static_cast<int>(left.count())) < 0 && errno != EINTR) return false;
  }
}

}  // namespace ftpalg::tools
