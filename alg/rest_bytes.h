// SPDX-License-Identifier: GPL-2.0-or-later
// State in as few bytes as can be, for a session that says nothing (alg/connection.h). The same
// program reads what it wrote, and nothing else does: nothing is checked, and no version told. For
// bytes that leave the process there is alg/state_bytes.h, whose interface this has.
//
// What a session knows is nearly all alike: sequence numbers that are close to each other, the same
// few addresses, truths and small numbers. So a truth takes a bit, a number as few bytes as it
// needs, a sequence number or a time what it differs by from the one before, and an address is
// written once.
#pragma once

#include <array>
#include <cassert>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "alg/state_bytes.h"

namespace ftpalg {

/// The addresses that a session has mentioned so far, by both who writes and who reads.
class MentionedAddresses {
 public:
  /// More are not remembered.
  static constexpr std::size_t addresses_max = 8;

  /// size() where it is none of them.
  std::size_t find(const Address& address) const {
    std::size_t at = 0;
    while (at < size_ && addresses_[at] != address) ++at;
    return at;
  }
  void add(const Address& address) {
    if (size_ < addresses_max) addresses_[size_++] = address;
  }
  const Address& at(std::size_t index) const { return addresses_[index]; }
  std::size_t size() const { return size_; }

 private:
  std::array<Address, addresses_max> addresses_;
  std::size_t size_ = 0;
};

class RestWriter {
 public:
  /// Appends to `bytes`, whose room is used again.
  explicit RestWriter(std::vector<std::uint8_t>& bytes) : bytes_(bytes) {}

  template <typename... Types>
  void operator()(const Types&... values) {
    (put(values), ...);
  }
  template <typename Enum>
  void choice(const Enum& value, Enum /*last*/) {
    bytes_.push_back(static_cast<std::uint8_t>(value));
  }
  template <std::unsigned_integral Number>
  void number(const Number& value, std::uint32_t /*most*/) {
    put_short(value);
  }

 private:
  void put(bool value) {
    if (truths_ % 8 == 0) {
      truths_at_ = bytes_.size();
      bytes_.push_back(0);
    }
    if (value) {
      bytes_[truths_at_] = static_cast<std::uint8_t>(bytes_[truths_at_] | 1U << truths_ % 8);
    }
    ++truths_;
  }
  /// Seven bits a byte, the lowest first; the highest bit says that more follow.
  void put_short(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      bytes_.push_back(static_cast<std::uint8_t>(value | 0x80));
    }
    bytes_.push_back(static_cast<std::uint8_t>(value));
  }
  /// Small ones of both signs are short.
  void put_difference(std::int64_t value) {
    const auto bits = static_cast<std::uint64_t>(value);
    put_short(value < 0 ? ~(bits << 1) : bits << 1);
  }
  template <std::unsigned_integral Number>
  void put(Number value) {
    put_short(value);
  }
  template <std::signed_integral Number>
  void put(Number value) {
    put_difference(value);
  }
  void put(const Port& port) {
    bytes_.push_back(static_cast<std::uint8_t>(port.number >> 8));
    bytes_.push_back(static_cast<std::uint8_t>(port.number & 0xff));
  }
  void put(const Seq& seq) {
    put_difference(static_cast<std::int32_t>(seq.number - last_seq_));
    last_seq_ = seq.number;
  }
  void put(Time time) {
    put_difference(time.count() - last_time_);
    last_time_ = time.count();
  }
  void put(const Address& address) {
    const std::size_t mentioned = addresses_.find(address);
    const std::size_t size = address.size();
    put_short(mentioned < addresses_.size() ? mentioned : MentionedAddresses::addresses_max + size);
    if (mentioned < addresses_.size()) return;
    const auto bytes = address.bytes();
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    addresses_.add(address);
  }
  void put(const std::string& text) {
    put_short(text.size());
    bytes_.insert(bytes_.end(), text.begin(), text.end());
  }
  void put(const std::vector<std::uint8_t>& bytes) {
    put_short(bytes.size());
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
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
    put_short(values.size());
    for (const Type& value : values) put(value);
  }
  template <typename Type>
  requires std::is_class_v<Type>
  void put(const Type& value) {
    if constexpr (NamesItsFields<const Type, RestWriter>) {
      Type::visit(*this, value);
    } else {
      visit_fields(*this, value);
    }
  }

