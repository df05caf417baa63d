// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/web/http_response.h"

#include <fmt/format.h>
#include <http_parser.h>

namespace ftpalg::tools {
namespace {

// Nobody's page may show this one, run scripts in it or read from it; and it may load nothing that
// is not from here, whatever a peer has got into it.
constexpr std::string_view protections =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Cache-Control: no-store\r\n";

}  // namespace

std::string bytes_of(const HttpResponse& response, bool with_body) {
  std::string bytes = fmt::format(
      "HTTP/1.1 {} {}\r\n"
      "Content-Type: {}\r\n"
      "Content-Length: {}\r\n"
      "Connection: close\r\n"
      "{}",
      response.status, http_status_str(static_cast<http_status>(response.status)), response.type,
      response.body.size(), protections);
  if (response.status == HTTP_STATUS_METHOD_NOT_ALLOWED) bytes += "Allow: GET, HEAD\r\n";
  if (response.status == HTTP_STATUS_SERVICE_UNAVAILABLE) bytes += "Retry-After: 2\r\n";
  bytes += "\r\n";
  if (with_body) bytes += response.body;
  return bytes;
}

HttpResponse refusal(unsigned status, std::string_view sentence) {
  return {.status = status, .body = fmt::format("{}\n", sentence)};
}

}  // namespace ftpalg::tools
