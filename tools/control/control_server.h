// SPDX-License-Identifier: GPL-2.0-or-later
// The gateway's side of the control protocol (PROTOCOL.md), in the main thread, beside the packet
// path and never in its way.
//
// Nothing here blocks. A client that sends too much, or does not read what it asked for, is cut
// off; while it does not read, what it asked for waits in its source and not in memory of ours.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "alg/time.h"
#include "rules/descriptor.h"
#include "tools/hint.h"
#include "tools/records.h"

namespace ftpalg::tools {

/// An answer in many lines, made while its reader reads.
class AnswerLines {
 public:
  virtual ~AnswerLines() = default;
  enum class Next : std::uint8_t { at_once, later, never };
  /// Appends the next lines, of some kilobytes at most, and says when there are more.
  virtual Next append_to(std::string& out) = 0;
};

class ControlServer {
 public:
  static constexpr std::size_t clients_max = 64;
  static constexpr std::size_t request_bytes_max = std::size_t{16} * 1024;
  /// Beyond so much that a client has not read, nothing is made for it.
  static constexpr std::size_t unread_bytes_max = std::size_t{64} * 1024;
  /// How long a client may read nothing of what waits for it.
  static constexpr Time stall_max = std::chrono::seconds{10};
  /// How often followers of events are told of new ones.
  static constexpr Time event_interval = std::chrono::milliseconds{100};

  /// A client, for as long as it is there.
  using ClientId = std::uint64_t;
  struct Asker {
    ClientId id;
    bool is_owner;  ///< root, or the user that the gateway runs as
  };
  /// Answers with an object, or says that it answers later, by answer().
  using Ask = std::function<std::optional<nlohmann::ordered_json>(const Asker& asker,
                                                                  const nlohmann::json& request)>;

  /// `listener` may be closed, where there is no socket. `records` outlive this; `view` says from
  /// when records are looked at.
  ControlServer(Descriptor listener, std::vector<const Records*> records,
                std::function<Viewpoint()> view);

  /// Serves whoever is at the other end of `socket`, who may look and nothing else, and makes room
  /// for nobody.
  void admit_viewer(Descriptor socket, Time now);

  /// What is asked so is answered by `answer`.
  void answer_to(const std::string& question, Ask answer);

  /// What to wait for, and how long at most (poll(2)).
  void add_to(std::vector<pollfd>& sources) const;
  int timeout_milliseconds() const;
  /// Serves whoever can be served; `sources` as add_to() has appended them.
  void serve(std::span<const pollfd> sources, Time now);

  /// The answer that is due to a client, if it is still there.
  void answer(ClientId id, const nlohmann::ordered_json& json);

  /// The socket of a client that is there, for whoever has descriptors to send with an answer.
  /// Negative when it is gone.
  int descriptor_of(ClientId id) const;
  /// The socket that it answers on.
  int listener() const { return listener_.number(); }

 private:
  struct Client {
    ClientId id = 0;
    Descriptor socket;
    bool is_owner = false;
    bool stays = false;  ///< makes room for nobody
    std::string in;
    std::string out;
    std::size_t sent = 0;  ///< of `out`
    std::unique_ptr<AnswerLines> lines;
    bool has_more = false;  ///< `lines` has, at once
    bool awaits_answer = false;
    bool asks_no_more = false;  ///< has closed its side
    bool is_gone = false;
    Time heard{};       ///< when it last did anything
    Time progressed{};  ///< when it last read, or had nothing to read

    std::size_t unread() const { return out.size() - sent; }
    bool is_busy() const { return lines != nullptr || awaits_answer; }
  };

  void admit_clients(Time now);
  Client& admit(Descriptor socket, Time now);
  void make_room();
  void listen_to(Client& client, Time now);
  void take_requests(Client& client);
  void take_request(Client& client, std::string_view line);
  void send_to(Client& client, Time now);
  static void send_unread(Client& client, Time now);
  static void complain(Client& client, const std::string& what);

  Descriptor listener_;
  std::vector<const Records*> records_;
  std::function<Viewpoint()> view_;
  std::map<std::string, Ask> answers_;
  std::list<Client> clients_;
  ClientId last_id_ = 0;
  const uid_t own_user_;
};

}  // namespace ftpalg::tools
