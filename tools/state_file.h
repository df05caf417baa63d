// SPDX-License-Identifier: GPL-2.0-or-later
// A state file: where a gateway leaves what it knows of one queue and its sessions, for the next
// one. It has no name and lies in memory: who has its descriptor has it, be it the next gateway or
// a service manager that keeps it meanwhile, and nobody else. It is gone when nobody has it.
//
// What it says is true only until the queue is read again. So who goes on with it first says in it
// that the queue is being read; a gateway that is killed leaves it so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "alg/state_bytes.h"
#include "conntrack/netlink/packet_queue.h"
#include "rules/descriptor.h"

namespace ftpalg::tools {

class StateFile {
 public:
  struct Content {
    PacketQueue::Standing queue;
    /// What Engine::state() has written; nothing when the queue is being read, or its reader was
    /// killed.
    std::vector<std::uint8_t> engine;
  };

  /// An offset that was about to be set on account of a packet that had no verdict yet. Whoever is
  /// killed then leaves an offset without the edit that it belongs to.
  struct Offset {
    std::uint32_t packet_id = 0;
    Master master;
    Direction direction = Direction::original;
    SequenceOffset offset;

    template <typename Fields, typename Self>
    static void visit(Fields& fields, Self& self) {
      fields(self.packet_id, self.master);
      fields.choice(self.direction, Direction::reply);
      fields(self.offset);
    }
  };

  /// An empty one.
  static tl::expected<StateFile, std::string> make(std::uint16_t queue);
  explicit StateFile(Descriptor file) : file_(std::move(file)) {}

  int descriptor() const { return file_.number(); }

  tl::expected<Content, std::string> read() const;
  /// The queue is being read.
  tl::expected<void, std::string> note_reading(const PacketQueue::Standing& queue) const;
  /// They are noted in place of those before. Where they cannot be noted nothing is.
  void note_offsets(const std::vector<Offset>& offsets) const;
  std::vector<Offset> noted_offsets() const;
  /// Nobody reads the queue, until somebody takes what is said here.
  tl::expected<void, std::string> write(const Content& content) const;

 private:
  Descriptor file_;
};

}  // namespace ftpalg::tools
