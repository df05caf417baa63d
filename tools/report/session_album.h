// SPDX-License-Identifier: GPL-2.0-or-later
// The sessions of a replay, each with its whole ladder: the witness that a report is made of.
//
// Data connections are seen where the capture has them: a connection to what was announced belongs
// to the session that announced it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <unordered_map>

#include "alg/segment.h"
#include "alg/witness.h"
#include "tools/record.h"

namespace ftpalg::tools {

class SessionAlbum final : public Witness {
 public:
  /// More would be no report that a browser opens.
  static constexpr std::size_t sessions_max = 1000;
  static constexpr std::size_t rungs_max = 1000;

  void on_answered(const Master& master, Beginning beginning, Time now) override;
  void on_begin(const Tuple& control, Time now) override;
  void on_line(const WitnessedLine& line, Time now) override;
  void on_decision(const Decision& decision, Time now) override;
  void on_left(const Tuple& control, Time now) override;
  void on_end(const Tuple& control, Time now) override;

  /// A segment that is none of a control connection.
  void on_other_segment(const Segment& segment, Time now);

  /// How many were not kept, beyond sessions_max.
  std::size_t left_out() const { return left_out_; }
  /// As in the control protocol, with their ladders, in the order in which they began. `now` is the
  /// end of the capture.
  nlohmann::ordered_json json(Time now, Time expectation_life) const;

 private:
  struct Page {
    Record record;
    bool has_begun = false;
  };
  /// Somebody was told to connect there.
  struct Announced {
    Page* page;
    bool to_client;        ///< else to the server
    Endpoint destination;  ///< before NAT
  };
  struct Data {
    Page* page;
    bool to_client;                          ///< the one who has opened it is the server
    Endpoint came_to;                        ///< before NAT
    std::array<std::optional<Seq>, 2> ends;  ///< of what was seen, by direction
    std::array<std::uint64_t, 2> bytes{};
    std::array<bool, 2> has_ended{};
  };

  Page* page_of(const Tuple& control);
  void note_announced(Page& page, const Decision& decision);
  static void count(Data& data, const Segment& segment, Direction direction, Time now);

  std::list<Page> pages_;
  std::unordered_map<Tuple, Page*> latest_;            ///< by control connection
  std::unordered_map<Endpoint, Announced> announced_;  ///< as seen on either side of NAT
  std::unordered_map<Tuple, Data> data_;               ///< from whoever has opened it
  std::size_t left_out_ = 0;
};

}  // namespace ftpalg::tools
