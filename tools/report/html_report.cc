// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/report/html_report.h"

#include <fmt/format.h>
#include <sodium.h>

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "tools/web/page_files.h"

namespace ftpalg::tools {
namespace {

std::string files(std::string_view first, std::string_view second) {
  std::string text = "\n";
  text += page_file(first).value_or("");
  text += page_file(second).value_or("");
  return text;
}

/// What names an inline script or style in a Content-Security-Policy: it may run, and no other.
std::string source_of(std::string_view text) {
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
  std::array<char,
             sodium_base64_ENCODED_LEN(crypto_hash_sha256_BYTES, sodium_base64_VARIANT_ORIGINAL)>
      name{};
  sodium_bin2base64(name.data(), name.size(), hash.data(), hash.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  return fmt::format("'sha256-{}'", name.data());
}

}  // namespace

std::string json_in_html(const nlohmann::ordered_json& json) {
  const std::string text =
      json.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
  // In JSON these can only stand in texts. Without them there is no tag, comment or entity.
  std::string result;
  for (const char c : text) {
    if (c == '<' || c == '>' || c == '&') {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result;
}

std::string html_report(const nlohmann::ordered_json& data) {
  const std::string style = files("ladder.css", "report.css");
  const std::string script = files("ladder.js", "report.js");
  const std::array parts{
      std::pair{std::string_view{"@POLICY@"},
                fmt::format("default-src 'none'; style-src {}; script-src {}; base-uri 'none'; "
                            "form-action 'none'",
                            source_of(style), source_of(script))},
      std::pair{std::string_view{"@STYLE@"}, style},
      std::pair{std::string_view{"@DATA@"}, json_in_html(data)},
      std::pair{std::string_view{"@SCRIPT@"}, script},
  };
  // Each is looked for behind the one before, and never in what has been put in.
  std::string_view rest = page_file("report.html").value_or("");
  std::string result;
  for (const auto& [name, text] : parts) {
    const std::size_t place = rest.find(name);
    if (place == std::string_view::npos) continue;
    result += rest.substr(0, place);
    result += text;
    rest.remove_prefix(place + name.size());
  }
  result += rest;
  return result;
}

}  // namespace ftpalg::tools
