// stack/steered_port.h - a worker's view of a device that several workers share: it receives what
// belongs to the worker, whichever queue it came in by.
//
// Stands between Stack and a port (or what is wrapped around one, such as reassembly). What the
// port receives is hashed, kept or put into the owner's ring, in bursts and without copying; then
// the worker's own rings are emptied. With one worker it is not used.
// Drops: a ring keeps a quarter for segments of connections that exist. A SYN that would go into
// the reserve is dropped, so that a flood aimed at one worker costs its connections nothing on the
// way to it.
// Workers without a transmit queue give what they send to a relay, another worker, by a ring too.
// Threading: one worker; made and destroyed while none polls. Cost: 7 ns a frame that is kept, and
// 10 ns one that is handed over, besides what fetching it from another core's cache takes
// (bench/results/cores.md).
#ifndef MILLRACE_STACK_STEERED_PORT_H_
#define MILLRACE_STACK_STEERED_PORT_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "millrace/stack/frame_steering.h"
#include "millrace/stack/hand_over.h"
#include "millrace/stack/port.h"
#include "millrace/stack/steering.h"

namespace millrace::stack {

template <Port P>
class SteeredPort {
 public:
  // Worker `self` of all that share a device with `queues` queue pairs: worker i polls pair i, and
  // those without one send by worker i % queues. `port` and `hand_over` outlive this; the port of a
  // worker without a queue is asked for packets and capabilities only.
  SteeredPort(P& port, const Steering& steering, HandOver& hand_over, uint32_t self,
              uint32_t queues)
      : port_(port),
        steering_(steering),
        hand_over_(hand_over),
        self_(self),
        queues_(queues),
        batches_(hand_over.workers()) {
    MR_CHECK(steering.workers() == hand_over.workers() && self < steering.workers() && queues > 0);
  }
  // REQUIRES: no worker of the device polls any more.
  ~SteeredPort() { ReleaseAll(); }
  SteeredPort(const SteeredPort&) = delete;
  SteeredPort& operator=(const SteeredPort&) = delete;

  // stack::Port
  const PortCapabilities& capabilities() const { return port_.capabilities(); }
  size_t RxBurst(Instant now, std::span<RxFrame> frames);
  wire::PacketHandle Allocate() { return port_.Allocate(); }
  std::byte* Data(wire::PacketHandle packet) { return port_.Data(packet); }
  void Finish(wire::PacketHandle packet, uint32_t length, const TxOffload& offload) {
    port_.Finish(packet, length, offload);
  }
  size_t TxBurst(Instant now, std::span<const wire::PacketHandle> packets) {
    return has_queue() ? port_.TxBurst(now, packets) : hand_over_.sends(self_).Push(packets);
  }
  void Free(std::span<const wire::PacketHandle> packets) { port_.Free(packets); }

  const HandOverCounters& counters() const { return counters_; }
  // Frames that went through this worker for others since the last call: work that Stack::Poll
  // does not see, so that a worker that only distributes is not taken for idle.
  size_t TakePassedOn() { return std::exchange(passed_on_, 0); }

 private:
  struct Batch {  // frames of one burst for one worker
    std::array<RxFrame, kBurst> frames;
    uint32_t count = 0;
    uint32_t openings = 0;  // bit i: frames[i] is dropped before others
  };
  static_assert(kBurst <= 32, "Batch::openings has a bit per frame");

  bool has_queue() const { return self_ < queues_; }
  size_t TakeHandedOver(std::span<RxFrame> frames);
  size_t ReceiveAndSteer(Instant now, std::span<RxFrame> frames);
  void Stage(uint32_t worker, const RxFrame& frame, bool opening);
  void CopyToOthers(const RxFrame& frame);
  void Flush(uint32_t worker);
  // Slots of a ring that only segments of connections that exist may take.
  static uint32_t ReserveOf(const SpscRing<RxFrame>& ring) { return ring.capacity() / 4; }
  void RelaySends(Instant now);
  void ReleaseAll();