  std::vector<std::uint8_t>& bytes_;
  std::size_t truths_ = 0;
  std::size_t truths_at_ = 0;  ///< the byte for those that come next
  std::uint32_t last_seq_ = 0;
  std::int64_t last_time_ = 0;
  MentionedAddresses addresses_;
};

/// Reads the same things in the same order.
class RestReader {
 public:
  explicit RestReader(const std::uint8_t* bytes) : at_(bytes) {}

  template <typename... Types>
  void operator()(Types&... values) {
    (get(values), ...);
  }
  template <typename Enum>
  void choice(Enum& value, Enum /*last*/) {
    value = static_cast<Enum>(*at_++);
  }
  template <std::unsigned_integral Number>
  void number(Number& value, std::uint32_t /*most*/) {
    value = static_cast<Number>(get_short());
  }

 private:
  void get(bool& value) {
    if (truths_ % 8 == 0) truths_here_ = *at_++;
    value = (unsigned{truths_here_} >> truths_ % 8 & 1U) != 0;
    ++truths_;
  }
  std::uint64_t get_short() {
    std::uint64_t value = 0;
    unsigned shift = 0;
    for (; (*at_ & 0x80U) != 0; shift += 7) value |= std::uint64_t{*at_++ & 0x7fU} << shift;
    return value | std::uint64_t{*at_++} << shift;
  }
  std::int64_t get_difference() {
    const std::uint64_t bits = get_short();
    return static_cast<std::int64_t>((bits & 1U) != 0 ? ~(bits >> 1) : bits >> 1);
  }
  template <std::unsigned_integral Number>
  void get(Number& value) {
    value = static_cast<Number>(get_short());
  }
  template <std::signed_integral Number>
  void get(Number& value) {
    value = static_cast<Number>(get_difference());
  }
  void get(Port& port) {
    port.number = static_cast<std::uint16_t>(at_[0] << 8 | at_[1]);
    at_ += 2;
  }
  void get(Seq& seq) {
    last_seq_ += static_cast<std::uint32_t>(get_difference());
    seq.number = last_seq_;
  }
  void get(Time& time) {
    last_time_ += get_difference();
    time = Time{last_time_};
  }
  void get(Address& address) {
    const std::uint64_t kind = get_short();
    if (kind < MentionedAddresses::addresses_max) {
      address = addresses_.at(kind);
      return;
    }
    const std::size_t size = kind - MentionedAddresses::addresses_max;
    address = Address::from_bytes({at_, size}).value_or(Address{});
    at_ += size;
    addresses_.add(address);
  }
  void get(std::string& text) {
    const std::size_t size = get_short();
    text.assign(at_, at_ + size);
    at_ += size;
  }
  void get(std::vector<std::uint8_t>& bytes) {
    const std::size_t size = get_short();
    bytes.assign(at_, at_ + size);
    at_ += size;
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
    for (std::uint64_t left = get_short(); left > 0; --left) get(values.emplace_back());
  }
  template <typename Type>
  requires std::is_class_v<Type>
  void get(Type& value) {
    if constexpr (NamesItsFields<Type, RestReader>) {
      Type::visit(*this, value);
    } else {
      visit_fields(*this, value);
    }
  }

  const std::uint8_t* at_;
  std::size_t truths_ = 0;
  std::uint8_t truths_here_ = 0;
  std::uint32_t last_seq_ = 0;
  std::int64_t last_time_ = 0;
  MentionedAddresses addresses_;
};

}  // namespace ftpalg
