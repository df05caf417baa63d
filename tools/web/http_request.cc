// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/web/http_request.h"

#include <strings.h>

#include <charconv>

namespace ftpalg::tools {
namespace {

/// "a%20b+c" as "a b c"; a % without two digits behind it stands for itself.
std::string decoded(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    unsigned byte = 0;
    const char* const digits = text.data() + at + 1;
    if (text[at] == '+') {
      result += ' ';
    } else if (text[at] == '%' && at + 2 < text.size() &&
               std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      result += static_cast<char>(byte);
      at += 2;
    } else {
      result += text[at];
    }
  }
  return result;
}

}  // namespace

std::optional<std::string> HttpRequest::argument(std::string_view name) const {
  const auto found = query.find(name);
  if (found == query.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

RequestReader::RequestReader() {
  http_parser_init(&parser_, HTTP_REQUEST);
}

RequestReader::State RequestReader::take(std::string_view bytes) {
  http_parser_settings settings{};
  http_parser_settings_init(&settings);
  settings.on_url = on_url;
  settings.on_header_field = on_header_field;
  settings.on_header_value = on_header_value;
  settings.on_headers_complete = on_headers_complete;
  // Where this reader stands may change between two calls.
  parser_.data = this;

  const std::string_view room = bytes.substr(0, request_bytes_max - bytes_);
  bytes_ += room.size();
  const std::size_t read = http_parser_execute(&parser_, &settings, room.data(), room.size());
  if (is_complete_) return State::complete;
  if (read < room.size() || HTTP_PARSER_ERRNO(&parser_) != HPE_OK) return State::malformed;
  return bytes_ == request_bytes_max ? State::too_long : State::incomplete;
}

RequestReader& RequestReader::of(http_parser* parser) {
  return *static_cast<RequestReader*>(parser->data);
}

int RequestReader::on_url(http_parser* parser, const char* at, std::size_t length) {
  of(parser).target_.append(at, length);
  return 0;
}

int RequestReader::on_header_field(http_parser* parser, const char* at, std::size_t length) {
  RequestReader& reader = of(parser);
  if (reader.is_in_value_ && !reader.end_field()) return 1;
  reader.field_.append(at, length);
  return 0;
}

int RequestReader::on_header_value(http_parser* parser, const char* at, std::size_t length) {
  RequestReader& reader = of(parser);
  reader.is_in_value_ = true;
  reader.value_.append(at, length);
  return 0;
}

int RequestReader::on_headers_complete(http_parser* parser) {
  RequestReader& reader = of(parser);
  if (!reader.end_field() || !reader.read_target()) return -1;
  // RFC 9112, 3.2: from HTTP/1.1 on a client says whom it means.
  const bool is_1_1 = parser->http_major == 1 && parser->http_minor >= 1;
  if (parser->http_major != 1 || (is_1_1 && !reader.request_.host)) return -1;
  reader.request_.method = http_method_str(static_cast<http_method>(parser->method));
  reader.is_complete_ = true;
  // As after an upgrade: what follows is none of the parser's business.
  return 2;
}

/// False where it is said twice whom the client means.
bool RequestReader::end_field() {
  if (strcasecmp(field_.c_str(), "Host") == 0) {
    if (request_.host) return false;
    request_.host = value_;
  }
  field_.clear();
  value_.clear();
  is_in_value_ = false;
  return true;
}

bool RequestReader::read_target() {
  if (target_.empty() || target_.front() != '/') return false;
  const std::string_view target = std::string_view{target_}.substr(0, target_.find('#'));
  const std::size_t question_mark = std::min(target.find('?'), target.size());
  request_.path = decoded(target.substr(0, question_mark));
  std::string_view rest = target.substr(std::min(question_mark + 1, target.size()));
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    request_.query.insert_or_assign(decoded(pair.substr(0, equals)),
                                    decoded(pair.substr(std::min(equals + 1, pair.size()))));
  }
  return true;
}

}  // namespace ftpalg::tools
