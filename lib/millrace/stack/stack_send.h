// stack/stack_send.h - how a Stack sends: frames for segments, replies and what was parked, and the
// burst to the port. Included by stack/stack.h.
#ifndef MILLRACE_STACK_STACK_SEND_H_
#define MILLRACE_STACK_STACK_SEND_H_

#include "millrace/stack/stack.h"

namespace millrace::stack {

// Everything that is due; true when there is more than the port has room for.
template <Port P, App A>
bool Stack<P, A>::SendAll(Connection& connection) {
  tcp::SendProgress progress;
  do {
    progress = tcp::PollSend(connection.tcb, engine_.env(), outbox_);
    if (connection.tcb.extra != 0) tcp::MarkDiffserv(connection.tcb, engine_.env(), outbox_);
    for (const tcp::TxSegment& segment : outbox_.segments()) {
      SendSegment(connection.key, connection.neighbor, segment);
    }
    outbox_.Clear();
  } while (progress == tcp::SendProgress::kMore && TxHasRoom());
  return progress == tcp::SendProgress::kMore;
}

template <Port P, App A>
void Stack<P, A>::SendSegment(const FlowKey& key, uint16_t neighbor,
                              const tcp::TxSegment& segment) {
  SendFrame(
      engine_.builder().tcp_offload(key),
      neighbor, [&](std::byte * at, const MacAddress& mac) __attribute__((always_inline)) {
        return engine_.builder().BuildTcp(at, key, mac, segment, engine_.env().send_pool);
      });
}

// What tcp::FindPlainDue has found, number by number into its frame. REQUIRES: there is room for
// it.
template <Port P, App A>
template <wire::OptionBits kOptions>
MR_ALWAYS_INLINE void Stack<P, A>::SendPlain(Connection& connection, tcp::PlainDue due) {
  const Neighbor& hop = engine_.neighbors()[connection.neighbor];
  if (!connection.key.IsV4() || !Neighbors::IsConfirmed(hop, engine_.env().now)) [[unlikely]]
    return SendPlainFields(connection);
  const wire::PacketHandle packet = port_.Allocate();
  if (packet == wire::PacketHandle::kNone) [[unlikely]]
    return SendPlainFields(connection);
  const FrameBuilder& builder = engine_.builder();
  FrameBuilder::PlainFrame<kOptions> frame(builder, port_.Data(packet), connection.key, hop.mac);
  tcp::SendPlainSegment(connection.tcb, engine_.env(), due, frame);
  const uint32_t length = frame.Finish(connection.key);
  port_.Finish(packet, length, builder.tcp_offload_v4());
  engine_.counters().tx_bytes += length;
  tx_[tx_count_++] = packet;
}

// The same over IPv6, to a neighbour that has to be asked for, or without a packet.
template <Port P, App A>
void Stack<P, A>::SendPlainFields(Connection& connection) {
  tcp::PlainDue due;
  (void)tcp::FindPlainDue(connection.tcb, engine_.env(), due);  // what the caller found
  tcp::PlainFields fields(connection.tcb, segment_);
  tcp::SendPlainSegment(connection.tcb, engine_.env(), due, fields);
  SendSegment(connection.key, connection.neighbor, segment_);
}

// A SYN or SYN-ACK with the usual options, straight into its frame; false for others. As segments
// in memory and by the general builder both together took 300 instructions a connection more.
template <Port P, App A>
MR_ALWAYS_INLINE bool Stack<P, A>::SendSyn(const FlowKey& key, uint16_t neighbor,
                                           const tcp::TxFields& segment) {
  using wire::PlainEmitter;
  constexpr wire::OptionBits kEither = wire::kTimestampsOption;
  static_assert((PlainEmitter::kShortSynOptions | kEither) == PlainEmitter::kSynOptions);
  if (!key.IsV4() || (segment.options | kEither) != PlainEmitter::kSynOptions) [[unlikely]]
    return false;
  SendFrame(
      engine_.builder().tcp_offload_v4(),
      neighbor, [&](std::byte * at, const MacAddress& mac) __attribute__((always_inline)) {
        return engine_.builder().BuildSyn(at, key, mac, segment);
      });
  return true;
}

// False, and nothing was sent: more than the first SYN is due, or something else.
template <Port P, App A>
MR_ALWAYS_INLINE bool Stack<P, A>::SendFirstSyn(Connection& connection) {
  tcp::TxFields syn;  // not a member, and only ever inlined: its numbers stay in registers
  if (!tcp::SendFirstSyn(connection.tcb, engine_.env(), syn)) return false;
  if (!SendSyn(connection.key, connection.neighbor, syn)) {
    static_cast<tcp::TxFields&>(segment_) = syn;
    SendSegment(connection.key, connection.neighbor, segment_);
  }
  return true;
}

// `build` writes the frame to the address it is given and returns its length in octets.
template <Port P, App A>
template <class Build>
MR_ALWAYS_INLINE void Stack<P, A>::SendFrame(const TxOffload& offload, uint16_t neighbor,
                                             Build&& build) {
  const wire::PacketHandle packet = port_.Allocate();
  if (packet == wire::PacketHandle::kNone) {
    ++engine_.counters().tx_no_packet;  // as if the network had lost it: the timer repeats it
    return;
  }
  const Neighbor& hop = engine_.neighbors()[neighbor];
  const uint32_t length = build(port_.Data(packet), hop.mac);
  port_.Finish(packet, length, offload);
  engine_.counters().tx_bytes += length;
  if (engine_.neighbors().Use(hop, engine_.env().now)) [[likely]] {
    Push(packet);
    return;
  }
  if (engine_.neighbors().Park(neighbor, packet)) {
    ++engine_.counters().tx_parked;
  } else {
    ++engine_.counters().tx_park_dropped;
    port_.Free({&packet, 1});
  }
}

template <Port P, App A>
void Stack<P, A>::SendControl(const ControlFrame& frame) {
  const wire::PacketHandle packet = port_.Allocate();
  if (packet == wire::PacketHandle::kNone) {
    ++engine_.counters().tx_no_packet;
    return;
  }
  std::memcpy(port_.Data(packet), frame.bytes.data(), frame.length);
  port_.Finish(packet, frame.length, TxOffload());
  Push(packet);
}

template <Port P, App A>
void Stack<P, A>::SendReplies() {
  for (const auto& bounce : engine_.bounces()) {
    port_.Finish(bounce.packet, bounce.length, TxOffload());
    Push(bounce.packet);
  }
  for (const auto& unparked : engine_.unparked()) {
    wire::StoreMac(port_.Data(unparked.packet) + wire::kEthernetDestinationAt,
                   unparked.destination);
    Push(unparked.packet);
  }
  for (const ControlFrame& frame : engine_.control_frames()) SendControl(frame);
  for (const StatelessReply& reply : engine_.replies()) {
    uint16_t neighbor = reply.neighbor;
    // The half-open connection that held the index may have gone since.
    if (neighbor == Neighbors::kNone || !engine_.IsNextHop(neighbor, reply.key)) {
      neighbor = engine_.NextHop(reply.key);
    }
    if (neighbor == Neighbors::kNone) {
      ++engine_.counters().tx_no_route;
      continue;
    }
    if (!SendSyn(reply.key, neighbor, reply.segment)) {
      SendSegment(reply.key, neighbor, reply.segment);
    }
  }
  engine_.ClearReplies();
}

template <Port P, App A>
MR_ALWAYS_INLINE void Stack<P, A>::Push(wire::PacketHandle packet) {
  if (tx_count_ == kTxMax && !MakeRoom(packet)) [[unlikely]]
    return;
  tx_[tx_count_++] = packet;
}

// False, and the packet is gone: the device takes nothing, and what a peer misses it will ask for
// again. Freed at once, because the list of what is freed later has a bound, and this has none.
template <Port P, App A>
bool Stack<P, A>::MakeRoom(wire::PacketHandle packet) {
  FlushTx();
  if (tx_count_ < kTxMax) return true;
  ++engine_.counters().tx_no_packet;
  port_.Free({&packet, 1});
  return false;
}

template <Port P, App A>
void Stack<P, A>::FlushTx() {
  if (tx_count_ == 0) return;
  const size_t sent = port_.TxBurst(engine_.env().now, {tx_.data(), tx_count_});
  engine_.counters().tx_frames += sent;
  work_ += sent;
  tx_count_ -= sent;
  if (tx_count_ > 0) std::copy_n(tx_.begin() + sent, tx_count_, tx_.begin());
}

// Segments of connections wait for room by themselves, but an answer that is due at once (a
// SYN-ACK) is lost when the port has none. So frames that earn such answers stay where they are,
// until there is room again or, because both ends may wait like that for each other, for 10 ms a
// burst. Where the other end paused for a few ms, 0.4 % to 1.6 % of the connections over a memif
// lost their SYN-ACK, and came a second later; now it is below 0.03 % (600,000 to 900,000 opened a
// second).
template <Port P, App A>
bool Stack<P, A>::HoldBack(Instant now) {
  if (!earns_answers_ || tx_count_ <= kTxMax - kBurst) {
    hold_back_until_ = Instant::Never();  // the next time has a deadline of its own
    return false;
  }
  if (hold_back_until_ == Instant::Never()) hold_back_until_ = now + kHoldBackMax;
  if (now < hold_back_until_) return true;
  hold_back_until_ = Instant::Never();
  return false;
}

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_STACK_SEND_H_
