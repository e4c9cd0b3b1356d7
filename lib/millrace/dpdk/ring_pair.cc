#include "millrace/dpdk/ring_pair.h"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_lcore.h>
#include <rte_ring.h>

#include <atomic>
#include <bit>

#include "absl/strings/str_cat.h"
#include "millrace/dpdk/eal.h"

namespace millrace::dpdk {

absl::StatusOr<std::unique_ptr<RingPair>> RingPair::Create(const RingPairOptions& options) {
  if (!std::has_single_bit(options.ring_packets)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a ring of ", options.ring_packets, " is no power of two"));
  }
  std::unique_ptr<RingPair> pair(new RingPair);
  if (absl::Status status = pair->Open(options); !status.ok()) return status;
  return pair;
}

absl::Status RingPair::Open(const RingPairOptions& options) {
  // tidy: allow(mutable-global) names of rings are unique in the process
  static std::atomic<uint32_t> next_id{0};  // device names are unique in the process
  const uint32_t id = next_id.fetch_add(1);
  const unsigned node = rte_socket_id() == LCORE_ID_ANY ? 0 : rte_socket_id();
  for (int i = 0; i < 2; ++i) {
    for (uint32_t queue = 0; queue < options.port.queues; ++queue) {
      const std::string name = absl::StrCat("pair", id, i == 0 ? "a" : "b", queue);
      rte_ring* const ring = rte_ring_create(name.c_str(), options.ring_packets,
                                             static_cast<int>(node), RING_F_SP_ENQ | RING_F_SC_DEQ);
      if (ring == nullptr) {
        return absl::ResourceExhaustedError(absl::StrCat("no memory for a ring of ",
                                                         options.ring_packets, " packets (",
                                                         rte_strerror(rte_errno), ")"));
      }
      rings_[i].push_back(ring);
    }
  }
  DpdkPortOptions port_options = options.port;
  for (int i = 0; i < 2; ++i) {
    const std::string name = absl::StrCat("pair", id, i == 0 ? "a" : "b");
    OutputCapture capture;
    const int port_id = rte_eth_from_rings(name.c_str(), rings_[1 - i].data(), options.port.queues,
                                           rings_[i].data(), options.port.queues, node);
    const std::string log = capture.Stop();
    if (port_id < 0) {
      return absl::InternalError(
          absl::StrCat("no ring device can be made (", MostRelevantLine(log), ")"));
    }
    device_names_[i] = absl::StrCat("net_ring_", name);
    // The driver gives every device the same address; the two ends of a wire need different ones.
    port_options.mac = MacAddress{{0x02, 0x4D, 0x52, static_cast<uint8_t>(id >> 8),
                                   static_cast<uint8_t>(id), static_cast<uint8_t>(i + 1)}};
    if (i == 0 && options.shared_pool) port_options.packets = 2 * options.port.packets + 1;
    auto port = DpdkPort::Create(static_cast<uint16_t>(port_id), port_options);
    if (!port.ok()) return port.status();
    ports_[i] = *std::move(port);
    if (options.shared_pool) port_options.pool = ports_[0]->pool();
  }
  return absl::OkStatus();
}

std::vector<rte_ring*> RingPair::Rings() const {
  std::vector<rte_ring*> all = rings_[0];
  all.insert(all.end(), rings_[1].begin(), rings_[1].end());
  return all;
}

RingPair::~RingPair() {
  for (auto& port : ports_) {
    if (port != nullptr) port->Stop();
  }
  // Packets that are under way belong to either pool: they go back before a pool may end.
  for (rte_ring* ring : Rings()) {
    void* packet = nullptr;
    while (rte_ring_dequeue(ring, &packet) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
  }
  for (auto& port : ports_) port.reset();
  for (const std::string& name : device_names_) {
    if (!name.empty()) rte_eal_hotplug_remove("vdev", name.c_str());
  }
  for (rte_ring* ring : Rings()) rte_ring_free(ring);
}

}  // namespace millrace::dpdk
