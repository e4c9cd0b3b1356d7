// dpdk/dpdk_port.h - stack::Port over one queue pair of any DPDK ethernet device.
//
// A PacketHandle is an rte_mbuf*. The engine sees every frame as one span: chained mbufs are
// copied together on receipt, or counted as dropped when they do not fit (PAR-13). Frames with a
// VLAN tag come as they are; dpdk/vlan_port.h takes tags off. The packet path does not allocate,
// lock or call virtually. Threading: one worker, which must be registered with EAL to be fast
// (dpdk/worker.h).
#ifndef MILLRACE_DPDK_DPDK_PORT_H_
#define MILLRACE_DPDK_DPDK_PORT_H_

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/base/check.h"
#include "millrace/dpdk/offload.h"
#include "millrace/dpdk/packet_pool.h"
#include "millrace/dpdk/rss.h"
#include "millrace/stack/port.h"
#include "millrace/stack/steering.h"

namespace millrace::dpdk {

struct DpdkPortOptions {
  uint32_t packets = 8191;           // in the pool made for this port, when `pool` is empty
  std::shared_ptr<PacketPool> pool;  // shared with other ports; room_octets() >= mtu + 22
  uint16_t mtu = 0;                  // octets of IP packet, 68..9216; 0: what the device has
  bool mtu_set_outside = false;      // by the kernel interface behind it: the driver is not asked
  uint32_t room_octets_min = 0;      // of a packet, for drivers that want more than the MTU
  uint16_t rx_descriptors = 1024, tx_descriptors = 1024;  // adjusted to what the device takes
  ChecksumPolicy rx_checksum = ChecksumPolicy::kAuto;
  ChecksumPolicy tx_checksum = ChecksumPolicy::kAuto;
  bool one_pool = true;           // false when packets of other pools are sent here (a proxy)
  bool vlan = false;              // a VlanPort goes around it: the device does the tags if it can
  std::optional<MacAddress> mac;  // instead of the device's; for devices without a filter
  // Queue pairs to set up. More than one: `steering` is given to the device if it can hash (RSS).
  uint16_t queues = 1;
  const stack::Steering* steering = nullptr;
};

// Drops by cause. The first two are ours and cost nothing to read; the others are the device's.
struct DpdkPortCounters {
  uint64_t rx_linearize_failed = 0;  // chained frames longer than a packet, or the pool was empty
  uint64_t tx_rejected = 0;          // packets that the device did not accept at once
  uint64_t bond_failovers = 0;       // no drops: times that another port of a bond took over
  uint64_t rx_packets = 0, tx_packets = 0;
  uint64_t rx_missed = 0;  // the device had no free descriptor (imissed)
  uint64_t rx_errors = 0;
  uint64_t rx_no_packet = 0;  // the pool was empty (rx_nombuf)
  uint64_t tx_errors = 0;

  // Adds what another device has counted.
  void AddDevice(const DpdkPortCounters& other) {
    rx_packets += other.rx_packets;
    tx_packets += other.tx_packets;
    rx_missed += other.rx_missed;
    rx_errors += other.rx_errors;
    rx_no_packet += other.rx_no_packet;
    tx_errors += other.tx_errors;
  }
};

class DpdkPort {
 public:
  // Configures and starts the device and is its queue pair 0; closes the device if that fails.
  static absl::StatusOr<std::unique_ptr<DpdkPort>> Create(uint16_t port_id,
                                                          const DpdkPortOptions& options);
  // Another queue pair of a started device, for another worker, from the same pool. Behind the last
  // pair that was set up it may only be asked for packets and capabilities. `first` outlives it.
  static std::unique_ptr<DpdkPort> OfQueue(const DpdkPort& first, uint16_t queue_id);
  // Of pair 0: stops and closes the device. REQUIRES: the engine has freed its packets.
  ~DpdkPort();
  DpdkPort(const DpdkPort&) = delete;
  DpdkPort& operator=(const DpdkPort&) = delete;

  // stack::Port
  const stack::PortCapabilities& capabilities() const { return capabilities_; }
  size_t RxBurst(Instant now, std::span<stack::RxFrame> frames);
  wire::PacketHandle Allocate();
  std::byte* Data(wire::PacketHandle packet);
  void Finish(wire::PacketHandle packet, uint32_t length, const stack::TxOffload& offload);
  size_t TxBurst(Instant now, std::span<const wire::PacketHandle> packets);
  void Free(std::span<const wire::PacketHandle> packets);

  // Stops traffic and keeps the device open: two joined devices are both stopped before either
  // is closed, because net_memif and net_ring may still look at their peer's packets.
  void Stop();

