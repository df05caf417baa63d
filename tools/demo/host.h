// SPDX-License-Identifier: GPL-2.0-or-later
// A host of a small network on this machine: a network namespace without a name. It exists as long
// as this object, or a program that runs on it, so that nothing can be left behind, even by a kill.
#pragma once

#include <functional>
#include <string>
#include <tl/expected.hpp>

#include "rules/descriptor.h"

namespace ftpalg::tools {

class Host {
 public:
  /// A host with nothing but its loopback interface. Needs CAP_SYS_ADMIN and CAP_NET_ADMIN; `name`
  /// is for messages.
  static tl::expected<Host, std::string> make(std::string name);

  const std::string& name() const { return name_; }
  /// Of the namespace, for setns(2).
  int descriptor() const { return namespace_.number(); }
  /// Of the namespace, for the `netns` that ip(8) takes.
  std::string path() const;

  /// Calls `work` on a thread of its own on this host, and waits for it.
  tl::expected<void, std::string> run(
      const std::function<tl::expected<void, std::string>()>& work) const;

  /// Does what the lines say, each an ip(8) command without the word `ip`.
  tl::expected<void, std::string> ip(const std::string& lines) const;

  /// Applies nft(8) commands.
  tl::expected<void, std::string> nft(const std::string& commands) const;

  /// Sets the sysctl with the path `name` below /proc/sys, such as "net/ipv4/ip_forward".
  tl::expected<void, std::string> set_sysctl(const std::string& name,
                                             const std::string& value) const;

 private:
  Host(std::string name, Descriptor descriptor)
      : name_(std::move(name)), namespace_(std::move(descriptor)) {}

  std::string name_;
  Descriptor namespace_;
};

/// Joins two hosts by a cable: an interface `left_device` on the one, `right_device` on the other.
tl::expected<void, std::string> connect(const Host& left, const std::string& left_device,
                                        const Host& right, const std::string& right_device);

}  // namespace ftpalg::tools
