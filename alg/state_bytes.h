// SPDX-License-Identifier: GPL-2.0-or-later
// State as bytes: how what one engine knows is written down, to be read by another.
//
// A class that has state names its fields once, for both ways:
//
//   template <typename Fields, typename Self>
//   static void visit(Fields& fields, Self& self) { fields(self.next_, self.forwarded_); }
//
// Numbers are big-endian and have a fixed size, so that the bytes are the same everywhere. The
// reader trusts nothing: what is not there, or out of its range, makes the whole fail.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "alg/tcp_seq.h"
#include "alg/time.h"
#include "alg/wire.h"
#include "conntrack/expectation.h"
#include "conntrack/master.h"

namespace ftpalg {

template <typename Fields, typename Self>
void visit_fields(Fields& fields, Self& seq) requires std::same_as<std::remove_const_t<Self>, Seq> {
  fields(seq.number);
}
template <typename Fields, typename Self>
void visit_fields(Fields& fields,
                  Self& port) requires std::same_as<std::remove_const_t<Self>, Port> {
  fields(port.number);
}
template <typename Fields, typename Self>
void visit_fields(Fields& fields,
                  Self& endpoint) requires std::same_as<std::remove_const_t<Self>, Endpoint> {
  fields(endpoint.address, endpoint.port);
}
template <typename Fields, typename Self>
void visit_fields(Fields& fields,
                  Self& tuple) requires std::same_as<std::remove_const_t<Self>, Tuple> {
  fields(tuple.source, tuple.destination);
}
template <typename Fields, typename Self>
void visit_fields(Fields& fields,
                  Self& offset) requires std::same_as<std::remove_const_t<Self>, SequenceOffset> {
  fields(offset.position, offset.before, offset.after);
}
template <typename Fields, typename Self>
void visit_fields(Fields& fields,
                  Self& master) requires std::same_as<std::remove_const_t<Self>, Master> {
  fields(master.original, master.reply, master.offsets, master.has_carrier, master.mark,
         master.zone);
}
template <typename Fields, typename Self>
void visit_fields(Fields& fields,
                  Self& expectation) requires std::same_as<std::remove_const_t<Self>, Expectation> {
  fields(expectation.master, expectation.zone, expectation.source, expectation.destination,
         expectation.inside, expectation.usual_source_port);
  fields.choice(expectation.direction, Direction::reply);
  fields(expectation.follows_master);
}

template <typename Type, typename Fields>
concept NamesItsFields = requires(Fields& fields, Type& value) {
  std::remove_const_t<Type>::visit(fields, value);
};

class StateWriter {
 public:
  template <typename... Types>
  void operator()(const Types&... values) {
    (put(values), ...);
  }
  /// An enumerator from the first, which is 0, to `last`.
  template <typename Enum>
  void choice(const Enum& value, Enum /*last*/) {
    put(static_cast<std::underlying_type_t<Enum>>(value));
  }
  /// A number up to `most`, whatever its type.
  template <std::unsigned_integral Number>
  void number(const Number& value, std::uint32_t /*most*/) {
    put(static_cast<std::uint32_t>(value));
  }

  std::size_t size() const { return bytes_.size(); }
  std::vector<std::uint8_t> take() { return std::move(bytes_); }

