// tcp/receive_queue.h - received packets that wait for the application or for what is missing.
//
// Nearly always that is one packet, of a request or a response that the application takes at once:
// it is held in place. What is more is in two chains of nodes from a pool that all connections of a
// core share: data in order, ready for the application, and data out of order, sorted and without
// overlap (RFC 9293 3.10.7.4, SHLD-31). A node holds a packet of the port by its handle; a packet
// leaves the queue exactly once, through `released`. Bounds: Config::receive_packets_max per
// connection in all, of those Config::reassembly_packets_max out of order, the pool for the core.
// In order data beyond the first is copied together into chunks, so that a window full of tiny
// segments needs no more memory than a window (and a window is what the peer was promised). Cost:
// in order O(1); out of order O(nodes in the chain), at most reassembly_packets_max.
#ifndef MILLRACE_TCP_RECEIVE_QUEUE_H_
#define MILLRACE_TCP_RECEIVE_QUEUE_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "millrace/base/seq.h"
#include "millrace/base/slab.h"
#include "millrace/tcp/released_packets.h"
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

struct ReceivePool {
  explicit ReceivePool(uint32_t nodes_max, uint32_t chunks_max = 0)
      : nodes(nodes_max), chunks(chunks_max), room(nodes.capacity()) {}
  Slab<ReceiveNode> nodes;
  Slab<Chunk> chunks;  // of tcp/send_buffer.h: for octets whose packets would be too many
  // How many more packets and chunks all queues together may hold: each in its node, or without
  // one in place of it.
  uint32_t room;

  uint32_t held() const { return nodes.capacity() - room; }
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
  bool has_gap() const { return counts_.out_of_order != 0; }
  bool IsEmpty() const { return std::bit_cast<uint32_t>(counts_) == 0; }
  uint32_t packets() const { return uint32_t{counts_.nodes} + counts_.in_place; }  // and chunks

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
    if (IsEmpty() && pool.room > 0) [[likely]] {
      HoldInPlace(data, length, handle, pool);
      return true;
    }
    return AppendBehind(seq, data, length, handle, packets_max, pool);
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
  std::span<const std::byte> Front(const ReceivePool& pool) const {
    if (counts_.in_place == 0) return FrontOfNodes(pool);
    return {place(), ready_bytes_};
  }
  // Copies ready octets to the front of `out` and returns how many: all there are, or that fit.
  size_t CopyReady(std::span<std::byte> out, const ReceivePool& pool) const;
  // The application is done with the first `length` ready octets; whole packets are released.
  void Consume(uint32_t length, ReceivePool& pool, ReleasedPackets& released) {
    if (counts_.in_place == 0 || length != ready_bytes_) [[unlikely]]
      return ConsumePart(length, pool, released);
    released.Push(handle());
    ready_bytes_ = 0;
    counts_ = {};
    ++pool.room;
  }
  void Clear(ReceivePool& pool, ReleasedPackets& released) {
    if (!IsEmpty()) ClearPackets(pool, released);
  }

 private:
  // Two words: the chain in order, head and tail; or of a packet in place the address of its
  // octets. Head of the chain out of order, and how many arrived for it, duplicates too (each node
  // has the number of its last); or the handle of the packet in place. As numbers, because a Tcb
  // has no room for the alignment of a pointer.
  using Words = std::array<uint32_t, 2>;
  static_assert(sizeof(Words) == sizeof(const std::byte*));
  static_assert(sizeof(Words) == sizeof(wire::PacketHandle));
  static constexpr uint16_t kOutOfOrderMax = 0x7FFF;  // Counts::out_of_order
  struct Counts {
    uint16_t nodes = 0;              // in both chains; 0: neither is there
    uint16_t out_of_order : 15 = 0;  // of these
    uint16_t in_place : 1 = 0;       // one packet, and no nodes
  };

  uint32_t head() const { return ready_[0]; }
  uint32_t gap_head() const { return gap_[0]; }
  uint32_t arrivals() const { return gap_[1]; }
  uint32_t& head() { return ready_[0]; }
  uint32_t& tail() { return ready_[1]; }
  uint32_t& gap_head() { return gap_[0]; }
  uint32_t& arrivals() { return gap_[1]; }
  const std::byte* place() const { return std::bit_cast<const std::byte*>(ready_); }
  wire::PacketHandle handle() const { return std::bit_cast<wire::PacketHandle>(gap_); }
  // By memcpy each is one store.
  void HoldInPlace(const std::byte* data, uint32_t length, wire::PacketHandle handle,
                   ReceivePool& pool) {
    std::memcpy(ready_.data(), &data, sizeof ready_);
    std::memcpy(gap_.data(), &handle, sizeof gap_);
    ready_bytes_ = length;
    counts_ = {.in_place = 1};
    --pool.room;
  }
  // Begins the chains, with what was held in place.
  void BeginChains(ReceivePool& pool);
  uint32_t TakeNode(const ReceiveNode& node, ReceivePool& pool);
  [[gnu::noinline]] bool AppendBehind(SeqNum seq, const std::byte* data, uint32_t length,
                                      wire::PacketHandle handle, uint16_t packets_max,
                                      ReceivePool& pool);
  bool AppendNode(const ReceiveNode& node, uint16_t packets_max, ReceivePool& pool);
  std::span<const std::byte> FrontOfNodes(const ReceivePool& pool) const;
  [[gnu::noinline]] void ConsumePart(uint32_t length, ReceivePool& pool, ReleasedPackets& released);
  [[gnu::noinline]] void ClearPackets(ReceivePool& pool, ReleasedPackets& released);
  Insert OfferOutOfOrder(SeqNum seq, const std::byte* data, uint32_t length,
                         wire::PacketHandle handle, Limits limits, ReceivePool& pool,
                         ReleasedPackets& released);
  // Copies the octets behind the last ready ones; all or nothing.
  bool AppendCopy(SeqNum seq, const std::byte* data, uint32_t length, ReceivePool& pool);
  void AppendReady(uint32_t index, ReceivePool& pool);
  void DrainContiguous(SeqNum* rcv_nxt, ReceivePool& pool, ReleasedPackets& released);
  void DropLast(ReceivePool& pool, ReleasedPackets& released);
  void FreeNode(uint32_t index, ReceivePool& pool, ReleasedPackets& released);

  Words ready_{}, gap_{};
  uint32_t ready_bytes_ = 0;
  Counts counts_{};
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_RECEIVE_QUEUE_H_
