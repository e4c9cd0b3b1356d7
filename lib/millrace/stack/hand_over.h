// stack/hand_over.h - the rings between the workers of one device, and what they count.
//
// One ring of received frames per ordered pair of workers, and one of frames to send per worker
// that has no transmit queue of its own. Packets change hands, never octets.
// A worker that does not poll fills its rings and no more: the others drop what is for it, count
// it, and go on.
// Threading: frames(from, to) is pushed by `from` and popped by `to`, sends(w) is pushed by w and
// popped by its relay. Counters are their worker's; read them when it has ended, or from a
// snapshot.
#ifndef MILLRACE_STACK_HAND_OVER_H_
#define MILLRACE_STACK_HAND_OVER_H_

#include <algorithm>
#include <bit>
#include <cstdint>
#include <deque>
#include <string>

#include "millrace/base/check.h"
#include "millrace/base/spsc_ring.h"
#include "millrace/stack/port.h"
#include "millrace/stack/steering.h"

namespace millrace::stack {

class HandOver {
 public:
  static constexpr uint32_t kRingFrames = 1024;  // 24 KiB; a millisecond of 1 M frames/s
  static constexpr uint32_t kRingFramesMin = 64;

  // REQUIRES: workers <= Steering::kWorkersMax; ring_frames a power of two from kRingFramesMin on.
  explicit HandOver(uint32_t workers, uint32_t ring_frames = kRingFrames) : workers_(workers) {
    MR_CHECK(workers <= Steering::kWorkersMax && ring_frames >= kRingFramesMin);
    for (uint32_t i = 0; i < workers * workers; ++i) frames_.emplace_back(ring_frames);
    for (uint32_t i = 0; i < workers; ++i) sends_.emplace_back(ring_frames);
  }
  // A ring size with which all rings together hold at most half of so many packets.
  static uint32_t RingFramesFor(uint32_t workers, uint32_t packets) {
    const uint32_t rings = std::max(workers * workers, 1u);
    return std::clamp(std::bit_floor(std::max(packets / 2 / rings, 1u)), kRingFramesMin,
                      kRingFrames);
  }

  uint32_t workers() const { return workers_; }
  SpscRing<RxFrame>& frames(uint32_t from, uint32_t to) { return frames_[from * workers_ + to]; }
  SpscRing<wire::PacketHandle>& sends(uint32_t from) { return sends_[from]; }

 private:
  uint32_t workers_;
  std::deque<SpscRing<RxFrame>> frames_;
  std::deque<SpscRing<wire::PacketHandle>> sends_;
};

// X(member, printed name)
#define MILLRACE_HAND_OVER_COUNTERS(X)                                                     \
  X(steered_here, "HandOverKept")           /* received by the worker that owns them */    \
  X(handed_over, "HandOverOut")             /* put into another worker's ring */           \
  X(taken, "HandOverIn")                    /* taken from the other workers' rings */      \
  X(dropped_openings, "HandOverSynDropped") /* SYNs for which only the reserve was left */ \
  X(dropped, "HandOverDropped")             /* other frames: the ring was full */          \
  X(copied, "HandOverCopied")               /* ARP and NDP frames that all have to see */  \
  X(copies_failed, "HandOverCopiesFailed")  /* no packet, or no room in the ring */        \
  X(relayed, "HandOverRelayed")             /* sent for workers without a queue */

struct HandOverCounters {
#define MILLRACE_DECLARE_COUNTER(member, name) uint64_t member = 0;
  MILLRACE_HAND_OVER_COUNTERS(MILLRACE_DECLARE_COUNTER)
#undef MILLRACE_DECLARE_COUNTER

  template <class Visit>
  void ForEach(Visit&& visit) const {
#define MILLRACE_VISIT_COUNTER(member, name) visit(std::string(name), member);
    MILLRACE_HAND_OVER_COUNTERS(MILLRACE_VISIT_COUNTER)
#undef MILLRACE_VISIT_COUNTER
  }
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_HAND_OVER_H_
