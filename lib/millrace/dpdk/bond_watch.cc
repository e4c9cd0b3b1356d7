#include "millrace/dpdk/bond_watch.h"

#include <rte_alarm.h>
#include <rte_eth_bond.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <utility>

namespace millrace::dpdk {
namespace {

constexpr uint64_t kLookUs = 20'000;

bool HasLink(uint16_t port) {
  rte_eth_link link{};
  return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

}  // namespace

BondWatch::BondWatch(uint16_t bond, std::vector<uint16_t> members)
    : bond_(bond), members_(std::move(members)) {
  rte_eal_alarm_set(kLookUs, OnAlarm, this);
}

BondWatch::~BondWatch() { rte_eal_alarm_cancel(OnAlarm, this); }

void BondWatch::OnAlarm(void* watch) {
  static_cast<BondWatch*>(watch)->Look();
  rte_eal_alarm_set(kLookUs, OnAlarm, watch);
}

void BondWatch::Look() {
  const int carrier = rte_eth_bond_primary_get(bond_);
  if (carrier < 0 || HasLink(static_cast<uint16_t>(carrier))) return;
  const auto other = std::find_if(members_.begin(), members_.end(), HasLink);
  // Without a link anywhere it stays: a change would lose no less.
  if (other == members_.end() || rte_eth_bond_primary_set(bond_, *other) != 0) return;
  // The port that carries has the address of the bond, also where a filter looks at it.
  rte_ether_addr address{};
  if (rte_eth_macaddr_get(bond_, &address) == 0) rte_eth_bond_mac_address_set(bond_, &address);
  changes_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace millrace::dpdk
