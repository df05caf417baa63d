// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/web/site.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <utility>

#include "tools/web/metrics.h"
#include "tools/web/page_files.h"

namespace ftpalg::tools {
namespace {

using nlohmann::json;

constexpr std::string_view json_type = "application/json";
/// As many as a person can look through, and as one answer can carry.
constexpr unsigned sessions_shown = 200;
constexpr unsigned sessions_shown_max = 1000;
constexpr unsigned events_shown = 100;

struct PageFile {
  std::string_view path;
  std::string_view name;
  std::string_view type;
};

constexpr std::array page_files{
    PageFile{"/", "index.html", "text/html; charset=utf-8"},
    PageFile{"/page.css", "page.css", "text/css; charset=utf-8"},
    PageFile{"/ladder.css", "ladder.css", "text/css; charset=utf-8"},
    PageFile{"/ladder.js", "ladder.js", "text/javascript; charset=utf-8"},
    PageFile{"/page.js", "page.js", "text/javascript; charset=utf-8"},
    PageFile{"/icon.svg", "icon.svg", "image/svg+xml"},
};

HttpResponse json_response(const json& body) {
  return {.type = json_type,
          .body = body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"};
}

unsigned status_of(NoAnswer::Cause cause) {
  switch (cause) {
    case NoAnswer::Cause::gone:
    case NoAnswer::Cause::busy:
      return 503;
    case NoAnswer::Cause::refused:
      return 400;
  }
  return 500;
}

HttpResponse json_refusal(const NoAnswer& no_answer) {
  HttpResponse response = json_response({{"error", no_answer.text}});
  response.status = status_of(no_answer.cause);
  return response;
}

json filter_of(const HttpRequest& request) {
  json filter = json::object();
  for (const char* const name : {"address", "user"}) {
    if (const auto value = request.argument(name)) filter[name] = *value;
  }
  return filter;
}

unsigned limit_of(const HttpRequest& request) {
  unsigned limit = 0;
  const std::string text = request.argument("limit").value_or("");
  std::from_chars(text.data(), text.data() + text.size(), limit);
  return limit == 0 ? sessions_shown : std::min(limit, sessions_shown_max);
}

}  // namespace

bool names_this_machine(std::string_view host) {
  // A port is no matter: a tunnel has another.
  const std::size_t bracket = host.rfind(']');
  const std::size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || bracket < colon)) {
    host = host.substr(0, colon);
  }
  std::string name{host};
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name == "localhost") return true;
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') {
    name = name.substr(1, name.size() - 2);
  }
  const auto address = Address::parse(name);
  return address && address->is_loopback();
}

HttpResponse Site::respond(const HttpRequest& request) const {
  if (!is_meant(request)) {
    return refusal(403,
                   "this is not who you mean: ask for it as localhost, or by its address on this "
                   "machine");
  }
  const auto file = std::ranges::find(page_files, request.path, &PageFile::path);
  if (file != page_files.end()) {
    return {.type = file->type, .body = std::string{page_file(file->name).value_or("")}};
  }
  if (request.path == "/metrics") {
    const auto answer = ask_({{"ask", "status"}});
    if (!answer) return refusal(status_of(answer.error().cause), answer.error().text);
    return {.type = metrics_type, .body = metrics_text(answer->back().value("status", json{}))};
  }
  if (request.path == "/api/status") return answer({{"ask", "status"}}, "");
  if (request.path == "/api/sessions") {
    return answer({{"ask", "sessions"},
                   {"filter", filter_of(request)},
                   {"limit", limit_of(request)},
                   {"ended", request.argument("ended").has_value()},
                   {"stuck", request.argument("stuck").has_value()}},
                  "session");
  }
  if (request.path == "/api/session") {
    return answer({{"ask", "session"}, {"id", request.argument("id").value_or("")}}, "");
  }
  if (request.path == "/api/events") {
    return answer({{"ask", "events"}, {"filter", filter_of(request)}, {"last", events_shown}},
                  "event");
  }
  return refusal(404, "there is nothing here; the page is at /, and metrics are at /metrics");
}

/// On an address of another kind the name is not known by which it is called.
bool Site::is_meant(const HttpRequest& request) const {
  return !listen_.address.is_loopback() || !request.host || names_this_machine(*request.host);
}

/// The gateway's answer, or its lines about a `list` as an array and its end.
HttpResponse Site::answer(const json& question, std::string_view list) const {
  const auto lines = ask_(question);
  if (!lines) return json_refusal(lines.error());
  if (list.empty()) return json_response(lines->back());
  json elements = json::array();
  for (const json& line : *lines) {
    if (const auto element = line.find(list); element != line.end()) elements.push_back(*element);
  }
  return json_response(
      {{"list", std::move(elements)}, {"end", lines->back().value("end", json{})}});
}

}  // namespace ftpalg::tools