  // Whether there is somebody at the other end: a memif has to find its peer first. A system call,
  // or a register of the device.
  bool LinkIsUp() const;
  // Reads the device's statistics: microseconds, not for the packet path.
  DpdkPortCounters ReadCounters() const;
  // Packets of the pool that wait in this port for Allocate and count as in use.
  size_t stash() const { return stash_count_; }
  // One line: driver, MAC, MTU, who does which checksum, pool.
  std::string Describe() const;

  uint16_t port_id() const { return port_id_; }
  uint16_t queue_id() const { return queue_id_; }
  // The device sends each connection to the queue of its owner by itself.
  bool rss() const { return rss_; }
  const OffloadPlan& offloads() const { return offloads_; }
  const std::shared_ptr<PacketPool>& pool() const { return pool_; }

 private:
  DpdkPort() = default;
  void BesideNoEvent(absl::FunctionRef<void()> work);
  static void ReadVerdicts(std::span<stack::RxFrame> frames);
  // Neither attached to data of others nor referred to by others, and alone.
  static bool IsPlain(const rte_mbuf& mbuf);
  // A packet from the pool, and more to the stash. Not inlined: 4 instructions a packet less.
  [[gnu::noinline]] rte_mbuf* TakeRefilled();
  void FreeToPools(std::span<const wire::PacketHandle> packets);
  absl::Status Configure(const DpdkPortOptions& options);
  absl::Status ChooseMtu(const DpdkPortOptions& options, const rte_eth_dev_info& info);
  absl::Status SetUpQueues(const DpdkPortOptions& options, const rte_eth_dev_info& info);
  absl::Status SetUpQueue(const DpdkPortOptions& options, const rte_eth_dev_info& info,
                          uint16_t queue);
  rte_mbuf* Linearize(rte_mbuf* chain);  // nullptr when dropped

  static rte_mbuf* MbufOf(wire::PacketHandle packet) { return reinterpret_cast<rte_mbuf*>(packet); }
  static wire::PacketHandle HandleOf(rte_mbuf* mbuf) {
    return static_cast<wire::PacketHandle>(reinterpret_cast<uintptr_t>(mbuf));
  }

