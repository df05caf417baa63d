// SPDX-License-Identifier: GPL-2.0-or-later
// A request of HTTP/1, as far as one is served here: what is asked for, and in whose name. A body
// is never read.
#pragma once

#include <http_parser.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace ftpalg::tools {

struct HttpRequest {
  std::string method;
  std::string path;
  std::map<std::string, std::string, std::less<>> query;  ///< names and values, decoded
  std::optional<std::string> host;                        ///< as the client calls this server

  /// The value of `name` in the query, or nothing where it is not there or empty.
  std::optional<std::string> argument(std::string_view name) const;
};

/// Request line and header together.
inline constexpr std::size_t request_bytes_max = 8192;

class RequestReader {
 public:
  RequestReader();

  enum class State {
    incomplete,
    complete,
    malformed,
    too_long,
  };
  /// Takes what has come, up to the end of the header; what follows is not looked at.
  State take(std::string_view bytes);

  /// Whole once the state is complete.
  const HttpRequest& request() const { return request_; }

 private:
  static RequestReader& of(http_parser* parser);
  static int on_url(http_parser* parser, const char* at, std::size_t length);
  static int on_header_field(http_parser* parser, const char* at, std::size_t length);
  static int on_header_value(http_parser* parser, const char* at, std::size_t length);
  static int on_headers_complete(http_parser* parser);
  bool end_field();
  bool read_target();

  http_parser parser_{};
  std::size_t bytes_ = 0;
  std::string target_;
  std::string field_;
  std::string value_;
  bool is_in_value_ = false;
  bool is_complete_ = false;
  HttpRequest request_;
};

}  // namespace ftpalg::tools
