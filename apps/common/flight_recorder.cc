#include "apps/common/flight_recorder.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "millrace/base/endian.h"
#include "millrace/stack/frame_steering.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ipv6.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::apps {
namespace {

using Slot = FlightRecorder::Slot;

constexpr size_t kHashes = size_t{1} << 16;  // values of a Fold
static_assert(sizeof(stack::Fold) == 2);
static_assert(sizeof(Slot) == 256);

stack::Fold FoldOf(const Endpoint& local, const Endpoint& remote) {
  return static_cast<stack::Fold>(stack::FoldOf(local.address) ^ stack::FoldOf(remote.address) ^
                                  local.port ^ remote.port);
}

bool IsFrom(const Endpoint& source, const Endpoint& destination, const std::byte* ports) {
  return LoadBe16(ports + wire::kTcpSourcePortAt) == source.port &&
         LoadBe16(ports + wire::kTcpDestinationPortAt) == destination.port;
}

// Whether a frame whose tuple has the right hash is of the connection. An ICMP error with that hash
// is taken for one about it.
bool Concerns(const Slot& slot, const Endpoint& local, const Endpoint& remote) {
  const bool sent = slot.way == FrameWay::kSent;
  const Endpoint& source = sent ? local : remote;
  const Endpoint& destination = sent ? remote : local;
  const std::byte* const ip = slot.octets.data() + wire::kEthernetHeaderBytes;
  if (LoadU8(ip) >> 4 == 4) {
    if (LoadU8(ip + wire::kIpv4ProtocolAt) != wire::kIpProtocolTcp) return true;
    return source.address == IpAddress::V4(LoadBe32(ip + wire::kIpv4SourceAt)) &&
           destination.address == IpAddress::V4(LoadBe32(ip + wire::kIpv4DestinationAt)) &&
           IsFrom(source, destination, ip + (LoadU8(ip) & 0xFu) * 4);
  }
  if (LoadU8(ip + wire::kIpv6NextHeaderAt) != wire::kIpProtocolTcp) return true;
  return source.address == wire::LoadIpv6(ip + wire::kIpv6SourceAt) &&
         destination.address == wire::LoadIpv6(ip + wire::kIpv6DestinationAt) &&
         IsFrom(source, destination, ip + wire::kIpv6HeaderBytes);
}

}  // namespace

FlightRecorder::FlightRecorder(const Options& options)
    : memory_(std::bit_floor(std::max<uint64_t>(options.ring_bytes, 4096) / sizeof(Slot)) *
              sizeof(Slot)),
      newest_(kHashes),
      kept_slots_max_(options.kept_bytes / sizeof(Slot)) {
  if (memory_.data() == nullptr) return;
  slots_ = {reinterpret_cast<Slot*>(memory_.data()), memory_.size() / sizeof(Slot)};
  slots_ = slots_.first(std::bit_floor(slots_.size()));
  failed_.reserve(kFailedPerPollMax);
  // Address space: what is not used is not touched.
  kept_slots_.reserve(kept_slots_max_);
  kept_.reserve(kept_slots_max_);
}

void FlightRecorder::Record(Instant now, FrameWay way, std::span<const std::byte> frame) {
  const stack::FrameTarget target =
      stack::TargetOf(frame.data(), static_cast<uint32_t>(frame.size()));
  if (target.goal != stack::FrameGoal::kOwner) return;
  uint32_t& newest = newest_[target.fold];
  Slot& slot = At(next_);
  slot.time = now;
  slot.previous = newest;
  slot.length = static_cast<uint16_t>(frame.size());
  slot.way = way;
  slot.captured = static_cast<uint8_t>(std::min<size_t>(frame.size(), kSnapBytes));
  std::memcpy(slot.octets.data(), frame.data(), slot.captured);
  newest = next_;
  if (++next_ == 0) next_ = 1;
}

void FlightRecorder::OnFailure(const Endpoint& local, const Endpoint& remote, Instant since,
                               std::string_view reason, std::string_view meaning) {
  if (failed_.size() < kFailedPerPollMax) {
    failed_.push_back({local, remote, since, reason, meaning});
  } else {
    ++missed_;
  }
}

void FlightRecorder::TakeOut() {
  for (const Failed& failed : failed_) missed_ += TakeOut(failed) ? 0 : 1;
  failed_.clear();
}

bool FlightRecorder::TakeOut(const Failed& failed) {
  const size_t first = kept_slots_.size();
  uint32_t number = newest_[FoldOf(failed.local, failed.remote)];
  uint32_t age = 0;
  // Links lead to older frames; one that does not is left over from numbers that came round.
  while (Holds(number) && next_ - number > age && kept_slots_.size() < kept_slots_max_) {
    const Slot& slot = At(number);
    if (slot.time < failed.since) break;
    if (Concerns(slot, failed.local, failed.remote)) kept_slots_.push_back(slot);
    age = next_ - number;
    number = slot.previous;
  }
  if (kept_slots_.size() == first) return false;
  std::reverse(kept_slots_.begin() + static_cast<std::ptrdiff_t>(first), kept_slots_.end());
  kept_.push_back({first, kept_slots_.size() - first, failed.reason, failed.meaning});
  return true;
}

}  // namespace millrace::apps
