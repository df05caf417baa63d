// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/terminal.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "tools/screen_text.h"

namespace ftpalg::tools {
namespace {

// ECMA-48, and xterm's private modes for the other screen and the cursor, as every terminal of
// today has them.
constexpr std::string_view take_screen = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view give_back_screen = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view go_home = "\x1b[H";
constexpr std::string_view clear_rest_of_line = "\x1b[K";
constexpr std::string_view clear_rest_of_screen = "\x1b[J";

constexpr char control_c = 3;
constexpr char control_d = 4;

bool write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

bool Terminal::is_there() {
  return isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0;
}

Terminal::Terminal() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  signals_ = Descriptor{signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};

  tcgetattr(STDIN_FILENO, &before_);
  termios keys = before_;
  // Keys come at once and unseen; Ctrl-C and Ctrl-Z are keys like others, so that nothing ends or
  // stops the program while it has the screen.
  keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
  tcsetattr(STDIN_FILENO, TCSANOW, &keys);
  write_all(take_screen);
}

Terminal::~Terminal() {
  write_all(give_back_screen);
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

void Terminal::show(const std::vector<std::string>& lines) {
  const ScreenSize size = screen_size();
  std::string text{go_home};
  std::size_t row = 0;
  for (const std::string& line : lines) {
    if (row == size.rows) break;
    if (row++ > 0) text += "\r\n";
    text += line.size() > size.columns ? fitted(line, size.columns) : line;
    if (line.size() < size.columns) text += clear_rest_of_line;
  }
  text += clear_rest_of_screen;
  write_all(text);
}

Terminal::Event Terminal::wait(std::chrono::milliseconds time) {
  std::array<pollfd, 2> sources{pollfd{STDIN_FILENO, POLLIN, 0},
                                pollfd{signals_.number(), POLLIN, 0}};
  if (poll(sources.data(), sources.size(), static_cast<int>(time.count())) <= 0) {
    return Event::time;
  }
  if (sources[1].revents != 0) {
    signalfd_siginfo signal{};
    if (read(signals_.number(), &signal, sizeof signal) != sizeof signal) return Event::time;
    return signal.ssi_signo == SIGWINCH ? Event::resized : Event::end;
  }
  char key = 0;
  if (read(STDIN_FILENO, &key, 1) != 1) return Event::end;
  const bool ends = key == 'q' || key == 'Q' || key == control_c || key == control_d;
  return ends ? Event::end : Event::resized;
}

}  // namespace ftpalg::tools
