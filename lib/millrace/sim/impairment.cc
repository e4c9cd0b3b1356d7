// sim/impairment.cc - the dice of a bad network.
#include "millrace/sim/impairment.h"

#include <algorithm>

#include "millrace/base/check.h"
#include "millrace/base/endian.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/segment.h"

namespace millrace::sim {
namespace {

constexpr uint32_t kBitsPerOctet = 8;

// Uniform in 0..`bound`, both included. Draws for a bound of 0 too: see the invariants.
Duration DrawUpTo(Prng& dice, Duration bound) {
  const auto ns = static_cast<uint64_t>(std::max<int64_t>(bound.ns(), 0));
  return Duration::Nanoseconds(static_cast<int64_t>(dice.Below(ns + 1)));
}

}  // namespace

bool Impairment::IsClean() const {
  const Duration none;
  return loss <= 0 && burst_loss <= 0 && reorder <= 0 && duplicate <= 0 && corrupt <= 0 &&
         delay <= none && jitter <= none && rate_bps == 0;
}

ImpairmentModel::ImpairmentModel(const Impairment& impairment)
    : impairment_(impairment),
      loss_dice_(impairment.seed),
      burst_dice_(loss_dice_.Next()),
      delay_dice_(loss_dice_.Next()),
      reorder_dice_(loss_dice_.Next()),
      duplicate_dice_(loss_dice_.Next()),
      corrupt_dice_(loss_dice_.Next()) {}

void ImpairmentModel::SetImpairment(const Impairment& impairment) {
  impairment_ = impairment;
  in_burst_ = false;
  latest_arrival_ = kLongAgo;
  departures_.clear();
}

ImpairmentModel::Throw ImpairmentModel::ThrowDice() {
  const Impairment& odds = impairment_;
  Throw dice{};
  dice.lost = loss_dice_.Chance(odds.loss);

  // A burst has at least one frame and ends behind each with probability 1 / mean.
  const bool enters = burst_dice_.Chance(odds.burst_loss);
  const bool leaves = burst_dice_.Chance(1 / std::max(odds.burst_frames, 1.0));
  dice.burst_lost = in_burst_ || enters;
  in_burst_ = dice.burst_lost && !leaves;

  dice.jitter = DrawUpTo(delay_dice_, odds.jitter * 2) - odds.jitter;
  dice.reordered = reorder_dice_.Chance(odds.reorder);
  dice.reorder_delay = DrawUpTo(reorder_dice_, odds.reorder_delay);
  dice.duplicated = duplicate_dice_.Chance(odds.duplicate);
  dice.duplicate_delay = DrawUpTo(duplicate_dice_, odds.reorder_delay);
  dice.corrupted = corrupt_dice_.Chance(odds.corrupt);
  dice.bit = corrupt_dice_.Next();
  return dice;
}

bool ImpairmentModel::PassBottleneck(Instant now, uint32_t length, Instant& departure) {
  departure = now;
  if (impairment_.rate_bps <= 0) return true;
  while (!departures_.empty() && departures_.front() <= now) departures_.pop_front();
  // The frame that is being sent does not wait.
  if (departures_.size() > impairment_.queue_packets_max) return false;

  constexpr uint64_t kNsPerSecond = 1'000'000'000;
  const auto rate = static_cast<uint64_t>(impairment_.rate_bps);
  const uint64_t ns = (uint64_t{length} * kBitsPerOctet * kNsPerSecond + rate - 1) / rate;
  if (!departures_.empty()) departure = departures_.back();
  departure = departure + Duration::Nanoseconds(static_cast<int64_t>(ns));
  departures_.push_back(departure);
  return true;
}

Instant ImpairmentModel::ArrivalOf(Instant departure, const Throw& dice) {
  const Instant arrival =
      departure + std::max(impairment_.delay + dice.jitter, Duration::Nanoseconds(0));
  if (dice.reordered) return arrival + dice.reorder_delay;
  latest_arrival_ = std::max(latest_arrival_, arrival);
  return latest_arrival_;
}

Fate ImpairmentModel::Decide(Instant now, uint32_t length) {
  const auto dropped = [](DropCause cause, uint64_t& counter) {
    ++counter;
    return Fate{.drop = cause};
  };
  ++counters_.offered;
  const Throw dice = ThrowDice();  // for dropped frames too: see the invariants

  // A frame that is lost behind the bottleneck has used it all the same: the queue comes first.
  Instant departure;
  if (!PassBottleneck(now, length, departure)) {
    return dropped(DropCause::kQueue, counters_.queue_dropped);
  }
  if (dice.lost) return dropped(DropCause::kLoss, counters_.lost);
  if (dice.burst_lost) return dropped(DropCause::kBurst, counters_.burst_lost);

  Fate fate{.copies = 1};
  fate.congested = impairment_.mark_packets > 0 && departures_.size() > impairment_.mark_packets;
  fate.arrival[0] = ArrivalOf(departure, dice);
  ++counters_.passed;
  counters_.reordered += dice.reordered ? 1 : 0;
  if (dice.duplicated) {
    fate.copies = 2;
    fate.arrival[1] = fate.arrival[0] + dice.duplicate_delay;
    ++counters_.duplicated;
  }
  if (dice.corrupted && length > wire::kEthernetHeaderBytes) {
    const uint32_t bits = (length - wire::kEthernetHeaderBytes) * kBitsPerOctet;
    fate.corrupt_bit =
        wire::kEthernetHeaderBytes * kBitsPerOctet + static_cast<uint32_t>(dice.bit % bits);
    ++counters_.corrupted;
  }
  return fate;
}

bool MarkCe(std::byte* frame, uint32_t length) {
  constexpr uint32_t kAt = wire::kEthernetHeaderBytes;
  if (length < kAt + wire::kIpv4HeaderBytes) return false;
  const uint16_t ether_type = LoadBe16(frame + wire::kEthernetTypeAt);
  const uint16_t word = LoadBe16(frame + kAt);
  if (ether_type == wire::kEtherTypeIpv6) {
    constexpr uint16_t kCe = 0x0030;  // below the differentiated services of the traffic class
    if ((word & kCe) == 0) return false;
    StoreBe16(frame + kAt, word | kCe);
    return true;
  }
  if (ether_type != wire::kEtherTypeIpv4 || (word & wire::kEcnCe) == 0) return false;
  const uint16_t marked = word | wire::kEcnCe;
  StoreBe16(frame + kAt, marked);
  // RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
  std::byte* const checksum = frame + kAt + wire::kIpv4ChecksumAt;
  uint32_t sum = static_cast<uint16_t>(~LoadBe16(checksum)) + static_cast<uint16_t>(~word) + marked;
  sum = (sum & 0xFFFF) + (sum >> 16);
  sum = (sum & 0xFFFF) + (sum >> 16);
  StoreBe16(checksum, static_cast<uint16_t>(~sum));
  return true;
}

bool FlipBit(std::byte* frame, uint32_t length, uint32_t bit) {
  MR_CHECK(length > wire::kEthernetHeaderBytes);
  MR_CHECK(bit / kBitsPerOctet < length);
  const uint16_t ether_type = LoadBe16(frame + wire::kEthernetTypeAt);
  if (ether_type != wire::kEtherTypeIpv4 && ether_type != wire::kEtherTypeIpv6) return false;
  frame[bit / kBitsPerOctet] ^= std::byte{1} << (bit % kBitsPerOctet);
  return true;
}

}  // namespace millrace::sim
