#include "millrace/dpdk/rss.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "absl/strings/str_cat.h"

namespace millrace::dpdk {
namespace {

constexpr uint64_t kTcpTypes =
    RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_IPV6_TCP_EX;

bool HashesTcp(const rte_eth_dev_info& info) {
  return (info.flow_type_rss_offloads & RTE_ETH_RSS_NONFRAG_IPV4_TCP) != 0 && info.reta_size > 0 &&
         std::has_single_bit(info.reta_size) && info.hash_key_size <= kRssKeyOctetsMax;
}

}  // namespace

absl::StatusOr<DeviceQueues> ReadDeviceQueues(uint16_t port_id) {
  rte_eth_dev_info info;
  if (rte_eth_dev_info_get(port_id, &info) != 0) {
    return absl::InternalError(absl::StrCat("port ", port_id, ": no such device"));
  }
  DeviceQueues queues;
  queues.pairs_max = std::max<uint16_t>(std::min(info.max_rx_queues, info.max_tx_queues), 1);
  queues.table_entries = HashesTcp(info) ? info.reta_size : uint16_t{0};
  return queues;
}

bool PlanRss(const rte_eth_dev_info& info, const stack::Steering& steering,
             std::array<uint8_t, kRssKeyOctetsMax>& key, rte_eth_conf* conf) {
  if (!HashesTcp(info) || info.reta_size < steering.buckets()) return false;
  for (size_t i = 0; i < key.size(); ++i) key[i] = steering.KeyOctet(i);
  conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
  conf->rx_adv_conf.rss_conf.rss_key = key.data();
  conf->rx_adv_conf.rss_conf.rss_key_len =
      info.hash_key_size != 0 ? info.hash_key_size : static_cast<uint8_t>(kRssKeyOctets);
  conf->rx_adv_conf.rss_conf.rss_hf = kTcpTypes & info.flow_type_rss_offloads;
  return true;
}

bool FillRssTable(uint16_t port_id, const rte_eth_dev_info& info, const stack::Steering& steering,
                  uint16_t queues) {
  std::vector<rte_eth_rss_reta_entry64> table((info.reta_size + RTE_ETH_RETA_GROUP_SIZE - 1u) /
                                              RTE_ETH_RETA_GROUP_SIZE);
  for (uint32_t i = 0; i < info.reta_size; ++i) {
    rte_eth_rss_reta_entry64& group = table[i / RTE_ETH_RETA_GROUP_SIZE];
    const uint32_t at = i % RTE_ETH_RETA_GROUP_SIZE;
    group.mask |= uint64_t{1} << at;
    const uint32_t owner = steering.OwnerOfBucket(i & (steering.buckets() - 1));
    group.reta[at] = static_cast<uint16_t>(owner % queues);
  }
  return rte_eth_dev_rss_reta_update(port_id, table.data(), info.reta_size) == 0;
}

}  // namespace millrace::dpdk
