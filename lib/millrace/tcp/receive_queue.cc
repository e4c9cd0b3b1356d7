#include "millrace/tcp/receive_queue.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace millrace::tcp {

ReceiveQueue::Insert ReceiveQueue::Offer(SeqNum seq, const std::byte* data, uint32_t length,
                                         wire::PacketHandle handle, Limits limits, SeqNum* rcv_nxt,
                                         ReceivePool& pool, ReleasedPackets& released) {
  if (seq != *rcv_nxt) {
    if (packets_ >= limits.packets_max) return Insert::kFull;
    return OfferOutOfOrder(seq, data, length, handle, limits, pool, released);
  }
  if (packets_ >= limits.packets_max || pool.nodes.free() == 0) [[unlikely]] {
    if (AppendCopy(seq, data, length, pool)) {
      *rcv_nxt += length;
      if (ooo_head_ != kNoIndex) DrainContiguous(rcv_nxt, pool, released);
      return Insert::kCopied;
    }
    // What is in order never has to wait for room behind what is not: that would be a deadlock.
    DropLast(pool, released);
    if (packets_ >= limits.packets_max) return Insert::kFull;
  }
  if (!AppendNext(seq, data, length, handle, limits.packets_max, pool)) return Insert::kFull;
  *rcv_nxt += length;
  if (ooo_head_ != kNoIndex) DrainContiguous(rcv_nxt, pool, released);
  return Insert::kAdvanced;
}

// The new piece is cut at its neighbours, which stay as they are; whole older pieces that it covers
// give way to it, so that the chain holds one node where it held several.
ReceiveQueue::Insert ReceiveQueue::OfferOutOfOrder(SeqNum seq, const std::byte* data,
                                                   uint32_t length, wire::PacketHandle handle,
                                                   Limits limits, ReceivePool& pool,
                                                   ReleasedPackets& released) {
  uint32_t previous = kNoIndex;
  uint32_t next = ooo_head_;
  while (next != kNoIndex && pool.nodes[next].seq <= seq) {
    previous = next;
    next = pool.nodes[next].next;
  }
  if (previous != kNoIndex) {
    const ReceiveNode& before = pool.nodes[previous];
    const int32_t overlap = (before.seq + before.length) - seq;
    if (overlap >= static_cast<int32_t>(length)) {
      pool.nodes[previous].chunk = ++arrivals_;  // this is what the next ACK is about
      return Insert::kDuplicate;
    }
    if (overlap > 0) {
      seq += static_cast<uint32_t>(overlap);
      data += overlap;
      length -= static_cast<uint32_t>(overlap);
    }
  }
  const SeqNum end = seq + length;
  while (next != kNoIndex && pool.nodes[next].seq + pool.nodes[next].length <= end) {
    const uint32_t covered = next;
    next = pool.nodes[covered].next;
    (previous == kNoIndex ? ooo_head_ : pool.nodes[previous].next) = next;
    --ooo_packets_;
    FreeNode(covered, pool, released);
  }
  if (next != kNoIndex && pool.nodes[next].seq < end) length = pool.nodes[next].seq.Since(seq);
  if (ooo_packets_ >= limits.reassembly_max) return Insert::kFull;
  const uint32_t index = pool.nodes.Take();
  if (index == kNoIndex) return Insert::kFull;
  pool.nodes[index] = {.next = next,
                       .length = length,
                       .seq = seq,
                       .chunk = ++arrivals_,
                       .data = data,
                       .handle = handle};
  (previous == kNoIndex ? ooo_head_ : pool.nodes[previous].next) = index;
  ++packets_;
  ++ooo_packets_;
  return Insert::kQueued;
}

bool ReceiveQueue::AppendCopy(SeqNum seq, const std::byte* data, uint32_t length,
                              ReceivePool& pool) {
  constexpr uint16_t kNodesMax = 0xFF00;  // packets_ counts them
  uint32_t room = 0;
  if (tail_ != kNoIndex && pool.nodes[tail_].handle == wire::PacketHandle::kNone) {
    const ReceiveNode& last = pool.nodes[tail_];
    const std::byte* const end = pool.chunks[last.chunk].bytes.data() + kChunkBytes;
    room = static_cast<uint32_t>(end - (last.data + last.length));
  }
  const uint32_t needed = length > room ? (length - room + kChunkBytes - 1) / kChunkBytes : 0;
  if (needed > pool.nodes.free() || needed > pool.chunks.free() || packets_ >= kNodesMax) {
    return false;
  }
  while (length > 0) {
    if (room == 0) {
      const uint32_t chunk = pool.chunks.Take();
      const uint32_t index = pool.nodes.Take();
      pool.nodes[index] = {.next = kNoIndex,
                           .length = 0,
                           .seq = seq,
                           .chunk = chunk,
                           .data = pool.chunks[chunk].bytes.data(),
                           .handle = wire::PacketHandle::kNone};
      ++packets_;
      AppendReady(index, pool);
      room = kChunkBytes;
    }
    ReceiveNode& last = pool.nodes[tail_];
    const uint32_t part = std::min(length, room);
    std::byte* const start = pool.chunks[last.chunk].bytes.data();
    std::memcpy(start + (last.data - start) + last.length, data, part);
    last.length += part;
    ready_bytes_ += part;
    seq += part;
    data += part;
    length -= part;
    room -= part;
  }
  return true;
}

