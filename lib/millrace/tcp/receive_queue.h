// tcp/receive_queue.h - received packets that wait for the application or for what is missing.
//
// Two chains of nodes from a pool that all connections of a core share: data in order, ready for
// the application, and data out of order, sorted and without overlap (RFC 9293 3.10.7.4,
// SHLD-31). A node holds a packet of the port by its handle; a packet leaves the queue exactly
// once, through `released`. Bounds: Config::receive_packets_max per connection in all, of those
// Config::reassembly_packets_max out of order, the pool for the core. In order data beyond the
// first is copied together into chunks, so that a window full of tiny segments needs no more
// memory than a window (and a window is what the peer was promised).
// Cost: in order O(1); out of order O(nodes in the chain), at most reassembly_packets_max.
#ifndef MILLRACE_TCP_RECEIVE_QUEUE_H_
#define MILLRACE_TCP_RECEIVE_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "millrace/base/seq.h"
#include "millrace/base/slab.h"
#include "millrace/tcp/send_buffer.h"
#include "millrace/wire/segment.h"
#include "millrace/wire/tcp_options.h"

namespace millrace::tcp {

struct ReceiveNode {
  uint32_t next;
  uint32_t length;  // octets of payload
  SeqNum seq;       // of data[0]
  uint32_t chunk;   // holds the octets when there is no packet; out of order: arrival (below)
  const std::byte* data;
  wire::PacketHandle handle;  // kNone: copied octets
};

using ReleasedPackets = std::vector<wire::PacketHandle>;  // reserved at start, freed in bulk

struct ReceivePool {
  explicit ReceivePool(uint32_t nodes_max, uint32_t chunks_max = 0)
      : nodes(nodes_max), chunks(chunks_max) {}
  Slab<ReceiveNode> nodes;
  Slab<Chunk> chunks;  // of tcp/send_buffer.h: for octets whose packets would be too many
};

using wire::kSackBlocksMax;
using wire::SackBlock;

class ReceiveQueue {
 public:
  enum class Insert : uint8_t {
    kQueued,     // the packet is kept; rcv_nxt did not move (out of order)
    kAdvanced,   // the packet is kept; rcv_nxt moved
    kCopied,     // its octets are kept and the packet is not; rcv_nxt moved
    kDuplicate,  // nothing new in it; not kept
    kFull,       // a bound was reached; not kept
  };
  struct Limits {
    uint16_t packets_max, reassembly_max;
  };

  void Init() { *this = ReceiveQueue(); }

  // Octets in order that the application has not consumed.
  uint32_t ready_bytes() const { return ready_bytes_; }
  bool has_gap() const { return ooo_head_ != kNoIndex; }
  uint16_t packets() const { return packets_; }  // nodes: packets and chunks

  // Offers `length` octets at `seq`, which lie in the window and not before *rcv_nxt. Moves
  // *rcv_nxt over everything that became contiguous.
  [[nodiscard]] Insert Offer(SeqNum seq, const std::byte* data, uint32_t length,
                             wire::PacketHandle handle, Limits limits, SeqNum* rcv_nxt,
                             ReceivePool& pool, ReleasedPackets& released);

  // Offer for the next octets in sequence when nothing is out of order and there is room for the
  // packet; the caller moves rcv_nxt. False, and nothing is changed: ask Offer.
  [[nodiscard]] bool AppendNext(SeqNum seq, const std::byte* data, uint32_t length,
                                wire::PacketHandle handle, uint16_t packets_max,
                                ReceivePool& pool) {
    if (packets_ >= packets_max) return false;
    const uint32_t index = pool.nodes.Take();
    if (index == kNoIndex) return false;
    pool.nodes[index] = {
        .next = kNoIndex, .length = length, .seq = seq, .data = data, .handle = handle};
    ++packets_;
    if (tail_ == kNoIndex) {
      head_ = index;
    } else {
      pool.nodes[tail_].next = index;
    }
    tail_ = index;
    ready_bytes_ += length;
    return true;
  }

  // Writes blocks that are held out of order to the front of `out` and returns how many. RFC 2018
  // section 4: "The first SACK block ... MUST specify the contiguous block of data containing the
  // segment which triggered this ACK", and "The SACK option SHOULD be filled out by repeating the
  // most recently reported SACK blocks": so they come in the order in which they grew, the last
  // one first. The ACK is about the segment behind which `newer` others came out of order.
  // REQUIRES: out.size() <= kSackBlocksMax. Cost: O(nodes out of order).
  size_t FillSack(const ReceivePool& pool, std::span<SackBlock> out, uint32_t newer = 0) const;

  // Gives up what is held out of order at `edge` and behind it: the peer's FIN is there.
  void DropBehind(SeqNum edge, ReceivePool& pool, ReleasedPackets& released);

  // The first contiguous piece that is ready; empty when there is none.
  std::span<const std::byte> Front(const ReceivePool& pool) const;
  // Copies ready octets to the front of `out` and returns how many: all there are, or that fit.
  size_t CopyReady(std::span<std::byte> out, const ReceivePool& pool) const;
  // The application is done with the first `length` ready octets; whole packets are released.
  void Consume(uint32_t length, ReceivePool& pool, ReleasedPackets& released) {
    if (length != ready_bytes_ || head_ != tail_) return ConsumePart(length, pool, released);
    if (length == 0) return;
    // All of one packet: a request or a response of a load test.
    ready_bytes_ = 0;
    FreeNode(head_, pool, released);
    head_ = tail_ = kNoIndex;
  }
  void Clear(ReceivePool& pool, ReleasedPackets& released) {
    if (packets_ != 0) ClearPackets(pool, released);
  }

 private:
  void ConsumePart(uint32_t length, ReceivePool& pool, ReleasedPackets& released);
  void ClearPackets(ReceivePool& pool, ReleasedPackets& released);
  Insert OfferOutOfOrder(SeqNum seq, const std::byte* data, uint32_t length,
                         wire::PacketHandle handle, Limits limits, ReceivePool& pool,
                         ReleasedPackets& released);
  // Copies the octets behind the last ready ones; all or nothing.
  bool AppendCopy(SeqNum seq, const std::byte* data, uint32_t length, ReceivePool& pool);
  void AppendReady(uint32_t index, ReceivePool& pool);
  void DrainContiguous(SeqNum* rcv_nxt, ReceivePool& pool, ReleasedPackets& released);
  void DropLast(ReceivePool& pool, ReleasedPackets& released);
  void FreeNode(uint32_t index, ReceivePool& pool, ReleasedPackets& released);

  uint32_t head_ = kNoIndex, tail_ = kNoIndex;
  uint32_t ready_bytes_ = 0;
  uint32_t ooo_head_ = kNoIndex;
  uint32_t arrivals_ = 0;  // out of order, duplicates too; each node has the number of its last
  uint16_t packets_ = 0;   // nodes in both chains
  uint16_t ooo_packets_ = 0;
};

// Inline definitions

inline void ReceiveQueue::FreeNode(uint32_t index, ReceivePool& pool, ReleasedPackets& released) {
  const ReceiveNode& node = pool.nodes[index];
  if (node.handle == wire::PacketHandle::kNone) [[unlikely]] {
    pool.chunks.Give(node.chunk);
  } else {
    released.push_back(node.handle);
  }
  pool.nodes.Give(index);
  --packets_;
}

inline std::span<const std::byte> ReceiveQueue::Front(const ReceivePool& pool) const {
  if (head_ == kNoIndex) return {};
  const ReceiveNode& node = pool.nodes[head_];
  return {node.data, node.length};
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_RECEIVE_QUEUE_H_
