// SPDX-License-Identifier: GPL-2.0-or-later
#include "tools/state_file.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "alg/state_bytes.h"

namespace ftpalg::tools {
namespace {

constexpr std::array<std::uint8_t, 8> magic{'f', 't', 'p', 'a', 'l', 'g', 0, 'q'};
constexpr std::uint32_t layout_version = 1;
/// Where each part begins: the header at 0, and the rest with room for what is before.
constexpr std::size_t offset_begin = 512;
constexpr std::size_t engine_begin = 8192;
/// Beyond what any engine has to say.
constexpr std::uint64_t engine_bytes_max = std::uint64_t{4} * 1024 * 1024 * 1024;

struct Header {
  std::array<std::uint8_t, 8> mark = magic;
  std::uint32_t version = layout_version;
  bool is_left = false;  ///< by a reader in good order
  bool tells_connections = false;
  std::uint32_t last_packet_id = 0;
  std::uint64_t engine_bytes = 0;

  static constexpr std::size_t bytes = 8 + 4 + 1 + 1 + 4 + 8;
  template <typename Fields, typename Self>
  static void visit(Fields& fields, Self& self) {
    fields(self.mark, self.version, self.is_left, self.tells_connections, self.last_packet_id,
           self.engine_bytes);
  }
};

tl::unexpected<std::string> failure(std::string_view what, int error) {
  return tl::unexpected(fmt::format("the state file cannot be {}: {}", what, std::strerror(error)));
}

tl::expected<void, std::string> write_at(int file, std::size_t at,
                                         std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failure("written", written < 0 ? errno : ENOSPC);
    at += static_cast<std::size_t>(written);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

tl::expected<std::vector<std::uint8_t>, std::string> read_at(int file, std::size_t at,
                                                             std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  std::size_t have = 0;
  while (have < size) {
    const ssize_t count =
        pread(file, bytes.data() + have, size - have, static_cast<off_t>(at + have));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure("read", errno);
    if (count == 0) return tl::unexpected(std::string{"the state file is cut short"});
    have += static_cast<std::size_t>(count);
  }
  return bytes;
}

tl::expected<void, std::string> write_header(int file, const Header& header) {
  StateWriter fields;
  fields(header);
  return write_at(file, 0, fields.take());
}

}  // namespace

tl::expected<StateFile, std::string> StateFile::make(std::uint16_t queue) {
  Descriptor file{memfd_create(fmt::format("ftpalg-state-{}", queue).c_str(), MFD_CLOEXEC)};
  if (!file.is_open()) return failure("made", errno);
  return StateFile(std::move(file));
}

tl::expected<StateFile::Content, std::string> StateFile::read() const {
  const auto bytes = read_at(descriptor(), 0, Header::bytes);
  if (!bytes) return tl::unexpected(bytes.error());
  Header header;
  StateReader fields(*bytes);
  fields(header);
  if (fields.failed() || header.mark != magic) {
    return tl::unexpected(std::string{"this is no state file of a gateway"});
  }
  if (header.version != layout_version) {
    return tl::unexpected(fmt::format("the state file is of version {}, and this program reads {}",
                                      header.version, layout_version));
  }
  Content content;
  content.queue.tells_connections = header.tells_connections;
  if (!header.is_left) return content;

  struct stat file {};
  const bool is_whole =
      fstat(descriptor(), &file) == 0 && header.engine_bytes < engine_bytes_max &&
      static_cast<std::uint64_t>(file.st_size) >= engine_begin + header.engine_bytes;
  if (!is_whole) return tl::unexpected(std::string{"the state file is cut short"});
  auto engine = read_at(descriptor(), engine_begin, static_cast<std::size_t>(header.engine_bytes));
  if (!engine) return tl::unexpected(engine.error());
  content.queue.last_packet_id = header.last_packet_id;
  content.engine = std::move(*engine);
  return content;
}

tl::expected<void, std::string> StateFile::note_reading(const PacketQueue::Standing& queue) const {
  Header header;
  header.tells_connections = queue.tells_connections;
  return write_header(descriptor(), header);
}

void StateFile::note_offsets(const std::vector<Offset>& offsets) const {
  StateWriter fields;
  fields(offsets);
  const auto bytes = fields.take();
  if (bytes.size() <= engine_begin - offset_begin) {
    static_cast<void>(write_at(descriptor(), offset_begin, bytes));
  }
}

std::vector<StateFile::Offset> StateFile::noted_offsets() const {
  std::array<std::uint8_t, engine_begin - offset_begin> bytes{};
  const ssize_t size =
      pread(descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(offset_begin));
  if (size <= 0) return {};
  StateReader fields(wire::Bytes{bytes}.first(static_cast<std::size_t>(size)));
  std::vector<Offset> offsets;
  fields(offsets);
  return fields.failed() ? std::vector<Offset>{} : offsets;
}

tl::expected<void, std::string> StateFile::write(const Content& content) const {
  // What it says counts when its header does.
  if (auto written = write_at(descriptor(), engine_begin, content.engine); !written) {
    return written;
  }
  Header header;
  header.is_left = true;
  header.tells_connections = content.queue.tells_connections;
  header.last_packet_id = content.queue.last_packet_id.value_or(0);
  header.engine_bytes = content.engine.size();
  return write_header(descriptor(), header);
}

}  // namespace ftpalg::tools
