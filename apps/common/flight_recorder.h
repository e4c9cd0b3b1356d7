// apps/common/flight_recorder.h - the last frames of a worker, and those of what failed.
//
// Every TCP frame, and every ICMP error about one, goes into a ring of slots of fixed size, the
// oldest is overwritten. Slots whose frames agree in the symmetric hash of their tuple are linked
// from the newest to the oldest, so that taking a connection out costs what it has, not what the
// ring has. What a failure takes out is kept until the run is over; when that is full, or a frame
// is overwritten before its connection failed, it is missing and counted.
// Memory: Options::ring_bytes, as much of kept_bytes as is used, and 512 KiB. Nothing is allocated
// later. Cost: a copy of at most kSnapBytes per frame.
// Threading: one worker; write and counts after it has ended.
#ifndef MILLRACE_APPS_COMMON_FLIGHT_RECORDER_H_
#define MILLRACE_APPS_COMMON_FLIGHT_RECORDER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "millrace/base/ip_address.h"
#include "millrace/base/memory.h"
#include "millrace/base/time.h"
#include "millrace/stack/steering.h"

namespace millrace::apps {

enum class FrameWay : uint8_t { kReceived, kSent };

class FlightRecorder {
 public:
  static constexpr uint32_t kSnapBytes = 240;  // of a frame; all headers, and some of the data

  struct Options {
    uint64_t ring_bytes = 64u << 20;
    uint64_t kept_bytes = 64u << 20;
  };

  struct Slot {
    Instant time;
    uint32_t previous;  // number of the next older frame of the same hash; 0: none
    uint16_t length;    // of the frame
    FrameWay way;
    uint8_t captured;  // octets
    std::array<std::byte, kSnapBytes> octets;

    std::span<const std::byte> frame() const { return std::span(octets).first(captured); }
  };

  // What a failed connection left.
  struct Kept {
    size_t first, count;  // in slots(), oldest frame first
    std::string_view reason, meaning;
  };

  explicit FlightRecorder(const Options& options);
  // Whether there was memory for the ring.
  bool ok() const { return slots_.size() > 1; }

  void Record(Instant now, FrameWay way, std::span<const std::byte> frame);

  // A connection that began at `since` has failed; both texts are static. Its frames are taken out
  // by the next Settle, so that what this poll still sends is among them.
  void OnFailure(const Endpoint& local, const Endpoint& remote, Instant since,
                 std::string_view reason, std::string_view meaning);
  void Settle() {
    if (!failed_.empty()) [[unlikely]]
      TakeOut();
  }

  std::span<const Kept> kept() const { return kept_; }
  std::span<const Slot> frames_of(const Kept& kept) const {
    return std::span(kept_slots_).subspan(kept.first, kept.count);
  }
  // Failed connections of which nothing was left, or for which there was no room.
  uint64_t missed() const { return missed_; }

 private:
  struct Failed {
    Endpoint local, remote;
    Instant since;
    std::string_view reason, meaning;
  };
  static constexpr size_t kFailedPerPollMax = 1024;

  void TakeOut();
  bool TakeOut(const Failed& failed);
  bool Holds(uint32_t number) const { return number != 0 && next_ - number <= slots_.size(); }
  Slot& At(uint32_t number) { return slots_[number & (slots_.size() - 1)]; }

  Region memory_;
  std::span<Slot> slots_;         // a power of two
  uint32_t next_ = 1;             // number of the frame that comes next; 0 is none
  std::vector<uint32_t> newest_;  // by hash
  std::vector<Failed> failed_;
  std::vector<Slot> kept_slots_;
  size_t kept_slots_max_;
  std::vector<Kept> kept_;
  uint64_t missed_ = 0;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_FLIGHT_RECORDER_H_
