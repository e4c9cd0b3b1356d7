// tcp/send_buffer.h - the octets that a connection has to deliver, until they are acknowledged.
//
// A chain of extents from a pool that all connections of a core share. An extent is either a piece
// of a pool chunk (copied octets; small writes fill the last chunk up) or memory of the
// application that never changes and outlives the connection (static octets, never copied).
// A single static piece, so a request or a response of a load test, needs no extent: the buffer
// itself says where it is (90 instructions a connection).
// A connection without unacknowledged data holds nothing.
// Cost: appending and acknowledging are O(extents touched); reading at a cursor is O(1).
#ifndef MILLRACE_TCP_SEND_BUFFER_H_
#define MILLRACE_TCP_SEND_BUFFER_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "millrace/base/slab.h"
#include "millrace/wire/checksum.h"

namespace millrace::tcp {

struct Extent {
  uint32_t next;
  uint32_t length;  // octets
  const std::byte* data;
  uint32_t chunk;  // index of the chunk that holds `data`, kNoIndex for static octets
};

inline constexpr uint32_t kChunkBytes = 2048;

struct Chunk {
  std::array<std::byte, kChunkBytes> bytes;
};

// Where reading goes on. Valid until the buffer changes.
struct SendCursor {
  const std::byte* data = nullptr;
  uint32_t length = 0;       // octets there
  uint32_t next = kNoIndex;  // the extent behind them
};

// One per core; bounds the memory of all send buffers together.
struct SendPool {
  SendPool(uint32_t extents_max, uint32_t chunks_max) : extents(extents_max), chunks(chunks_max) {}
  Slab<Extent> extents;
  Slab<Chunk> chunks;

  // Copies `length` octets from `cursor` on to `out`. REQUIRES: that many octets follow.
  void Copy(SendCursor cursor, uint32_t length, std::byte* out) const;
  // The same, and their sum (wire/checksum.h). Writes up to 7 zeros behind them.
  uint64_t CopySummed(SendCursor cursor, uint32_t length, std::byte* out) const {
    if (length < 8 && length <= cursor.length) {
      // Requests of load tests, without the calls: one load, one store.
      const uint64_t word = wire::LoadShort(cursor.data, length);
      std::memcpy(out, &word, sizeof word);
      return word;
    }
    Copy(cursor, length, out);
    return wire::ChecksumAdd(out, length, 0);
  }
};

class SendBuffer {
 public:
  void Init() { *this = SendBuffer(); }

  uint32_t size_bytes() const { return bytes_; }

  // Copies from `data` what fits below `limit_bytes` in all and into the pool; returns how much.
  uint32_t AppendCopy(std::span<const std::byte> data, uint32_t limit_bytes, SendPool& pool);
  // Takes all of `data` by reference, or nothing (false) when the pool has no extent left or the
  // buffer would pass 1 GiB.
  [[nodiscard]] bool AppendStatic(std::span<const std::byte> data, SendPool& pool);
  // The same for an empty buffer, without an extent; false, and nothing has changed, for others.
  [[nodiscard]] bool SetPiece(std::span<const std::byte> data);

  // Forgets the first `length` octets (they were acknowledged). REQUIRES: length <= size_bytes().
  void Consume(uint32_t length, SendPool& pool) {
    if (length == 0) return;
    if (length != bytes_ || !IsPiece()) return ConsumePart(length, pool);
    bytes_ = 0;
  }
  void Clear(SendPool& pool) { Consume(bytes_, pool); }

  // Cursor to octet `position` of the buffer. REQUIRES: position < size_bytes().
  SendCursor At(uint32_t position, const SendPool& pool);

 private:
  static constexpr uint32_t kBufferMax = 1u << 30;  // keeps sequence arithmetic away from 2^31

  // Whether what there is, if anything, is one static piece without an extent.
  bool IsPiece() const { return head_ == kNoIndex; }
  const std::byte* piece() const { return std::bit_cast<const std::byte*>(place_); }
  // By memcpy it is one store.
  void set_piece(const std::byte* data) { std::memcpy(place_.data(), &data, sizeof place_); }

  void ConsumePart(uint32_t length, SendPool& pool);
  [[gnu::noinline]] bool Append(const std::byte* data, uint32_t length, uint32_t chunk,
                                SendPool& pool);
  bool AddExtent(const std::byte* data, uint32_t length, uint32_t chunk, SendPool& pool);

  uint32_t head_ = kNoIndex, tail_ = kNoIndex;
  uint32_t bytes_ = 0;
  // Of a piece: its address. Otherwise the extent read last (kNoIndex: none) and the position of
  // its first octet: sending goes forward, so the next read starts there. As numbers, because a
  // Tcb has no room for the alignment of a pointer.
  using Place = std::array<uint32_t, 2>;
  static_assert(sizeof(Place) == sizeof(const std::byte*));
  Place place_{};
};

// Inline definitions

inline bool SendBuffer::SetPiece(std::span<const std::byte> data) {
  if (bytes_ != 0 || data.size() > kBufferMax) return false;
  set_piece(data.data());
  bytes_ = static_cast<uint32_t>(data.size());
  return true;
}

inline bool SendBuffer::AppendStatic(std::span<const std::byte> data, SendPool& pool) {
  if (SetPiece(data)) return true;
  if (data.size() > kBufferMax - bytes_) return false;
  return data.empty() || Append(data.data(), static_cast<uint32_t>(data.size()), kNoIndex, pool);
}

inline SendCursor SendBuffer::At(uint32_t position, const SendPool& pool) {
  MR_DCHECK(position < bytes_);
  if (IsPiece()) [[likely]]
    return {piece() + position, bytes_ - position, kNoIndex};
  auto& [hint, hint_position] = place_;
  uint32_t at = head_;
  uint32_t begin = 0;
  if (hint != kNoIndex && hint_position <= position) {
    at = hint;
    begin = hint_position;
  }
  while (position - begin >= pool.extents[at].length) {
    begin += pool.extents[at].length;
    at = pool.extents[at].next;
  }
  hint = at;
  hint_position = begin;
  const Extent& extent = pool.extents[at];
  return {extent.data + (position - begin), extent.length - (position - begin), extent.next};
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_SEND_BUFFER_H_
