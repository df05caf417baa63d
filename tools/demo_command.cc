// SPDX-License-Identifier: GPL-2.0-or-later
// ftpalg demo: the gateway at work between a real server and a real client, on a network of its
// own.
#include <fmt/format.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <vector>

#include "rules/program.h"
#include "tools/commands.h"
#include "tools/demo/conntrack_events.h"
#include "tools/demo/interruption.h"
#include "tools/demo/process.h"
#include "tools/demo/scene.h"
#include "tools/demo/vanishing_directory.h"

namespace ftpalg::tools {
namespace {

using namespace std::chrono_literals;

// Each is far longer than what it bounds takes on a slow machine.
constexpr Process::Limit start_limit = 20s;
constexpr Process::Limit transfer_limit = 30s;
constexpr Process::Limit stop_limit = 10s;

constexpr const char* python = "/usr/bin/python3";
constexpr const char* file_name = "hello.bin";
constexpr std::size_t file_bytes = 1 << 20;

constexpr const char* server_script = R"(
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
address, directory = sys.argv[1:]
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_anonymous(directory)
server = FTPServer((address, 21), FTPHandler)
print("ready", flush=True)
server.serve_forever(handle_exit=False)
)";

template <typename... Arguments>
void say(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  fmt::print(format, std::forward<Arguments>(arguments)...);
  std::fflush(stdout);
}

enum class Mode { active, passive };

/// The mode's words for a person, and its options for curl.
struct ModeText {
  const char* name;
  const char* title;
  const char* direction;
  const char* sender;
  const char* receiver;
  std::vector<std::string> curl_options;
};

ModeText text(Mode mode) {
  if (mode == Mode::active) {
    return {"active",       "An active",       "the server connects to the client",
            "client sends", "server receives", {"--ftp-port", "-", "--disable-eprt"}};
  }
  return {
      "passive",      "A passive",       "the client connects to the server",
      "server sends", "client receives", {"--ftp-pasv", "--disable-epsv", "--no-ftp-skip-pasv-ip"}};
}

struct Tools {
  std::string curl;
  std::string checksum;
  std::string server_version;
};

/// Everything that the demo runs, or what is missing and the command that mends it.
tl::expected<Tools, std::string> find_tools() {
  if (geteuid() != 0) {
    return tl::unexpected(std::string{
        "the demo makes network namespaces and firewall rules, which needs root; run it as root"});
  }
  const auto curl = rules::find_program("curl");
  if (!curl) {
    return tl::unexpected(std::string{
        "the demo's client, curl, is not installed; install it with: apt-get install curl"});
  }
  const auto checksum = rules::find_program("sha256sum");
  if (!checksum) {
    return tl::unexpected(
        std::string{"sha256sum is not installed; install it with: apt-get install coreutils"});
  }
  const auto version =
      rules::run_program({python, "-c", "import pyftpdlib; print(pyftpdlib.__ver__, end='')"});
  if (!version || version->exit_status != 0) {
    return tl::unexpected(fmt::format(
        "the demo's server, pyftpdlib for {}, is not installed; install it with: apt-get install "
        "python3-pyftpdlib",
        python));
  }
  return Tools{*curl, *checksum, version->out};
}

/// Where the files of both ends are.
struct Files {
  std::string offered_directory;
  std::string received_directory;

  std::string offered() const { return fmt::format("{}/{}", offered_directory, file_name); }
  std::string received() const { return fmt::format("{}/{}", received_directory, file_name); }
};

tl::expected<Files, std::string> make_files() {
  const auto directory = make_vanishing_directory();
  if (!directory) return tl::unexpected(directory.error());
  Files files{*directory + "/server", *directory + "/client"};
  const auto failed = [](const std::string& path) {
    return tl::unexpected(fmt::format("cannot make {}: {}", path, std::strerror(errno)));
  };
  for (const std::string& path : {files.offered_directory, files.received_directory}) {
    if (mkdir(path.c_str(), 0755) != 0) return failed(path);
  }
  // Written by the client, which runs as nobody.
  if (chmod(files.received_directory.c_str(), 0777) != 0) return failed(files.received_directory);

  std::vector<char> content(file_bytes);
  if (getrandom(content.data(), content.size(), 0) != static_cast<ssize_t>(content.size())) {
    return failed(files.offered());
  }
  std::ofstream file{files.offered(), std::ios::binary};
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file) return failed(files.offered());
  return files;
}

tl::expected<std::string, std::string> checksum(const Tools& tools, const std::string& path) {
  const auto result = rules::run_program({tools.checksum, "--", path});
  if (!result) return tl::unexpected(result.error());
  if (result->exit_status != 0) return tl::unexpected(result->err);
  return result->out.substr(0, result->out.find(' '));
}

/// One transfer by curl.
struct Transfer {
  int exit_status = 0;
  std::vector<std::string>
      talk;  ///< line by line: "> " the client's, "< " the server's, "* " notes

