// sim/impaired_port.h - a bad network around any port: `--impair` for the shipped program.
//
// Both directions have their own ImpairmentModel. What the engine sends is held here until it is
// due and goes to the inner port then; what the inner port received is held until it is due and is
// handed to the engine then. Frames move on every RxBurst and TxBurst, so an engine that polls
// keeps them moving when it has nothing to send.
// Checksum offload is hidden: a device would repair a corrupted frame on sending, and vouch for
// one that was corrupted behind it on receiving.
// Invariants: every packet taken in is handed on, freed with a counter, or held; held packets are
// at most held_packets_max per direction, and are freed by Drain and by the destructor.
// Threading: that of the inner port. Cost: about 0.2 us per frame of an impaired direction; a
// clean one passes through.
#ifndef MILLRACE_SIM_IMPAIRED_PORT_H_
#define MILLRACE_SIM_IMPAIRED_PORT_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "millrace/base/check.h"
#include "millrace/base/time.h"
#include "millrace/sim/due_queue.h"
#include "millrace/sim/impairment.h"
#include "millrace/sim/sim_port.h"
#include "millrace/stack/port.h"
#include "millrace/wire/segment.h"

namespace millrace::sim {

struct ImpairedPortCounters {
  uint64_t held_full = 0;            // dropped: no room to hold them; raise held_packets_max
  uint64_t duplicate_no_packet = 0;  // not duplicated: the pool was empty or the frame too long
  uint64_t stopped_by_fcs = 0;       // dropped: corrupted and nothing could tell, see FlipBit
};

template <stack::Port P>
class ImpairedPort {
 public:
  static constexpr size_t kHeldPacketsMaxDefault = 16'384;

  // Borrows `inner`, whose pool must have room for what is held. The directions get different
  // dice also when both settings have the same seed.
  ImpairedPort(P& inner, const Impairment& tx, const Impairment& rx,
               size_t held_packets_max = kHeldPacketsMaxDefault)
      : inner_(inner),
        capabilities_(inner.capabilities()),
        tx_(tx, held_packets_max),
        rx_(WithOtherSeed(rx), held_packets_max) {
    capabilities_.tx_ipv4_checksum = false;
    capabilities_.tx_tcp_checksum = false;
    capabilities_.rx_checksum = false;
  }
  ~ImpairedPort() { Drain(); }
  ImpairedPort(const ImpairedPort&) = delete;
  ImpairedPort& operator=(const ImpairedPort&) = delete;

  // The stack::Port concept.
  const stack::PortCapabilities& capabilities() const { return capabilities_; }
  size_t RxBurst(Instant now, std::span<stack::RxFrame> frames);
  wire::PacketHandle Allocate() { return inner_.Allocate(); }
  std::byte* Data(wire::PacketHandle packet) { return inner_.Data(packet); }
  void Finish(wire::PacketHandle packet, uint32_t length, const stack::TxOffload& offload);
  size_t TxBurst(Instant now, std::span<const wire::PacketHandle> packets);
  void Free(std::span<const wire::PacketHandle> packets);

  // Held frames stay as decided.
  void SetImpairment(const Impairment& tx, const Impairment& rx) {
    tx_.model.SetImpairment(tx);
    rx_.model.SetImpairment(rx);
  }
  // Frees all held packets; those of the engine are its own.
  void Drain() {
    inner_.Free(std::span(ready_).first(ready_count_));
    ready_count_ = 0;
    while (!tx_.held.IsEmpty()) FreeOne(tx_.held.Pop().packet);
    while (!rx_.held.IsEmpty()) FreeOne(rx_.held.Pop().packet);
  }

  // When the next held frame is due, in either direction: for a simulator or an idle sleep.
  Instant NextDue() const {
    if (ready_count_ > 0) return kLongAgo;
    return std::min(tx_.held.NextDue(), rx_.held.NextDue());
  }
  size_t held() const { return tx_.held.size() + rx_.held.size() + ready_count_; }
  // Packets between Finish and TxBurst or Free.
  size_t FinishedForTest() const { return finished_.size(); }
  const ImpairedPortCounters& counters() const { return counters_; }
  const ImpairmentCounters& tx_counters() const { return tx_.model.counters(); }
  const ImpairmentCounters& rx_counters() const { return rx_.model.counters(); }

 private:
  struct Direction {
    Direction(const Impairment& impairment, size_t held_packets_max)
        : model(impairment), held(held_packets_max) {}
    // Frames may pass by: none is held that they would overtake.
    bool IsTransparent() const { return held.IsEmpty() && model.impairment().IsClean(); }

    ImpairmentModel model;
    DueQueue<stack::RxFrame> held;
  };
  struct Finished {
    wire::PacketHandle packet;
    uint32_t length;
  };

  static constexpr Instant kLongAgo = Instant::FromNanoseconds(std::numeric_limits<int64_t>::min());

  static Impairment WithOtherSeed(Impairment impairment) {
    impairment.seed = ~impairment.seed;
    return impairment;
  }

  void FreeOne(wire::PacketHandle packet) { inner_.Free({&packet, 1}); }
  // Decides about one frame and holds its copies; owns its packet from here on.
  void Take(Direction& direction, Instant now, const stack::RxFrame& frame);
  void Hold(Direction& direction, Instant due, const stack::RxFrame& frame);
  void HoldCopy(Direction& direction, Instant due, const stack::RxFrame& frame);
  void ReceiveFromInner(Instant now);
  void SendDue(Instant now);
  // Length that Finish gave a packet, forgotten now; 0 when it gave none.
  uint32_t TakeFinishedLength(wire::PacketHandle packet);