  uint16_t port_id_ = 0;
  uint16_t queue_id_ = 0;
  bool started_ = false;
  bool owns_device_ = true;
  bool rss_ = false;
  OffloadPlan offloads_;
  rte_mempool* mempool_ = nullptr;
  size_t stash_count_ = 0;
  uint64_t rx_linearize_failed_ = 0;
  uint64_t tx_rejected_ = 0;
  stack::PortCapabilities capabilities_;
  std::shared_ptr<PacketPool> pool_;
  uint16_t device_mtu_ = 1500;  // what the driver is told; capabilities_.mtu is what we send
  std::string driver_;
  std::array<uint8_t, kRssKeyOctetsMax> rss_key_{};  // drivers read it when they start
  // Behind 14 octets of Ethernet the words of IP and TCP are aligned: without, the last word of the
  // timestamps lay across two cache lines, and storing it took 1.3 % of the time of the exchange.
  static constexpr uint16_t kTxHeadroom = RTE_PKTMBUF_HEADROOM + 2;
  // For Allocate: taken from the pool in bulk, or given back.
  static constexpr size_t kStashMax = 2 * stack::kBurst;
  rte_mbuf* stash_[1 + kStashMax] = {};  // from 1: Allocate looks at the next, which may be none
};

// Inline definitions

inline size_t DpdkPort::RxBurst(Instant /*now*/, std::span<stack::RxFrame> frames) {
  rte_mbuf* burst[stack::kBurst];
  const size_t room = std::min(frames.size(), stack::kBurst);
  const size_t received = rte_eth_rx_burst(port_id_, queue_id_, burst, static_cast<uint16_t>(room));
  const auto l4_checksum =
      offloads_.rx_trusted ? wire::ChecksumState::kGood : wire::ChecksumState::kUnknown;
  stack::RxFrame* frame = frames.data();
  for (rte_mbuf* mbuf : std::span(burst, received)) {
    if (mbuf->nb_segs > 1) [[unlikely]] {
      mbuf = Linearize(mbuf);
      if (mbuf == nullptr) continue;
    }
    frame->packet = HandleOf(mbuf);
    frame->data = rte_pktmbuf_mtod(mbuf, std::byte*);
    rte_prefetch0(frame->data);
    frame->length = mbuf->data_len;
    frame->ip_checksum = wire::ChecksumState::kUnknown;
    frame->l4_checksum = l4_checksum;
    ++frame;
  }
  const auto count = static_cast<size_t>(frame - frames.data());
  if (offloads_.rx_checksum) ReadVerdicts(frames.first(count));
  return count;
}

// Of a device that verifies checksums.
inline void DpdkPort::ReadVerdicts(std::span<stack::RxFrame> frames) {
  for (stack::RxFrame& frame : frames) {
    const uint64_t flags = MbufOf(frame.packet)->ol_flags;
    frame.ip_checksum = IpChecksumOf(flags);
    frame.l4_checksum = L4ChecksumOf(flags);
  }
}

inline wire::PacketHandle DpdkPort::Allocate() {
  rte_mbuf* mbuf;
  if (stash_count_ != 0) [[likely]] {
    mbuf = stash_[stash_count_--];
    rte_prefetch0(stash_[stash_count_]);  // the next one's header
  } else {
    mbuf = TakeRefilled();
    if (mbuf == nullptr) return wire::PacketHandle::kNone;
  }
  // A pooled mbuf has one reference and no successor; Finish sets what else is read of it, so the
  // full reset of rte_pktmbuf_alloc (both of its cache lines) is not needed.
  mbuf->data_off = kTxHeadroom;
  return HandleOf(mbuf);
}

inline std::byte* DpdkPort::Data(wire::PacketHandle packet) {
  return rte_pktmbuf_mtod(MbufOf(packet), std::byte*);
}

inline void DpdkPort::Finish(wire::PacketHandle packet, uint32_t length,
                             const stack::TxOffload& offload) {
  rte_mbuf* mbuf = MbufOf(packet);
  MR_DCHECK(mbuf->next == nullptr);
  MR_DCHECK(length <= uint32_t{mbuf->buf_len} - mbuf->data_off);
  mbuf->data_len = static_cast<uint16_t>(length);
  mbuf->pkt_len = length;
  mbuf->ol_flags = 0;  // a received packet that is sent on carried the receiver's flags
  if (!offload.Any()) return;
  MR_DCHECK(offloads_.tx_ipv4_checksum || !offload.ipv4_checksum);
  MR_DCHECK(offloads_.tx_tcp_checksum || !offload.tcp_checksum);
  std::byte* ip = rte_pktmbuf_mtod_offset(mbuf, std::byte*, offload.l3_offset);
  uint64_t flags = (static_cast<uint8_t>(*ip) >> 4) == 6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4;
  if (offload.ipv4_checksum) {
    flags |= RTE_MBUF_F_TX_IP_CKSUM;
    ip[10] = ip[11] = std::byte{0};  // devices sum over the field as they find it
  }
  if (offload.tcp_checksum) flags |= RTE_MBUF_F_TX_TCP_CKSUM;
  mbuf->ol_flags = flags;
  const unsigned l3_octets = unsigned{offload.l4_offset} - offload.l3_offset;
  mbuf->tx_offload = rte_mbuf_tx_offload(offload.l3_offset, l3_octets, 0, 0, 0, 0, 0);
}

inline size_t DpdkPort::TxBurst(Instant /*now*/, std::span<const wire::PacketHandle> packets) {
  rte_mbuf* burst[stack::kBurst];
  size_t sent = 0;
  while (sent < packets.size()) {
    const size_t n = std::min(packets.size() - sent, stack::kBurst);
    for (size_t i = 0; i < n; ++i) burst[i] = MbufOf(packets[sent + i]);
    const size_t accepted = rte_eth_tx_burst(port_id_, queue_id_, burst, static_cast<uint16_t>(n));
    sent += accepted;
    if (accepted < n) break;
  }
  tx_rejected_ += packets.size() - sent;
  return sent;
}

inline bool DpdkPort::IsPlain(const rte_mbuf& mbuf) {
  // Of the flags the octet with those two bits; both counts are one word.
  constexpr auto kNotDirect =
      static_cast<uint8_t>((RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL) >> 56);
  static_assert(offsetof(rte_mbuf, nb_segs) == offsetof(rte_mbuf, refcnt) + sizeof(uint16_t));
  const std::byte* const at = reinterpret_cast<const std::byte*>(&mbuf);
  uint32_t counts;
  std::memcpy(&counts, at + offsetof(rte_mbuf, refcnt), sizeof counts);
  const auto flags = static_cast<uint8_t>(at[offsetof(rte_mbuf, ol_flags) + 7]);
  return counts == 0x0001'0001 && (flags & kNotDirect) == 0;
}

// To the stash, from which they are soon taken again: of a connection each end receives as many
// packets as it sends, and the pool is not asked (40 instructions a connection).
inline void DpdkPort::Free(std::span<const wire::PacketHandle> packets) {
  size_t count = stash_count_;
  size_t i = 0;
  for (const size_t end = std::min(packets.size(), kStashMax - count); i < end; ++i) {
    rte_mbuf* const mbuf = MbufOf(packets[i]);
    MR_DCHECK(mbuf->next == nullptr && mbuf->nb_segs == 1);
    if (!IsPlain(*mbuf) || mbuf->pool != mempool_) break;
    stash_[++count] = mbuf;
  }
  stash_count_ = count;
  if (i < packets.size()) FreeToPools(packets.subspan(i));
}

static_assert(stack::Port<DpdkPort>);

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_DPDK_PORT_H_
