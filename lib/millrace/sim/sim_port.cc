// sim/sim_port.cc - a port without a device.
#include "millrace/sim/sim_port.h"

#include <algorithm>
#include <utility>

#include "millrace/base/check.h"
#include "millrace/sim/device_checksum.h"
#include "millrace/wire/ethernet.h"

namespace millrace::sim {
namespace {

constexpr uint32_t kFrameOverheadBytes = 18;  // Ethernet header and one VLAN tag
constexpr uint32_t kShortestFrameBytes = 60;  // IEEE 802.3 3.2.7, without the FCS

// A handle is the slot's generation above its index + 1, so that none is 0.
static_assert(sizeof(uintptr_t) == sizeof(uint64_t));
constexpr int kGenerationShift = 32;

}  // namespace

SimPort::SimPort(const SimPortOptions& options)
    : options_(options), fault_dice_(options.faults.seed) {}

void SimPort::SetFaults(const SimPortFaults& faults) {
  options_.faults = faults;
  fault_dice_ = Prng(faults.seed);
  allocations_ = 0;
}

SimPort::Slot& SimPort::Get(wire::PacketHandle packet) {
  const auto value = static_cast<uint64_t>(packet);
  const auto index_plus_one = static_cast<uint32_t>(value);
  MR_CHECK(index_plus_one != 0);
  MR_CHECK(index_plus_one <= slots_.size());
  Slot& slot = slots_[index_plus_one - 1];
  MR_CHECK(slot.used);
  MR_CHECK(slot.generation == value >> kGenerationShift);
  return slot;
}

wire::PacketHandle SimPort::Adopt(Frame frame) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const uint32_t index = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = slots_[index];
  MR_CHECK(!slot.used);
  slot = Slot{.frame = std::move(frame), .generation = slot.generation + 1, .used = true};
  ++live_;
  return wire::PacketHandle{uint64_t{slot.generation} << kGenerationShift | (index + 1)};
}

Frame SimPort::Release(wire::PacketHandle packet) {
  Slot& slot = Get(packet);
  slot.used = false;
  free_slots_.push_back(static_cast<uint32_t>(&slot - slots_.data()));
  --live_;
  return std::exchange(slot.frame, Frame());
}

void SimPort::Deliver(Frame frame) {
  if (rx_queue_.size() >= options_.rx_queue_packets_max) {
    ++counters_.rx_queue_full;
  } else if (!HasPacketLeft()) {
    ++counters_.rx_no_packet;
  } else {
    rx_queue_.push_back(std::move(frame));
  }
}

size_t SimPort::RxBurst(Instant, std::span<stack::RxFrame> frames) {
  const size_t count = std::min(frames.size(), rx_queue_.size());
  for (stack::RxFrame& out : frames.first(count)) {
    Frame frame = std::move(rx_queue_.front());
    rx_queue_.pop_front();
    out = stack::RxFrame{.data = frame.data(), .length = frame.length()};
    if (options_.capabilities.rx_checksum) {
      const ReceivedChecksums checksums = VerifyChecksums(frame.octets());
      out.ip_checksum = checksums.ip;
      out.l4_checksum = checksums.l4;
    }
    out.packet = Adopt(std::move(frame));
  }
  counters_.rx_frames += count;
  return count;
}

wire::PacketHandle SimPort::Allocate() {
  const SimPortFaults& faults = options_.faults;
  ++allocations_;
  if (!HasPacketLeft()) {
    ++counters_.allocate_no_packet;
    return wire::PacketHandle::kNone;
  }
  const bool is_nth =
      faults.allocate_fail_every != 0 && allocations_ % faults.allocate_fail_every == 0;
  if (is_nth || fault_dice_.Chance(faults.allocate_fail)) {
    ++counters_.allocate_refused;
    return wire::PacketHandle::kNone;
  }
  return Adopt(Frame(options_.capabilities.mtu + kFrameOverheadBytes));
}

void SimPort::Finish(wire::PacketHandle packet, uint32_t length, const stack::TxOffload& offload) {
  Slot& slot = Get(packet);
  MR_CHECK(length >= wire::kEthernetHeaderBytes);
  MR_CHECK(length <= slot.frame.length());
  MR_CHECK(!offload.ipv4_checksum || options_.capabilities.tx_ipv4_checksum);
  MR_CHECK(!offload.tcp_checksum || options_.capabilities.tx_tcp_checksum);
  if (length < slot.frame.length()) {
    slot.frame = Frame::CopyOf(slot.frame.octets().first(length));
  }
  slot.offload = offload;
  slot.finished = true;
}

size_t SimPort::CountAccepted(size_t offered) {
  const SimPortFaults& faults = options_.faults;
  size_t accepted = std::min<size_t>(offered, faults.transmit_packets_max);
  if (accepted > 0 && fault_dice_.Chance(faults.transmit_partial)) {
    accepted = static_cast<size_t>(fault_dice_.Below(accepted));
  }
  return accepted;
}

size_t SimPort::TxBurst(Instant now, std::span<const wire::PacketHandle> packets) {
  const size_t accepted = CountAccepted(packets.size());
  for (const wire::PacketHandle packet : packets.first(accepted)) Transmit(now, packet);
  counters_.tx_frames += accepted;
  counters_.tx_refused += packets.size() - accepted;
  return accepted;
}

void SimPort::Transmit(Instant now, wire::PacketHandle packet) {
  MR_CHECK(Get(packet).finished);
  const stack::TxOffload offload = Get(packet).offload;
  Frame frame = Release(packet);
  MR_CHECK(CompleteChecksums({frame.data(), frame.length()}, offload));
  if (options_.pad_short_frames && frame.length() < kShortestFrameBytes) {
    Frame padded(kShortestFrameBytes);
    std::memcpy(padded.data(), frame.data(), frame.length());
    std::memset(padded.data() + frame.length(), 0, kShortestFrameBytes - frame.length());
    frame = std::move(padded);
  }
  if (sink_) sink_(now, std::move(frame));
}

void SimPort::Free(std::span<const wire::PacketHandle> packets) {
  for (const wire::PacketHandle packet : packets) Release(packet);
}

}  // namespace millrace::sim