 private:
  template <std::integral Number>
  void put(Number value) {
    std::uint64_t bits = 0;
    if constexpr (std::same_as<Number, bool>) {
      bits = value ? 1U : 0U;
    } else {
      bits = static_cast<std::make_unsigned_t<Number>>(value);
    }
    for (std::size_t byte = sizeof(Number); byte-- > 0;) {
      bytes_.push_back(static_cast<std::uint8_t>(bits >> (8 * byte)));
    }
  }
  void put(Time time) { put(time.count()); }
  void put(const Address& address) {
    put(static_cast<std::uint8_t>(address.size()));
    const auto bytes = address.bytes();
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void put(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  void put(const std::string& text) { put(std::string_view{text}); }
  template <typename Type>
  void put(const std::optional<Type>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <typename Type, std::size_t size>
  void put(const std::array<Type, size>& values) {
    for (const Type& value : values) put(value);
  }
  template <typename Type>
  void put(const std::vector<Type>& values) {
    put(static_cast<std::uint32_t>(values.size()));
    for (const Type& value : values) put(value);
  }
  template <typename Type>
  requires std::is_class_v<Type>
  void put(const Type& value) {
    if constexpr (NamesItsFields<const Type, StateWriter>) {
      Type::visit(*this, value);
    } else {
      visit_fields(*this, value);
    }
  }

  std::vector<std::uint8_t> bytes_;
};

class StateReader {
 public:
  explicit StateReader(wire::Bytes bytes) : rest_(bytes), all_(bytes.size()) {}

  /// After a failure everything reads as zero, or as nothing.
  template <typename... Types>
  void operator()(Types&... values) {
    (get(values), ...);
  }
  template <typename Enum>
  void choice(Enum& value, Enum last) {
    std::underlying_type_t<Enum> number{};
    get(number);
    if (number > static_cast<std::underlying_type_t<Enum>>(last)) {
      fail("a choice is none of those there are");
      return;
    }
    value = static_cast<Enum>(number);
  }
  template <std::unsigned_integral Number>
  void number(Number& value, std::uint32_t most) {
    std::uint32_t number = 0;
    get(number);
    if (number > most) {
      fail("a number is too large");
      return;
    }
    value = static_cast<Number>(number);
  }

  /// The first failure counts.
  void fail(std::string_view why) {
    if (failure_.empty()) {
      failure_ = std::string(why) + ", before byte " + std::to_string(all_ - rest_.size());
    }
    rest_ = {};
  }
  bool failed() const { return !failure_.empty(); }
  /// Empty when nothing has failed.
  const std::string& failure() const { return failure_; }
  std::size_t left() const { return rest_.size(); }
  /// Of what must have at least one byte each.
  std::uint32_t count() {
    std::uint32_t count = 0;
    get(count);
    if (count <= rest_.size()) return count;
    fail("it says to go on for longer than it does");
    return 0;
  }

 private:
  /// 36 years, so that what is added to it, and its double, fit too.
  static constexpr std::int64_t time_max = std::int64_t{1} << 60;

  wire::Bytes take(std::size_t bytes) {
    if (bytes > rest_.size()) {
      fail("it is cut short");
      return {};
    }
    const wire::Bytes taken = rest_.first(bytes);
    rest_ = rest_.subspan(bytes);
    return taken;
  }
  template <std::integral Number>
  void get(Number& value) {
    std::uint64_t bits = 0;
    for (const std::uint8_t byte : take(sizeof(Number))) bits = bits << 8 | byte;
    value = static_cast<Number>(bits);
  }
  void get(bool& value) {
    std::uint8_t byte = 0;
    get(byte);
    if (byte > 1) fail("neither true nor false");
    value = byte == 1;
  }
  void get(Time& time) {
    std::int64_t nanoseconds = 0;
    get(nanoseconds);
    if (nanoseconds < 0 || nanoseconds > time_max) {
      fail("a time is out of its range");
      nanoseconds = 0;
    }
    time = Time{nanoseconds};
  }
  void get(Address& address) {
    std::uint8_t bytes = 0;
    get(bytes);
    if (const auto read = Address::from_bytes(take(bytes))) {
      address = *read;
    } else {
      fail("neither an IPv4 nor an IPv6 address");
    }
  }
  void get(std::string& text) {
    const wire::Bytes bytes = take(count());
    text.assign(bytes.begin(), bytes.end());
  }
  template <typename Type>
  void get(std::optional<Type>& value) {
    bool has_value = false;
    get(has_value);
    value.reset();
    if (has_value) get(value.emplace());
  }
  template <typename Type, std::size_t size>
  void get(std::array<Type, size>& values) {
    for (Type& value : values) get(value);
  }
  template <typename Type>
  void get(std::vector<Type>& values) {
    values.clear();
    for (std::uint32_t left = count(); left > 0 && !failed(); --left) get(values.emplace_back());
  }
  template <typename Type>
  requires std::is_class_v<Type>
  void get(Type& value) {
    if constexpr (NamesItsFields<Type, StateReader>) {
      Type::visit(*this, value);
    } else {
      visit_fields(*this, value);
    }
  }

  wire::Bytes rest_;
  std::size_t all_;
  std::string failure_;
};

}  // namespace ftpalg