  P& port_;
  const Steering steering_;
  HandOver& hand_over_;
  const uint32_t self_, queues_;
  HandOverCounters counters_;
  size_t passed_on_ = 0;
  uint32_t next_source_ = 0;    // where TakeHandedOver begins
  std::vector<Batch> batches_;  // by worker
  // Frames of others that the device has not taken yet.
  std::array<wire::PacketHandle, kBurst> relayed_{};
  size_t relayed_waiting_ = 0;
};

// Inline definitions

template <Port P>
size_t SteeredPort<P>::RxBurst(Instant now, std::span<RxFrame> frames) {
  if (!has_queue()) return TakeHandedOver(frames);
  if (hand_over_.workers() > queues_) RelaySends(now);
  // Half of the burst first, and what the queue leaves of the rest: the others' frames and the
  // queue's do not starve each other.
  size_t count = TakeHandedOver(frames.first(frames.size() / 2));
  count += ReceiveAndSteer(now, frames.subspan(count));
  return count + TakeHandedOver(frames.subspan(count));
}

template <Port P>
size_t SteeredPort<P>::TakeHandedOver(std::span<RxFrame> frames) {
  const uint32_t workers = hand_over_.workers();
  size_t taken = 0;
  for (uint32_t i = 0; i < workers && taken < frames.size(); ++i) {
    const uint32_t from = next_source_;
    next_source_ = next_source_ + 1 == workers ? 0 : next_source_ + 1;
    if (from == self_) continue;
    taken += hand_over_.frames(from, self_).Pop(frames.subspan(taken));
  }
  // Another core has touched these last.
  for (size_t i = 0; i < taken; ++i) __builtin_prefetch(frames[i].data);
  counters_.taken += taken;
  return taken;
}

template <Port P>
size_t SteeredPort<P>::ReceiveAndSteer(Instant now, std::span<RxFrame> frames) {
  const size_t received = port_.RxBurst(now, frames);
  size_t kept = 0;
  for (size_t i = 0; i < received; ++i) {
    const RxFrame frame = frames[i];
    const FrameTarget target = TargetOf(frame.data, frame.length);
    if (target.goal == FrameGoal::kOwner) {
      const uint32_t owner = steering_.OwnerOf(target.fold);
      if (owner != self_) {
        Stage(owner, frame, target.opening);
        continue;
      }
    } else if (target.goal == FrameGoal::kEveryone) {
      CopyToOthers(frame);
    }
    frames[kept++] = frame;
  }
  counters_.steered_here += kept;
  if (kept == received) return kept;
  for (uint32_t worker = 0; worker < batches_.size(); ++worker) {
    if (batches_[worker].count > 0) Flush(worker);
  }
  return kept;
}

template <Port P>
void SteeredPort<P>::Stage(uint32_t worker, const RxFrame& frame, bool opening) {
  Batch& batch = batches_[worker];  // has room: empty before the burst
  batch.openings |= uint32_t{opening} << batch.count;
  batch.frames[batch.count++] = frame;
}

// Small and rare: neighbour replies. Each worker has its own table, so each gets its own packet.
template <Port P>
void SteeredPort<P>::CopyToOthers(const RxFrame& frame) {
  for (uint32_t worker = 0; worker < batches_.size(); ++worker) {
    if (worker == self_) continue;
    const wire::PacketHandle packet = port_.Allocate();
    if (packet == wire::PacketHandle::kNone) {
      ++counters_.copies_failed;
      continue;
    }
    std::memcpy(port_.Data(packet), frame.data, frame.length);
    port_.Finish(packet, frame.length, TxOffload());
    RxFrame copy = frame;
    copy.packet = packet;
    copy.data = port_.Data(packet);
    ++counters_.copied;
    SpscRing<RxFrame>& ring = hand_over_.frames(self_, worker);
    if (ring.Push({&copy, 1}, ReserveOf(ring)) == 0) {
      ++counters_.copies_failed;
      port_.Free({&packet, 1});
    }
  }
}

template <Port P>
void SteeredPort<P>::Flush(uint32_t worker) {
  Batch& batch = batches_[worker];
  SpscRing<RxFrame>& ring = hand_over_.frames(self_, worker);
  const uint32_t reserve = ReserveOf(ring);
  const std::span<const RxFrame> frames(batch.frames.data(), batch.count);
  size_t done = ring.Push(frames, reserve);
  counters_.handed_over += done;
  for (; done < batch.count; ++done) [[unlikely]] {
      const bool opening = (batch.openings >> done & 1) != 0;
      if (ring.Push(frames.subspan(done, 1), opening ? reserve : 0) == 1) {
        ++counters_.handed_over;
      } else {
        ++(opening ? counters_.dropped_openings : counters_.dropped);
        port_.Free({&frames[done].packet, 1});
      }
    }
  passed_on_ += batch.count;
  batch.count = batch.openings = 0;
}

template <Port P>
void SteeredPort<P>::RelaySends(Instant now) {
  for (uint32_t from = self_ + queues_; from < hand_over_.workers(); from += queues_) {
    if (relayed_waiting_ == 0) relayed_waiting_ = hand_over_.sends(from).Pop(relayed_);
    if (relayed_waiting_ == 0) continue;
    const size_t sent = port_.TxBurst(now, {relayed_.data(), relayed_waiting_});
    counters_.relayed += sent;
    passed_on_ += sent;
    relayed_waiting_ -= sent;
    std::copy_n(relayed_.begin() + sent, relayed_waiting_, relayed_.begin());
    if (relayed_waiting_ > 0) return;  // the device is full
  }
}

// What was on its way to this worker, and what it had on its way to the device.
template <Port P>
void SteeredPort<P>::ReleaseAll() {
  std::array<RxFrame, kBurst> frames;
  while (const size_t count = TakeHandedOver(frames)) {
    for (size_t i = 0; i < count; ++i) port_.Free({&frames[i].packet, 1});
  }
  port_.Free({relayed_.data(), relayed_waiting_});
  std::array<wire::PacketHandle, kBurst> sends;
  while (const size_t count = hand_over_.sends(self_).Pop(sends)) {
    port_.Free({sends.data(), count});
  }
}

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_STEERED_PORT_H_
