#include "millrace/dpdk/offload.h"

namespace millrace::dpdk {

OffloadPlan PlanOffloads(const rte_eth_dev_info& info, bool is_virtual, ChecksumPolicy rx,
                         ChecksumPolicy tx, bool one_pool, bool vlan) {
  constexpr uint64_t kRxChecksums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
  const auto by_device = [is_virtual](ChecksumPolicy policy) {
    return policy == ChecksumPolicy::kDevice || (policy == ChecksumPolicy::kAuto && !is_virtual);
  };
  OffloadPlan plan;
  plan.rx_trusted = rx == ChecksumPolicy::kTrusted;
  if (by_device(rx)) {
    plan.rx_offloads |= info.rx_offload_capa & kRxChecksums;
    plan.rx_checksum = plan.rx_offloads != 0;
  }
  if (by_device(tx)) {
    plan.tx_offloads |=
        info.tx_offload_capa & (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
    plan.tx_ipv4_checksum = (plan.tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0;
    plan.tx_tcp_checksum = (plan.tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM) != 0;
  }
  if (one_pool && (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) != 0) {
    plan.tx_offloads |= RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    plan.fast_free = true;
  }
  if (vlan) {
    plan.vlan_strip = (info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP) != 0;
    plan.vlan_insert = (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_VLAN_INSERT) != 0;
    if (plan.vlan_strip) plan.rx_offloads |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
    if (plan.vlan_insert) plan.tx_offloads |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
  }
  return plan;
}

}  // namespace millrace::dpdk
