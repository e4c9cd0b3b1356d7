#include "millrace/tcp/receive_queue.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace millrace::tcp {

void ReceiveQueue::BeginChains(ReceivePool& pool) {
  if (counts_.nodes != 0) return;
  uint32_t index = kNoIndex;
  if (counts_.in_place != 0) {
    index = pool.nodes.Take();  // there is one: its room was taken when the packet came
    pool.nodes[index] = {
        .next = kNoIndex, .length = ready_bytes_, .data = place(), .handle = handle()};
    counts_ = {.nodes = 1};
  }
  ready_ = {index, index};
  gap_ = {kNoIndex, 0};
}

// REQUIRES: there is room.
uint32_t ReceiveQueue::TakeNode(const ReceiveNode& node, ReceivePool& pool) {
  const uint32_t index = pool.nodes.Take();
  pool.nodes[index] = node;
  --pool.room;
  ++counts_.nodes;
  return index;
}

ReceiveQueue::Insert ReceiveQueue::Offer(SeqNum seq, const std::byte* data, uint32_t length,
                                         wire::PacketHandle handle, Limits limits, SeqNum* rcv_nxt,
                                         ReceivePool& pool, ReleasedPackets& released) {
  if (IsEmpty() && seq == *rcv_nxt && limits.packets_max > 0 && pool.room > 0) {
    HoldInPlace(data, length, handle, pool);
    *rcv_nxt += length;
    return Insert::kAdvanced;
  }
  BeginChains(pool);
  if (seq != *rcv_nxt) {
    if (counts_.nodes >= limits.packets_max) return Insert::kFull;
    return OfferOutOfOrder(seq, data, length, handle, limits, pool, released);
  }
  if (counts_.nodes >= limits.packets_max || pool.room == 0) [[unlikely]] {
    if (AppendCopy(seq, data, length, pool)) {
      *rcv_nxt += length;
      if (has_gap()) DrainContiguous(rcv_nxt, pool, released);
      return Insert::kCopied;
    }
    // What is in order never has to wait for room behind what is not: that would be a deadlock.
    DropLast(pool, released);
    if (counts_.nodes >= limits.packets_max || pool.room == 0) return Insert::kFull;
  }
  AppendReady(
      TakeNode({.next = kNoIndex, .length = length, .seq = seq, .data = data, .handle = handle},
               pool),
      pool);
  *rcv_nxt += length;
  if (has_gap()) DrainContiguous(rcv_nxt, pool, released);
  return Insert::kAdvanced;
}

bool ReceiveQueue::AppendBehind(SeqNum seq, const std::byte* data, uint32_t length,
                                wire::PacketHandle handle, uint16_t packets_max,
                                ReceivePool& pool) {
  if (packets() >= packets_max || pool.room == 0) return false;
  BeginChains(pool);
  AppendReady(
      TakeNode({.next = kNoIndex, .length = length, .seq = seq, .data = data, .handle = handle},
               pool),
      pool);
  return true;
}

