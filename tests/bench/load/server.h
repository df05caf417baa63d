// SPDX-License-Identifier: GPL-2.0-or-later
// An FTP server that costs next to nothing: one thread, no files, and data ports that are open
// before anybody asks for one. `RETR N` sends N bytes, whatever bytes.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "tests/bench/load/poller.h"

namespace ftpalg::bench {

class Server {
 public:
  /// Listens on `control`, whose address may be any, and on `data_ports` ports from
  /// `first_data_port` on, which sessions take by turns.
  Server(const Endpoint& control, Port first_data_port, std::uint16_t data_ports);
  ~Server();

  /// Until the process is ended.
  [[noreturn]] void serve();

 private:
  class Control;
  class Data;

  /// A data port, which one session at most has announced.
  class DataPort final : public Watcher {
   public:
    DataPort(Server& server, const Endpoint& endpoint);
    void on_ready(std::uint32_t events) override;
    Port port() const { return port_; }
    Control* announced_by = nullptr;

   private:
    Server& server_;
    Port port_;
    Descriptor listener_;
  };

  class Door final : public Watcher {
   public:
    Door(Server& server, const Endpoint& endpoint);
    void on_ready(std::uint32_t events) override;

   private:
    Server& server_;
    Descriptor listener_;
  };

  DataPort& next_free_port();
  void end(Control& control);

  Poller poller_;
  std::vector<std::unique_ptr<DataPort>> data_ports_;
  std::size_t next_port_ = 0;
  std::unique_ptr<Door> door_;
  std::list<Control> controls_;
  std::list<Control> ended_;  ///< to be destroyed after the round
};

}  // namespace ftpalg::bench
