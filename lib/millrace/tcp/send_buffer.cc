#include "millrace/tcp/send_buffer.h"

#include <algorithm>
#include <cstring>

namespace millrace::tcp {

void SendPool::Copy(SendCursor cursor, uint32_t length, std::byte* out) const {
  while (true) {
    const uint32_t part = std::min(length, cursor.length);
    std::memcpy(out, cursor.data, part);
    out += part;
    length -= part;
    if (length == 0) return;
    const Extent& extent = extents[cursor.next];
    cursor = {extent.data, extent.length, extent.next};
  }
}

bool SendBuffer::AddExtent(const std::byte* data, uint32_t length, uint32_t chunk, SendPool& pool) {
  const uint32_t index = pool.extents.Take();
  if (index == kNoIndex) return false;
  pool.extents[index] = {kNoIndex, length, data, chunk};
  if (head_ == kNoIndex) {
    head_ = index;
    place_ = {kNoIndex, 0};
  } else {
    pool.extents[tail_].next = index;
  }
  tail_ = index;
  return true;
}

bool SendBuffer::Append(const std::byte* data, uint32_t length, uint32_t chunk, SendPool& pool) {
  if (IsPiece() && bytes_ != 0 && !AddExtent(piece(), bytes_, kNoIndex, pool)) return false;
  if (!AddExtent(data, length, chunk, pool)) return false;
  bytes_ += length;
  return true;
}

uint32_t SendBuffer::AppendCopy(std::span<const std::byte> data, uint32_t limit_bytes,
                                SendPool& pool) {
  uint32_t taken = 0;
  const uint32_t room = bytes_ < limit_bytes ? limit_bytes - bytes_ : 0;
  const uint32_t wanted = static_cast<uint32_t>(std::min<size_t>(data.size(), room));
  while (taken < wanted) {
    uint32_t part = 0;
    if (!IsPiece() && pool.extents[tail_].chunk != kNoIndex) {
      Extent& extent = pool.extents[tail_];
      std::byte* const begin = pool.chunks[extent.chunk].bytes.data();
      const uint32_t used = static_cast<uint32_t>(extent.data + extent.length - begin);
      part = std::min(wanted - taken, kChunkBytes - used);
      std::memcpy(begin + used, data.data() + taken, part);
      extent.length += part;
      bytes_ += part;
    }
    if (part == 0) {
      const uint32_t chunk = pool.chunks.Take();
      if (chunk == kNoIndex) break;
      std::byte* const begin = pool.chunks[chunk].bytes.data();
      part = std::min(wanted - taken, kChunkBytes);
      std::memcpy(begin, data.data() + taken, part);
      if (!Append(begin, part, chunk, pool)) {
        pool.chunks.Give(chunk);
        break;
      }
    }
    taken += part;
  }
  return taken;
}

void SendBuffer::ConsumePart(uint32_t length, SendPool& pool) {
  MR_DCHECK(length <= bytes_);
  bytes_ -= length;
  if (IsPiece()) {
    set_piece(piece() + length);
    return;
  }
  auto& [hint, hint_position] = place_;
  hint_position -= length;  // wraps when the hint itself is consumed; it is dropped below then
  while (length > 0) {
    Extent& extent = pool.extents[head_];
    if (length < extent.length) {
      extent.data += length;
      extent.length -= length;
      if (hint == head_) hint_position = 0;
      return;
    }
    length -= extent.length;
    const uint32_t gone = head_;
    head_ = extent.next;
    if (hint == gone) hint = kNoIndex;
    if (extent.chunk != kNoIndex) pool.chunks.Give(extent.chunk);
    pool.extents.Give(gone);
  }
}

}  // namespace millrace::tcp