  std::string last_word() const { return talk.empty() ? "" : talk.back(); }
};

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) lines.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

tl::expected<Transfer, std::string> transfer(Mode mode, const Tools& tools, const Scene& scene,
                                             const Files& files, Interruption& interruption) {
  std::vector<std::string> arguments{tools.curl,  "--disable",    "--silent",
                                     "--verbose", "--show-error", "--max-time",
                                     "20",        "--output",     files.received()};
  for (std::string& option : text(mode).curl_options) arguments.push_back(std::move(option));
  arguments.push_back(fmt::format("ftp://{}/{}", server_public_address, file_name));
  unlink(files.received().c_str());

  auto curl = Process::start("curl", scene.client, Rights::nobody, std::move(arguments));
  if (!curl) return tl::unexpected(curl.error());
  const auto exit_status = curl->wait_for_exit(transfer_limit, interruption);
  if (!exit_status) return tl::unexpected(exit_status.error());
  return Transfer{*exit_status, lines_of(curl->take_output())};
}

/// A line that the gateway says to have rewritten.
struct Rewrite {
  std::string before;
  std::string after;
};

/// Reads the gateway's log: "... line 'BEFORE' becomes 'AFTER': ...".
std::optional<Rewrite> find_rewrite(std::string_view log) {
  constexpr std::string_view opening = " line '";
  constexpr std::string_view middle = "' becomes '";
  constexpr std::string_view closing = "': ";
  const std::size_t middle_at = log.find(middle);
  if (middle_at == std::string_view::npos) return std::nullopt;
  const std::size_t opening_at = log.rfind(opening, middle_at);
  const std::size_t closing_at = log.find(closing, middle_at + middle.size());
  if (opening_at == std::string_view::npos || closing_at == std::string_view::npos) {
    return std::nullopt;
  }
  const std::size_t before_at = opening_at + opening.size();
  const std::size_t after_at = middle_at + middle.size();
  return Rewrite{std::string{log.substr(before_at, middle_at - before_at)},
                 std::string{log.substr(after_at, closing_at - after_at)}};
}

/// The announcement of the transfer and what went wrong with it, or curl's last word on it.
std::vector<std::string> find_failure(const Transfer& transfer) {
  std::vector<std::string> found;
  for (const std::string& line : transfer.talk) {
    if (line.starts_with("> PORT ") || line.starts_with("< 227 ")) {
      found = {line};
    } else if (found.size() == 1 &&
               (line.starts_with("< 5") || line.find(" fail for ") != line.npos)) {
      found.push_back(line);
    }
  }
  if (found.size() != 2) found = {transfer.last_word()};
  return found;
}

/// Shows that both modes fail on this network.
tl::expected<void, std::string> show_without_gateway(const Tools& tools, const Scene& scene,
                                                     const Files& files,
                                                     Interruption& interruption) {
  say("\n3. Without ftpalg neither end can reach the address that the other announces. What curl\n"
      "   says (> sent by the client, < by the server):\n");
  for (const Mode mode : {Mode::active, Mode::passive}) {
    const auto result = transfer(mode, tools, scene, files, interruption);
    if (!result) return tl::unexpected(result.error());
    const char* label = text(mode).name;
    if (result->exit_status == 0) {
      say("     {:<17}works even so: something else on this machine cares for FTP\n", label);
      continue;
    }
    for (const std::string& line : find_failure(*result)) {
      say("     {:<17}{}\n", std::exchange(label, ""), line);
    }
  }
  return {};
}

/// Makes one transfer through the gateway, and shows what the gateway and the kernel did for it.
tl::expected<void, std::string> show_transfer(Mode mode, const Tools& tools, const Scene& scene,
                                              const Files& files, Process& gateway,
                                              ConntrackEvents& events, Interruption& interruption) {
  const ModeText words = text(mode);
  say("\n{}. {} transfer: {}\n", mode == Mode::active ? 5 : 6, words.title, words.direction);

  const auto result = transfer(mode, tools, scene, files, interruption);
  if (!result) return tl::unexpected(result.error());
  if (const auto alive = gateway.still_runs(); !alive) return tl::unexpected(alive.error());
  const std::string log = gateway.take_output();
  if (result->exit_status != 0) {
    return tl::unexpected(
        fmt::format("the {} transfer failed: curl ended with exit status {} and said '{}'; the "
                    "gateway said:\n{}",
                    words.name, result->exit_status, result->last_word(), log));
  }
  const auto rewrite = find_rewrite(log);
  if (!rewrite) {
    return tl::unexpected(fmt::format("the gateway has rewritten nothing; it said:\n{}", log));
  }
  say("     {:<17}{}\n     {:<17}{}\n", words.sender, rewrite->before, words.receiver,
      rewrite->after);

  const auto announced = events.take();
  if (!announced) return tl::unexpected(announced.error());
  if (announced->expectations.empty() || announced->data_connections.empty()) {
    return tl::unexpected(std::string{
        "the kernel announced no expectation (it needs CONFIG_NF_CONNTRACK_EVENTS, and sysctl "
        "net.netfilter.nf_conntrack_events other than 0)"});
  }
  for (const auto& [source, destination] : announced->expectations) {
    say("     {:<17}{} -> {}\n", "kernel expects", source.text(), destination.text());
  }
  for (const auto& [before_nat, after_nat] : announced->data_connections) {
    say("     {:<17}{}\n     {:<17}{}\n", "kernel sees", before_nat.text(), "kernel maps to",
        after_nat.text());
  }

  const auto sent = checksum(tools, files.offered());
  if (!sent) return tl::unexpected(sent.error());
  const auto received = checksum(tools, files.received());
  if (!received) return tl::unexpected(received.error());
  say("     {:<17}SHA-256 {}... at the server\n     {:<17}SHA-256 {}... at the client\n", "file",
      sent->substr(0, 32), "", received->substr(0, 32));
  if (*sent != *received) {
    return tl::unexpected(fmt::format("the file has changed in the {} transfer", words.name));
  }
  return {};
}