  P& inner_;
  stack::PortCapabilities capabilities_;
  Direction tx_, rx_;
  // Due, in order, and not yet accepted by the inner port.
  std::array<wire::PacketHandle, stack::kBurst> ready_{};
  size_t ready_count_ = 0;
  ImpairedPortCounters counters_;
  // Between Finish and TxBurst or Free; the engine sends in the order in which it finishes.
  std::vector<Finished> finished_;
};

static_assert(stack::Port<ImpairedPort<SimPort>>);

// Inline definitions

template <stack::Port P>
void ImpairedPort<P>::Finish(wire::PacketHandle packet, uint32_t length,
                             const stack::TxOffload& offload) {
  MR_CHECK(!offload.ipv4_checksum && !offload.tcp_checksum);
  inner_.Finish(packet, length, offload);
  finished_.push_back({packet, length});
}

template <stack::Port P>
uint32_t ImpairedPort<P>::TakeFinishedLength(wire::PacketHandle packet) {
  const auto found = std::find_if(finished_.begin(), finished_.end(),
                                  [&](const Finished& f) { return f.packet == packet; });
  if (found == finished_.end()) return 0;
  const uint32_t length = found->length;
  finished_.erase(found);
  return length;
}

template <stack::Port P>
void ImpairedPort<P>::Free(std::span<const wire::PacketHandle> packets) {
  if (!finished_.empty()) {
    for (const wire::PacketHandle packet : packets) TakeFinishedLength(packet);
  }
  inner_.Free(packets);
}

template <stack::Port P>
size_t ImpairedPort<P>::RxBurst(Instant now, std::span<stack::RxFrame> frames) {
  SendDue(now);
  size_t count = 0;
  if (rx_.IsTransparent()) {
    count = inner_.RxBurst(now, frames);
  } else {
    ReceiveFromInner(now);
    while (count < frames.size() && rx_.held.HasDue(now)) frames[count++] = rx_.held.Pop();
  }
  for (stack::RxFrame& frame : frames.first(count)) {
    frame.ip_checksum = wire::ChecksumState::kUnknown;
    frame.l4_checksum = wire::ChecksumState::kUnknown;
  }
  return count;
}

template <stack::Port P>
void ImpairedPort<P>::ReceiveFromInner(Instant now) {
  std::array<stack::RxFrame, stack::kBurst> burst;
  const size_t count = inner_.RxBurst(now, burst);
  for (const stack::RxFrame& frame : std::span(burst).first(count)) Take(rx_, now, frame);
}

template <stack::Port P>
size_t ImpairedPort<P>::TxBurst(Instant now, std::span<const wire::PacketHandle> packets) {
  if (tx_.IsTransparent() && ready_count_ == 0) {
    const size_t accepted = inner_.TxBurst(now, packets);
    for (const wire::PacketHandle packet : packets.first(accepted)) TakeFinishedLength(packet);
    return accepted;
  }
  for (const wire::PacketHandle packet : packets) {
    const uint32_t length = TakeFinishedLength(packet);
    MR_CHECK(length != 0);
    Take(tx_, now, {.packet = packet, .data = inner_.Data(packet), .length = length});
  }
  SendDue(now);
  return packets.size();
}

template <stack::Port P>
void ImpairedPort<P>::SendDue(Instant now) {
  do {
    while (ready_count_ < ready_.size() && tx_.held.HasDue(now)) {
      ready_[ready_count_++] = tx_.held.Pop().packet;
    }
    if (ready_count_ == 0) return;
    const size_t sent = inner_.TxBurst(now, std::span(ready_).first(ready_count_));
    std::copy(ready_.begin() + sent, ready_.begin() + ready_count_, ready_.begin());
    ready_count_ -= sent;
  } while (ready_count_ == 0 && tx_.held.HasDue(now));
}

template <stack::Port P>
void ImpairedPort<P>::Take(Direction& direction, Instant now, const stack::RxFrame& frame) {
  const Fate fate = direction.model.Decide(now, frame.length);
  if (fate.copies == 0) {
    FreeOne(frame.packet);
    return;
  }
  if (fate.congested) (void)MarkCe(frame.data, frame.length);
  if (fate.copies == 2) HoldCopy(direction, fate.arrival[1], frame);
  if (fate.corrupt_bit != Fate::kNoBit && !FlipBit(frame.data, frame.length, fate.corrupt_bit)) {
    ++counters_.stopped_by_fcs;
    FreeOne(frame.packet);
    return;
  }
  Hold(direction, fate.arrival[0], frame);
}

template <stack::Port P>
void ImpairedPort<P>::Hold(Direction& direction, Instant due, const stack::RxFrame& frame) {
  if (direction.held.IsFull()) {
    ++counters_.held_full;
    FreeOne(frame.packet);
  } else {
    direction.held.Push(due, frame);
  }
}

template <stack::Port P>
void ImpairedPort<P>::HoldCopy(Direction& direction, Instant due, const stack::RxFrame& frame) {
  constexpr uint32_t kPacketOverheadBytes = 18;  // what Allocate gives beyond the MTU
  const bool fits = frame.length <= uint32_t{capabilities_.mtu} + kPacketOverheadBytes;
  const wire::PacketHandle copy = fits ? inner_.Allocate() : wire::PacketHandle::kNone;
  if (copy == wire::PacketHandle::kNone) {
    ++counters_.duplicate_no_packet;
    return;
  }
  std::memcpy(inner_.Data(copy), frame.data, frame.length);
  inner_.Finish(copy, frame.length, {});
  Hold(direction, due, {.packet = copy, .data = inner_.Data(copy), .length = frame.length});
}

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_IMPAIRED_PORT_H_