void ReceiveQueue::AppendReady(uint32_t index, ReceivePool& pool) {
  if (tail_ == kNoIndex) {
    head_ = index;
  } else {
    pool.nodes[tail_].next = index;
  }
  tail_ = index;
  ready_bytes_ += pool.nodes[index].length;
}

void ReceiveQueue::DrainContiguous(SeqNum* rcv_nxt, ReceivePool& pool, ReleasedPackets& released) {
  while (ooo_head_ != kNoIndex && pool.nodes[ooo_head_].seq <= *rcv_nxt) {
    const uint32_t index = ooo_head_;
    ReceiveNode& node = pool.nodes[index];
    ooo_head_ = node.next;
    --ooo_packets_;
    const uint32_t old = rcv_nxt->Since(node.seq);  // octets that came in order meanwhile
    if (old >= node.length) {
      FreeNode(index, pool, released);
      continue;
    }
    node.seq += old;
    node.data += old;
    node.length -= old;
    node.next = kNoIndex;
    *rcv_nxt += node.length;
    AppendReady(index, pool);
  }
}

size_t ReceiveQueue::FillSack(const ReceivePool& pool, std::span<SackBlock> out,
                              uint32_t newer) const {
  std::array<uint32_t, kSackBlocksMax> ages{};  // arrivals since it grew; what is newer comes last
  size_t count = 0;
  for (uint32_t index = ooo_head_; index != kNoIndex;) {
    SackBlock block{pool.nodes[index].seq, pool.nodes[index].seq};
    uint32_t age = UINT32_MAX;
    for (; index != kNoIndex && pool.nodes[index].seq == block.right;
         index = pool.nodes[index].next) {
      block.right += pool.nodes[index].length;
      age = std::min(age, arrivals_ - newer - pool.nodes[index].chunk);
    }
    size_t place = count;
    while (place > 0 && age < ages[place - 1]) --place;
    if (place == out.size()) continue;
    if (count < out.size()) ++count;
    for (size_t i = count - 1; i > place; --i) {
      out[i] = out[i - 1];
      ages[i] = ages[i - 1];
    }
    out[place] = block;
    ages[place] = age;
  }
  return count;
}

// Forgets the last piece that is held out of order. RFC 2018 section 8: "The data receiver is
// permitted to discard data in its queue that has not been acknowledged to the data sender, even
// if the data has already been reported in a SACK option", as a last resort.
void ReceiveQueue::DropLast(ReceivePool& pool, ReleasedPackets& released) {
  uint32_t* link = &ooo_head_;
  if (*link == kNoIndex) return;
  while (pool.nodes[*link].next != kNoIndex) link = &pool.nodes[*link].next;
  const uint32_t last = *link;
  *link = kNoIndex;
  --ooo_packets_;
  FreeNode(last, pool, released);
}

void ReceiveQueue::DropBehind(SeqNum edge, ReceivePool& pool, ReleasedPackets& released) {
  uint32_t* link = &ooo_head_;
  while (*link != kNoIndex && pool.nodes[*link].seq < edge) {
    ReceiveNode& node = pool.nodes[*link];
    node.length = std::min(node.length, edge.Since(node.seq));
    link = &node.next;
  }
  while (*link != kNoIndex) {
    const uint32_t gone = *link;
    *link = pool.nodes[gone].next;
    --ooo_packets_;
    FreeNode(gone, pool, released);
  }
}

size_t ReceiveQueue::CopyReady(std::span<std::byte> out, const ReceivePool& pool) const {
  size_t copied = 0;
  for (uint32_t i = head_; i != kNoIndex && copied < out.size(); i = pool.nodes[i].next) {
    const ReceiveNode& node = pool.nodes[i];
    const size_t part = std::min<size_t>(node.length, out.size() - copied);
    std::memcpy(out.data() + copied, node.data, part);
    copied += part;
  }
  return copied;
}

void ReceiveQueue::ConsumePart(uint32_t length, ReceivePool& pool, ReleasedPackets& released) {
  MR_DCHECK(length <= ready_bytes_);
  ready_bytes_ -= length;
  while (length > 0) {
    ReceiveNode& node = pool.nodes[head_];
    if (length < node.length) {
      node.seq += length;
      node.data += length;
      node.length -= length;
      return;
    }
    length -= node.length;
    const uint32_t gone = head_;
    head_ = node.next;
    FreeNode(gone, pool, released);
  }
  if (head_ == kNoIndex) tail_ = kNoIndex;
}

void ReceiveQueue::ClearPackets(ReceivePool& pool, ReleasedPackets& released) {
  Consume(ready_bytes_, pool, released);
  while (ooo_head_ != kNoIndex) {
    const uint32_t index = ooo_head_;
    ooo_head_ = pool.nodes[index].next;
    FreeNode(index, pool, released);
  }
  ooo_packets_ = 0;
}

}  // namespace millrace::tcp
