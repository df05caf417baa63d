// SPDX-License-Identifier: GPL-2.0-or-later
// A file descriptor that is closed with its owner.
#pragma once

#include <unistd.h>

#include <utility>

namespace ftpalg {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { close(); }

  /// Negative when closed.
  int number() const { return number_; }
  bool is_open() const { return number_ >= 0; }
  /// It is the caller's to close.
  int release() { return std::exchange(number_, -1); }
  void close() {
    if (is_open()) ::close(std::exchange(number_, -1));
  }

 private:
  int number_ = -1;
};

}  // namespace ftpalg
