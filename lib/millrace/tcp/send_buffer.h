// tcp/send_buffer.h - the octets that a connection has to deliver, until they are acknowledged.
//
// A chain of extents from a pool that all connections of a core share. An extent is either a piece
// of a pool chunk (copied octets; small writes fill the last chunk up) or memory of the
// application that never changes and outlives the connection (static octets, never copied).
// A connection without unacknowledged data holds nothing.
// Cost: appending and acknowledging are O(extents touched); reading at a cursor is O(1).
#ifndef MILLRACE_TCP_SEND_BUFFER_H_
#define MILLRACE_TCP_SEND_BUFFER_H_

#include <array>
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

// Where reading goes on: octet `offset` of extent `extent`.
struct SendCursor {
  uint32_t extent = kNoIndex;
  uint32_t offset = 0;
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
    const Extent& extent = extents[cursor.extent];
    if (length < 8 && length <= extent.length - cursor.offset) {
      // Requests of load tests, without the calls: one load, one store.
      const uint64_t word = wire::LoadShort(extent.data + cursor.offset, length);
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

  // Forgets the first `length` octets (they were acknowledged). REQUIRES: length <= size_bytes().
  void Consume(uint32_t length, SendPool& pool) {
    if (length == 0) return;
    if (length != bytes_ || head_ != tail_) return ConsumePart(length, pool);
    // All of one extent: a request or a response of a load test.
    Extent& extent = pool.extents[head_];
    if (extent.chunk != kNoIndex) pool.chunks.Give(extent.chunk);
    pool.extents.Give(head_);
    Init();
  }
  void Clear(SendPool& pool) { Consume(bytes_, pool); }

  // Cursor to octet `position` of the buffer. REQUIRES: position < size_bytes().
  SendCursor At(uint32_t position, const SendPool& pool);

 private:
  static constexpr uint32_t kBufferMax = 1u << 30;  // keeps sequence arithmetic away from 2^31

  void ConsumePart(uint32_t length, SendPool& pool);
  uint32_t Append(const std::byte* data, uint32_t length, uint32_t chunk, SendPool& pool);

  uint32_t head_ = kNoIndex, tail_ = kNoIndex;
  uint32_t bytes_ = 0;
  // The extent read last and the position of its first octet: sending goes forward, so the next
  // read starts there.
  uint32_t hint_ = kNoIndex;
  uint32_t hint_position_ = 0;
};

// Inline definitions

inline uint32_t SendBuffer::Append(const std::byte* data, uint32_t length, uint32_t chunk,
                            SendPool& pool) {
  const uint32_t index = pool.extents.Take();
  if (index == kNoIndex) return kNoIndex;
  pool.extents[index] = {kNoIndex, length, data, chunk};
  if (tail_ == kNoIndex) {
    head_ = index;
  } else {
    pool.extents[tail_].next = index;
  }
  tail_ = index;
  bytes_ += length;
  return index;
}

inline bool SendBuffer::AppendStatic(std::span<const std::byte> data, SendPool& pool) {
  if (data.empty()) return true;
  if (data.size() > kBufferMax || bytes_ + data.size() > kBufferMax) return false;
  return Append(data.data(), static_cast<uint32_t>(data.size()), kNoIndex, pool) != kNoIndex;
}

inline SendCursor SendBuffer::At(uint32_t position, const SendPool& pool) {
  MR_DCHECK(position < bytes_);
  uint32_t extent = head_;
  uint32_t begin = 0;
  if (hint_ != kNoIndex && hint_position_ <= position) {
    extent = hint_;
    begin = hint_position_;
  }
  while (position - begin >= pool.extents[extent].length) {
    begin += pool.extents[extent].length;
    extent = pool.extents[extent].next;
  }
  hint_ = extent;
  hint_position_ = begin;
  return {extent, position - begin};
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_SEND_BUFFER_H_
