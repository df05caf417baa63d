// SPDX-License-Identifier: GPL-2.0-or-later
// The Unix socket on which a running gateway answers (PROTOCOL.md): a file that its owner and one
// group may use.
//
// It is made while the gateway has its rights. Of two gateways the first keeps it; one that a
// killed gateway has left is replaced.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "rules/descriptor.h"

namespace ftpalg::tools {

/// The file of a socket, for whoever removes it; another that has taken its place stays.
class ControlSocketFile {
 public:
  ControlSocketFile() = default;
  ControlSocketFile(std::string path, dev_t device, ino_t inode, bool directory_is_ours)
      : path_(std::move(path)),
        device_(device),
        inode_(inode),
        directory_is_ours_(directory_is_ours) {}

  /// What another process has made at `path`, and hands over.
  static ControlSocketFile at(const std::string& path, bool directory_is_ours);

  const std::string& path() const { return path_; }
  /// This program has made its directory, and removes it with the file.
  bool directory_is_ours() const { return directory_is_ours_; }
  void remove() const;

 private:
  std::string path_;  ///< empty: there is none
  dev_t device_ = 0;
  ino_t inode_ = 0;
  bool directory_is_ours_ = false;
};

struct ControlSocket {
  Descriptor listener;
  ControlSocketFile file;

  /// Makes it, with the mode 0660 and of `group` (empty: of the program's own), and its directory
  /// if that is missing. An error names the cause and the mend.
  static tl::expected<ControlSocket, std::string> open(const std::string& path,
                                                       const std::string& group);
};

/// Connects to the gateway that answers on `path`.
tl::expected<Descriptor, std::string> connect_to_gateway(const std::string& path);

}  // namespace ftpalg::tools
