#include "millrace/dpdk/dpdk_port.h"

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "millrace/dpdk/interrupt_thread.h"

namespace millrace::dpdk {
namespace {

constexpr uint32_t kLinkOverhead = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 4;  // with a VLAN tag
constexpr uint16_t kMtuMin = 68, kMtuMax = 9216;
constexpr uint32_t kRoomDefault = RTE_MBUF_DEFAULT_DATAROOM;  // 2048

absl::Status DeviceError(const std::string& driver, absl::string_view what, int error) {
  return absl::InternalError(
      absl::StrCat(driver, ": ", what, ": ", rte_strerror(error < 0 ? -error : error)));
}

bool IsVirtual(const rte_eth_dev_info& info) {
  if (info.device == nullptr) return true;
  const rte_bus* bus = rte_dev_bus(info.device);
  return bus != nullptr && absl::string_view(rte_bus_name(bus)) == "vdev";
}

// As ethdev computes it: a driver may limit the MTU, the frame, or both.
uint16_t LargestMtu(const rte_eth_dev_info& info) {
  const bool both = info.max_mtu != UINT16_MAX && info.max_rx_pktlen > info.max_mtu;
  const uint32_t overhead =
      both ? info.max_rx_pktlen - info.max_mtu : RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
  const uint32_t by_frame = info.max_rx_pktlen - std::min(info.max_rx_pktlen, overhead);
  return static_cast<uint16_t>(std::min<uint32_t>(info.max_mtu, by_frame));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DpdkPort>> DpdkPort::Create(uint16_t port_id,
                                                           const DpdkPortOptions& options) {
  std::unique_ptr<DpdkPort> port(new DpdkPort);
  port->port_id_ = port_id;
  const absl::Status status = port->Configure(options);
  if (!status.ok()) return status;  // the destructor closes the device
  return port;
}

DpdkPort::~DpdkPort() {
  Stop();
  if (stash_count_ > 0) {
    rte_mempool_put_bulk(mempool_, reinterpret_cast<void**>(stash_ + 1),
                         static_cast<unsigned>(stash_count_));
  }
  if (!owns_device_) return;
  // Gives back what is left in the queues; then the pool may go.
  BesideNoEvent([this] { rte_eth_dev_close(port_id_); });
}

// The driver of a memif (22.11) ends a connection in the interrupt thread when the other end goes,
// and in ours when we go, and frees all of it twice when both happen at once.
void DpdkPort::BesideNoEvent(absl::FunctionRef<void()> work) {
  if (driver_ == "net_memif") return DoInInterruptThread(work);
  work();
}

std::unique_ptr<DpdkPort> DpdkPort::OfQueue(const DpdkPort& first, uint16_t queue_id) {
  std::unique_ptr<DpdkPort> port(new DpdkPort);
  port->port_id_ = first.port_id_;
  port->queue_id_ = queue_id;
  port->owns_device_ = false;
  port->rss_ = first.rss_;
  port->offloads_ = first.offloads_;
  port->mempool_ = first.mempool_;
  port->capabilities_ = first.capabilities_;
  port->pool_ = first.pool_;
  port->device_mtu_ = first.device_mtu_;
  port->driver_ = first.driver_;
  return port;
}

void DpdkPort::Stop() {
  if (!started_) return;
  BesideNoEvent([this] { rte_eth_dev_stop(port_id_); });
  started_ = false;
}

bool DpdkPort::LinkIsUp() const {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(port_id_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

absl::Status DpdkPort::Configure(const DpdkPortOptions& options) {
  rte_eth_dev_info info;
  if (const int error = rte_eth_dev_info_get(port_id_, &info); error != 0) {
    return DeviceError(absl::StrCat("port ", port_id_), "no such device", error);
  }
  driver_ = info.driver_name;
  if (absl::Status status = ChooseMtu(options, info); !status.ok()) return status;
  offloads_ = PlanOffloads(info, IsVirtual(info), options.rx_checksum, options.tx_checksum,
                           options.one_pool, options.vlan);

  static_assert(kLinkOverhead >= RTE_ETHER_HDR_LEN + kTxHeadroom - RTE_PKTMBUF_HEADROOM);
  const uint32_t room =
      std::max({kRoomDefault, capabilities_.mtu + kLinkOverhead, options.room_octets_min});
  pool_ = options.pool;
  if (pool_ == nullptr) {
    auto pool = PacketPool::Create(options.packets, room, rte_eth_dev_socket_id(port_id_));
    if (!pool.ok()) return pool.status();
    pool_ = *std::move(pool);
  } else if (pool_->room_octets() < room) {
    return absl::InvalidArgumentError(absl::StrCat("packets of the shared pool hold ",
                                                   pool_->room_octets(), " octets, but ", driver_,
                                                   " needs ", room));
  }
  mempool_ = pool_->mempool();
  if (absl::Status status = SetUpQueues(options, info); !status.ok()) return status;

  rte_ether_addr mac{};
  rte_eth_macaddr_get(port_id_, &mac);
  std::memcpy(capabilities_.mac.octets.data(), mac.addr_bytes, sizeof mac.addr_bytes);
  if (options.mac.has_value()) capabilities_.mac = *options.mac;
  capabilities_.tx_ipv4_checksum = offloads_.tx_ipv4_checksum;
  capabilities_.tx_tcp_checksum = offloads_.tx_tcp_checksum;
  capabilities_.rx_checksum = offloads_.rx_checksum || offloads_.rx_trusted;

  if (const int error = rte_eth_dev_start(port_id_); error != 0) {
    return DeviceError(driver_, "the device does not start", error);
  }
  started_ = true;
  if (rss_) rss_ = FillRssTable(port_id_, info, *options.steering, options.queues);
  // Neighbour discovery asks by multicast. A device that has no such switch filters nothing, or is
  // not for IPv6.
  (void)rte_eth_allmulticast_enable(port_id_);
  return absl::OkStatus();
}

absl::Status DpdkPort::ChooseMtu(const DpdkPortOptions& options, const rte_eth_dev_info& info) {
  const uint16_t device_max = LargestMtu(info);
  uint16_t mtu = options.mtu;
  if (mtu == 0) {
    if (rte_eth_dev_get_mtu(port_id_, &mtu) != 0 || mtu == 0) mtu = 1500;
    mtu = std::clamp(std::min(mtu, device_max), kMtuMin, kMtuMax);
  }
  if (mtu < kMtuMin || mtu > kMtuMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("mtu ", mtu, " is outside of ", kMtuMin, " to ", kMtuMax));
  }
  if (mtu < info.min_mtu || (mtu > device_max && !options.mtu_set_outside)) {
    return absl::InvalidArgumentError(
        absl::StrCat("mtu ", mtu, ": ", driver_, " takes ", info.min_mtu, " to ", device_max));
  }
  capabilities_.mtu = mtu;
  device_mtu_ = std::min(mtu, device_max);
  return absl::OkStatus();
}

absl::Status DpdkPort::SetUpQueues(const DpdkPortOptions& options, const rte_eth_dev_info& info) {
  rte_eth_conf conf{};
  conf.rxmode.mtu = device_mtu_;
  conf.rxmode.offloads = offloads_.rx_offloads;
  conf.txmode.offloads = offloads_.tx_offloads;
  if (options.queues > 1 && options.steering != nullptr) {
    rss_ = PlanRss(info, *options.steering, rss_key_, &conf);
  }
  if (const int error = rte_eth_dev_configure(port_id_, options.queues, options.queues, &conf);
      error != 0) {
    return DeviceError(driver_,
                       absl::StrCat("the device refuses mtu ", device_mtu_, ", ", options.queues,
                                    " queue pair(s) or our offloads"),
                       error);
  }
  for (uint16_t queue = 0; queue < options.queues; ++queue) {
    if (absl::Status status = SetUpQueue(options, info, queue); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status DpdkPort::SetUpQueue(const DpdkPortOptions& options, const rte_eth_dev_info& info,
                                  uint16_t queue) {
  uint16_t rx_descriptors = options.rx_descriptors, tx_descriptors = options.tx_descriptors;
  rte_eth_dev_adjust_nb_rx_tx_desc(port_id_, &rx_descriptors, &tx_descriptors);
  const unsigned node = static_cast<unsigned>(rte_eth_dev_socket_id(port_id_));
  rte_eth_rxconf rx_conf = info.default_rxconf;
  rx_conf.offloads = offloads_.rx_offloads;
  if (const int error =
          rte_eth_rx_queue_setup(port_id_, queue, rx_descriptors, node, &rx_conf, mempool_);
      error != 0) {
    return DeviceError(driver_, "the receive queue cannot be set up", error);
  }
  rte_eth_txconf tx_conf = info.default_txconf;
  tx_conf.offloads = offloads_.tx_offloads;
  if (const int error = rte_eth_tx_queue_setup(port_id_, queue, tx_descriptors, node, &tx_conf);
      error != 0) {
    return DeviceError(driver_, "the transmit queue cannot be set up", error);
  }
  return absl::OkStatus();
}

rte_mbuf* DpdkPort::Linearize(rte_mbuf* chain) {
  if (rte_pktmbuf_linearize(chain) == 0) return chain;  // the rest fits behind the first part
  rte_mbuf* copy = chain->pkt_len <= pool_->room_octets() ? rte_pktmbuf_alloc(mempool_) : nullptr;
  if (copy != nullptr) {
    char* to = rte_pktmbuf_append(copy, static_cast<uint16_t>(chain->pkt_len));
    const void* from = rte_pktmbuf_read(chain, 0, chain->pkt_len, to);
    if (from != nullptr && from != to) std::memcpy(to, from, chain->pkt_len);
    copy->ol_flags = chain->ol_flags & (RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK |
                                        RTE_MBUF_F_RX_VLAN_STRIPPED);
    copy->vlan_tci = chain->vlan_tci;
    copy->port = chain->port;
    if (from == nullptr) {  // the chain is shorter than it says
      rte_pktmbuf_free(copy);
      copy = nullptr;
    }
  }
  if (copy == nullptr) ++rx_linearize_failed_;
  rte_pktmbuf_free(chain);
  return copy;
}

DpdkPortCounters DpdkPort::ReadCounters() const {
  DpdkPortCounters counters;
  counters.rx_linearize_failed = rx_linearize_failed_;
  counters.tx_rejected = tx_rejected_;
  rte_eth_stats stats{};
  if (rte_eth_stats_get(port_id_, &stats) == 0) {
    counters.rx_packets = stats.ipackets;
    counters.tx_packets = stats.opackets;
    counters.rx_missed = stats.imissed;
    counters.rx_errors = stats.ierrors;
    counters.rx_no_packet = stats.rx_nombuf;
    counters.tx_errors = stats.oerrors;
  }
  return counters;
}

std::string DpdkPort::Describe() const {
  const char* rx = offloads_.rx_checksum ? "device" : offloads_.rx_trusted ? "trusted" : "software";
  const char* tx = offloads_.tx_ipv4_checksum && offloads_.tx_tcp_checksum ? "device"
                   : offloads_.tx_tcp_checksum                             ? "device (TCP only)"
                                                                           : "software";
  return absl::StrCat(driver_, " ", capabilities_.mac.ToString(), ", mtu ", capabilities_.mtu,
                      ", checksums rx ", rx, " tx ", tx, offloads_.fast_free ? ", fast free" : "",
                      offloads_.vlan_strip ? ", strips VLAN tags" : "",
                      offloads_.vlan_insert ? ", inserts VLAN tags" : "", ", ", pool_->capacity(),
                      " packets");
}

void DpdkPort::FreeToPools(std::span<const wire::PacketHandle> packets) {
  while (!packets.empty()) {
    // Those in front that go back to the same pool as they are, in bulk; handles are pointers.
    rte_mempool* const pool = MbufOf(packets.front())->pool;
    const size_t most = std::min(packets.size(), stack::kBurst);
    size_t count = 0;
    while (count < most && IsPlain(*MbufOf(packets[count])) &&
           MbufOf(packets[count])->pool == pool) {
      ++count;
    }
    if (count > 0) {
      rte_mempool_put_bulk(pool, reinterpret_cast<void* const*>(packets.data()),
                           static_cast<unsigned>(count));
    } else {
      // Frees attached data; null: others refer to it.
      rte_mbuf* const mbuf = rte_pktmbuf_prefree_seg(MbufOf(packets[count++]));
      if (mbuf != nullptr) rte_mempool_put(mbuf->pool, mbuf);
    }
    packets = packets.subspan(count);
  }
}

rte_mbuf* DpdkPort::TakeRefilled() {
  void** objects = reinterpret_cast<void**>(stash_ + 1);
  if (rte_mempool_get_bulk(mempool_, objects, stack::kBurst) == 0) {
    stash_count_ = stack::kBurst;
  } else if (rte_mempool_get(mempool_, objects) == 0) {  // the last few
    stash_count_ = 1;
  }
  return stash_count_ == 0 ? nullptr : stash_[stash_count_--];
}

}  // namespace millrace::dpdk
