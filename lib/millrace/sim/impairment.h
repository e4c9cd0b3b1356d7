// sim/impairment.h - what a bad network does to frames: the settings, their text, and the dice.
//
// An ImpairmentModel decides about the frames of one direction, one after the other: which are
// dropped and why, when the others arrive, which arrive twice, which with a flipped bit. It moves
// no frame itself; sim::Link and sim::ImpairedPort do.
// Invariants: the same settings and the same calls give the same fates; each cause draws from its
// own stream, once per frame, so that turning one cause off does not move the others.
// Frames that are not reordered keep their order, with jitter too.
// Threading: one owner. Cost: about 50 ns per Decide; one instant of memory per queued frame.
#ifndef MILLRACE_SIM_IMPAIRMENT_H_
#define MILLRACE_SIM_IMPAIRMENT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <variant>

#include "millrace/base/prng.h"
#include "millrace/base/time.h"

namespace millrace::sim {

// Settings of one direction; the default is a perfect link. Probabilities are 0..1, per frame.
struct Impairment {
  double loss = 0;
  double burst_loss = 0;    // probability to enter a burst (Gilbert-Elliott; all in it are lost)
  double burst_frames = 4;  // mean frames per burst, 1 or more
  double reorder = 0;
  Duration reorder_delay = Duration::Milliseconds(1);  // a reordered frame is late by up to this
  double duplicate = 0;               // the second copy is late by up to reorder_delay
  double corrupt = 0;                 // one bit behind the Ethernet header is flipped
  Duration delay;                     // one way
  Duration jitter;                    // +- around delay, uniform
  int64_t rate_bps = 0;               // bottleneck, bits of frame per second; 0 is unlimited
  uint32_t queue_packets_max = 1000;  // waiting for the bottleneck; more are dropped
  // A frame that finds this many there, and is capable of ECN, gets CE (RFC 3168); 0: none does.
  uint32_t mark_packets = 0;
  uint64_t seed = 1;

  // True when frames pass at once and unchanged.
  bool IsClean() const;
  bool operator==(const Impairment&) const = default;
};

// Reads "loss=1%,burst=1%:4,reorder=1%:5ms,duplicate=0.5%,corrupt=0.1%,delay=20ms,jitter=2ms,
// rate=100M,queue=1000,mark=20,seed=7" (each key at most once, any order). On error returns one
// line for the user that names the culprit and the valid keys.
[[nodiscard]] std::variant<Impairment, std::string> ParseImpairment(std::string_view text);

// The text that ParseImpairment reads back to an equal value.
std::string ToString(const Impairment& impairment);

enum class DropCause : uint8_t { kNone, kQueue, kLoss, kBurst };

// What happens to one frame.
struct Fate {
  static constexpr uint32_t kNoBit = 0xFFFF'FFFF;

  DropCause drop = DropCause::kNone;
  uint8_t copies = 0;                // 0 (dropped) to 2
  std::array<Instant, 2> arrival{};  // of each copy
  uint32_t corrupt_bit = kNoBit;     // to flip in the first copy; bit 0 is the lowest of octet 0
  bool congested = false;            // to be marked by MarkCe

  bool operator==(const Fate&) const = default;
};

struct ImpairmentCounters {
  uint64_t offered = 0;  // = queue_dropped + lost + burst_lost + passed
  uint64_t queue_dropped = 0;
  uint64_t lost = 0;
  uint64_t burst_lost = 0;
  uint64_t passed = 0;
  uint64_t reordered = 0, duplicated = 0, corrupted = 0;  // among the passed

  bool operator==(const ImpairmentCounters&) const = default;
};

class ImpairmentModel {
 public:
  explicit ImpairmentModel(const Impairment& impairment);

  // The fate of a frame of `length` octets that enters the link. `now` never goes back.
  Fate Decide(Instant now, uint32_t length);

  // Other settings from the next frame on. What was decided stays decided: frames in flight
  // arrive. The dice go on where they are; `impairment.seed` is not used.
  void SetImpairment(const Impairment& impairment);

  const Impairment& impairment() const { return impairment_; }
  const ImpairmentCounters& counters() const { return counters_; }

 private:
  // What the dice say about one frame, before anything else is known of it.
  struct Throw {
    bool lost, burst_lost, reordered, duplicated, corrupted;
    Duration jitter, reorder_delay, duplicate_delay;
    uint64_t bit;
  };

  static constexpr Instant kLongAgo = Instant::FromNanoseconds(std::numeric_limits<int64_t>::min());

  Throw ThrowDice();
  // False when the queue before the bottleneck is full; else sets when the last bit has left.
  bool PassBottleneck(Instant now, uint32_t length, Instant& departure);
  Instant ArrivalOf(Instant departure, const Throw& dice);

  Impairment impairment_;
  ImpairmentCounters counters_;
  Prng loss_dice_, burst_dice_, delay_dice_, reorder_dice_, duplicate_dice_, corrupt_dice_;
  bool in_burst_ = false;
  Instant latest_arrival_ = kLongAgo;  // of the frames that keep their order
  std::deque<Instant> departures_;     // of the frames that wait for the bottleneck or cross it
};

// Sets CE in the IP header of a frame that is capable of ECN, and its checksum. False: it is not.
bool MarkCe(std::byte* frame, uint32_t length);

// Flips `bit` of a frame in a way that only checksums can find. Returns false, and the frame is to
// be dropped, when it has none: only IPv4 is protected behind the frame check sequence, which a
// simulated link does not have (a wrong ARP packet would never reach a host on a real one).
bool FlipBit(std::byte* frame, uint32_t length, uint32_t bit);

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_IMPAIRMENT_H_