// The new piece is cut at its neighbours, which stay as they are; whole older pieces that it covers
// give way to it, so that the chain holds one node where it held several.
ReceiveQueue::Insert ReceiveQueue::OfferOutOfOrder(SeqNum seq, const std::byte* data,
                                                   uint32_t length, wire::PacketHandle handle,
                                                   Limits limits, ReceivePool& pool,
                                                   ReleasedPackets& released) {
  uint32_t previous = kNoIndex;
  uint32_t next = gap_head();
  while (next != kNoIndex && pool.nodes[next].seq <= seq) {
    previous = next;
    next = pool.nodes[next].next;
  }
  if (previous != kNoIndex) {
    const ReceiveNode& before = pool.nodes[previous];
    const int32_t overlap = (before.seq + before.length) - seq;
    if (overlap >= static_cast<int32_t>(length)) {
      pool.nodes[previous].chunk = ++arrivals();  // this is what the next ACK is about
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
    (previous == kNoIndex ? gap_head() : pool.nodes[previous].next) = next;
    --counts_.out_of_order;
    FreeNode(covered, pool, released);
  }
  if (next != kNoIndex && pool.nodes[next].seq < end) length = pool.nodes[next].seq.Since(seq);
  const uint16_t most = std::min(limits.reassembly_max, kOutOfOrderMax);
  if (counts_.out_of_order >= most || pool.room == 0) return Insert::kFull;
  const uint32_t index = TakeNode({.next = next,
                                   .length = length,
                                   .seq = seq,
                                   .chunk = ++arrivals(),
                                   .data = data,
                                   .handle = handle},
                                  pool);
  (previous == kNoIndex ? gap_head() : pool.nodes[previous].next) = index;
  ++counts_.out_of_order;
  return Insert::kQueued;
}

bool ReceiveQueue::AppendCopy(SeqNum seq, const std::byte* data, uint32_t length,
                              ReceivePool& pool) {
  constexpr uint16_t kNodesMax = 0xFF00;  // Counts::nodes
  uint32_t room = 0;
  if (tail() != kNoIndex && pool.nodes[tail()].handle == wire::PacketHandle::kNone) {
    const ReceiveNode& last = pool.nodes[tail()];
    const std::byte* const end = pool.chunks[last.chunk].bytes.data() + kChunkBytes;
    room = static_cast<uint32_t>(end - (last.data + last.length));
  }
  const uint32_t needed = length > room ? (length - room + kChunkBytes - 1) / kChunkBytes : 0;
  if (needed > pool.room || needed > pool.chunks.free() || counts_.nodes >= kNodesMax) {
    return false;
  }
  while (length > 0) {
    if (room == 0) {
      const uint32_t chunk = pool.chunks.Take();
      const ReceiveNode node{.next = kNoIndex,
                             .length = 0,
                             .seq = seq,
                             .chunk = chunk,
                             .data = pool.chunks[chunk].bytes.data(),
                             .handle = wire::PacketHandle::kNone};
      AppendReady(TakeNode(node, pool), pool);
      room = kChunkBytes;
    }
    ReceiveNode& last = pool.nodes[tail()];
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
  if (tail() == kNoIndex) {
    head() = index;
  } else {
    pool.nodes[tail()].next = index;
  }
  tail() = index;
  ready_bytes_ += pool.nodes[index].length;
}

void ReceiveQueue::DrainContiguous(SeqNum* rcv_nxt, ReceivePool& pool, ReleasedPackets& released) {
  while (gap_head() != kNoIndex && pool.nodes[gap_head()].seq <= *rcv_nxt) {
    const uint32_t index = gap_head();
    ReceiveNode& node = pool.nodes[index];
    gap_head() = node.next;
    --counts_.out_of_order;
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
  if (!has_gap()) return 0;
  std::array<uint32_t, kSackBlocksMax> ages{};  // arrivals since it grew; what is newer comes last
  size_t count = 0;
  for (uint32_t index = gap_head(); index != kNoIndex;) {
    SackBlock block{pool.nodes[index].seq, pool.nodes[index].seq};
    uint32_t age = UINT32_MAX;
    for (; index != kNoIndex && pool.nodes[index].seq == block.right;
         index = pool.nodes[index].next) {
      block.right += pool.nodes[index].length;
      age = std::min(age, arrivals() - newer - pool.nodes[index].chunk);
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
  uint32_t* link = &gap_head();
  if (*link == kNoIndex) return;
  while (pool.nodes[*link].next != kNoIndex) link = &pool.nodes[*link].next;
  const uint32_t last = *link;
  *link = kNoIndex;
  --counts_.out_of_order;
  FreeNode(last, pool, released);
}

void ReceiveQueue::DropBehind(SeqNum edge, ReceivePool& pool, ReleasedPackets& released) {
  if (!has_gap()) return;
  uint32_t* link = &gap_head();
  while (*link != kNoIndex && pool.nodes[*link].seq < edge) {
    ReceiveNode& node = pool.nodes[*link];
    node.length = std::min(node.length, edge.Since(node.seq));
    link = &node.next;
  }
  while (*link != kNoIndex) {
    const uint32_t gone = *link;
    *link = pool.nodes[gone].next;
    --counts_.out_of_order;
    FreeNode(gone, pool, released);
  }
}

std::span<const std::byte> ReceiveQueue::FrontOfNodes(const ReceivePool& pool) const {
  if (ready_bytes_ == 0) return {};
  const ReceiveNode& node = pool.nodes[head()];
  return {node.data, node.length};
}

size_t ReceiveQueue::CopyReady(std::span<std::byte> out, const ReceivePool& pool) const {
  const size_t wanted = std::min<size_t>(out.size(), ready_bytes_);
  if (counts_.in_place != 0) {
    std::memcpy(out.data(), place(), wanted);
    return wanted;
  }
  size_t copied = 0;
  for (uint32_t i = head(); copied < wanted; i = pool.nodes[i].next) {
    const ReceiveNode& node = pool.nodes[i];
    const size_t part = std::min<size_t>(node.length, wanted - copied);
    std::memcpy(out.data() + copied, node.data, part);
    copied += part;
  }
  return copied;
}

void ReceiveQueue::ConsumePart(uint32_t length, ReceivePool& pool, ReleasedPackets& released) {
  MR_DCHECK(length <= ready_bytes_);
  if (counts_.in_place != 0) {
    ready_ = std::bit_cast<Words>(place() + length);
    ready_bytes_ -= length;
    return;
  }
  ready_bytes_ -= length;
  while (length > 0) {
    ReceiveNode& node = pool.nodes[head()];
    if (length < node.length) {
      node.seq += length;
      node.data += length;
      node.length -= length;
      return;
    }
    length -= node.length;
    const uint32_t gone = head();
    head() = node.next;
    if (head() == kNoIndex) tail() = kNoIndex;
    FreeNode(gone, pool, released);
  }
}

void ReceiveQueue::FreeNode(uint32_t index, ReceivePool& pool, ReleasedPackets& released) {
  const ReceiveNode& node = pool.nodes[index];
  if (node.handle == wire::PacketHandle::kNone) [[unlikely]] {
    pool.chunks.Give(node.chunk);
  } else {
    released.Push(node.handle);
  }
  pool.nodes.Give(index);
  ++pool.room;
  --counts_.nodes;
}

void ReceiveQueue::ClearPackets(ReceivePool& pool, ReleasedPackets& released) {
  Consume(ready_bytes_, pool, released);
  while (has_gap()) {
    const uint32_t index = gap_head();
    gap_head() = pool.nodes[index].next;
    --counts_.out_of_order;
    FreeNode(index, pool, released);
  }
}

}  // namespace millrace::tcp