/// Ends the gateway as a person does.
tl::expected<void, std::string> stop(Process& gateway, Interruption& interruption) {
  gateway.send_signal(SIGTERM);
  const auto exit_status = gateway.wait_for_exit(stop_limit, interruption);
  if (!exit_status) return tl::unexpected(exit_status.error());
  if (*exit_status != 0) {
    return tl::unexpected(fmt::format("the gateway ended with exit status {}: {}", *exit_status,
                                      gateway.take_output()));
  }
  return {};
}

tl::expected<void, std::string> demonstrate(Interruption& interruption) {
  const auto tools = find_tools();
  if (!tools) return tl::unexpected(tools.error());
  const auto files = make_files();
  if (!files) return tl::unexpected(files.error());

  say("ftpalg demo: FTP through a router that hides both the client and the server\n\n"
      "1. A network of its own, in namespaces that end with this program:\n");
  const auto scene = Scene::make();
  if (!scene) return tl::unexpected(scene.error());
  say("{}   The router forwards control connections (port 21) and what conntrack takes for\n"
      "   established or related. It drops everything else, so a data connection that gets "
      "through\n"
      "   was expected by the kernel.\n",
      scene_picture);

  say("\n2. A real FTP server (pyftpdlib {}) offers {}, {} bytes of noise.\n",
      tools->server_version, file_name, file_bytes);
  auto server =
      Process::start("the FTP server", scene->server, Rights::nobody,
                     {python, "-c", server_script, server_address, files->offered_directory});
  if (!server) return tl::unexpected(server.error());
  if (auto ready = server->wait_for_output("ready\n", start_limit, interruption); !ready) {
    return ready;
  }

  if (auto shown = show_without_gateway(*tools, *scene, *files, interruption); !shown) {
    return shown;
  }

  say("\n4. On the router now runs: ftpalg run --apply-rules\n");
  auto gateway =
      Process::start("the gateway", scene->router, Rights::own,
                     {"/proc/self/exe", "run", "--apply-rules", "--config", "/dev/null"});
  if (!gateway) return tl::unexpected(gateway.error());
  if (auto ready = gateway->wait_for_output("ready on queue", start_limit, interruption); !ready) {
    return ready;
  }
  gateway->take_output();

  std::optional<ConntrackEvents> events;
  auto listening = scene->router.run([&]() -> tl::expected<void, std::string> {
    auto opened = ConntrackEvents::open();
    if (!opened) return tl::unexpected(opened.error());
    events.emplace(std::move(*opened));
    return {};
  });
  if (!listening) return listening;

  for (const Mode mode : {Mode::active, Mode::passive}) {
    if (auto shown = show_transfer(mode, *tools, *scene, *files, *gateway, *events, interruption);
        !shown) {
      return shown;
    }
  }
  if (auto stopped = stop(*gateway, interruption); !stopped) return stopped;
  say("\nBoth transfers worked, and the gateway has taken its rules out again.\n"
      "This machine is as it was before.\n");
  return {};
}

int demo() {
  Interruption interruption;
  const auto shown = demonstrate(interruption);
  if (const auto signal = interruption.signal()) {
    fmt::print(stderr, "\nftpalg: demo interrupted; nothing is left behind\n");
    return 128 + *signal;
  }
  if (!shown) {
    fmt::print(stderr, "ftpalg: {}\n", shown.error());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace

void add_demo_command(CLI::App& app, int& exit_status) {
  auto* command = app.add_subcommand(
      "demo", "show the gateway at work, between a real server and a real client on this machine");
  command->callback([&exit_status] { exit_status = demo(); });
}

}  // namespace ftpalg::tools
