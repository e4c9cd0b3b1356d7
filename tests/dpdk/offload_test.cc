#include "millrace/dpdk/offload.h"

#include <gtest/gtest.h>

namespace millrace::dpdk {
namespace {

constexpr auto kAuto = ChecksumPolicy::kAuto;

rte_eth_dev_info DeviceThatOffersAll() {
  rte_eth_dev_info info{};
  info.rx_offload_capa = UINT64_MAX;
  info.tx_offload_capa = UINT64_MAX;
  return info;
}

TEST(PlanOffloads, PhysicalDeviceDoesWhatItOffers) {
  const OffloadPlan plan = PlanOffloads(DeviceThatOffersAll(), false, kAuto, kAuto, true);
  EXPECT_TRUE(plan.rx_checksum);
  EXPECT_TRUE(plan.tx_ipv4_checksum);
  EXPECT_TRUE(plan.tx_tcp_checksum);
  EXPECT_TRUE(plan.fast_free);
  EXPECT_EQ(plan.rx_offloads, RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM);
  EXPECT_EQ(plan.tx_offloads, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
                                  RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE);
}

TEST(PlanOffloads, NothingIsAskedOfADeviceThatOffersNothing) {
  const OffloadPlan plan = PlanOffloads(rte_eth_dev_info{}, false, kAuto, kAuto, true);
  EXPECT_EQ(plan.rx_offloads, 0u);
  EXPECT_EQ(plan.tx_offloads, 0u);
  EXPECT_FALSE(plan.rx_checksum || plan.tx_ipv4_checksum || plan.tx_tcp_checksum);
  EXPECT_FALSE(plan.fast_free);
}

// PAR-03
TEST(PlanOffloads, VirtualDeviceIsNotBelieved) {
  const OffloadPlan plan = PlanOffloads(DeviceThatOffersAll(), true, kAuto, kAuto, true);
  EXPECT_FALSE(plan.rx_checksum || plan.tx_ipv4_checksum || plan.tx_tcp_checksum);
  EXPECT_EQ(plan.rx_offloads, 0u);
}

TEST(PlanOffloads, PolicyOverridesTheKindOfDevice) {
  const auto device = ChecksumPolicy::kDevice, software = ChecksumPolicy::kSoftware;
  const OffloadPlan believed = PlanOffloads(DeviceThatOffersAll(), true, device, device, true);
  EXPECT_TRUE(believed.rx_checksum && believed.tx_ipv4_checksum && believed.tx_tcp_checksum);
  const OffloadPlan own = PlanOffloads(DeviceThatOffersAll(), false, software, software, true);
  EXPECT_FALSE(own.rx_checksum || own.tx_ipv4_checksum || own.tx_tcp_checksum);
}

TEST(PlanOffloads, TrustedReceiveAsksTheDeviceForNothing) {
  const OffloadPlan plan =
      PlanOffloads(DeviceThatOffersAll(), true, ChecksumPolicy::kTrusted, kAuto, true);
  EXPECT_TRUE(plan.rx_trusted);
  EXPECT_EQ(plan.rx_offloads, 0u);
}

TEST(PlanOffloads, PacketsOfSeveralPoolsForbidFastFree) {
  EXPECT_FALSE(PlanOffloads(DeviceThatOffersAll(), false, kAuto, kAuto, false).fast_free);
}

// PAR-03
TEST(ChecksumOf, VerdictIsTakenFromTheFlagsAndUnknownStaysUnknown) {
  using wire::ChecksumState;
  EXPECT_EQ(IpChecksumOf(0), ChecksumState::kUnknown);
  EXPECT_EQ(L4ChecksumOf(0), ChecksumState::kUnknown);
  EXPECT_EQ(IpChecksumOf(RTE_MBUF_F_RX_IP_CKSUM_GOOD), ChecksumState::kGood);
  EXPECT_EQ(IpChecksumOf(RTE_MBUF_F_RX_IP_CKSUM_BAD), ChecksumState::kBad);
  EXPECT_EQ(L4ChecksumOf(RTE_MBUF_F_RX_L4_CKSUM_GOOD), ChecksumState::kGood);
  EXPECT_EQ(L4ChecksumOf(RTE_MBUF_F_RX_L4_CKSUM_BAD), ChecksumState::kBad);
  EXPECT_EQ(L4ChecksumOf(RTE_MBUF_F_RX_L4_CKSUM_NONE), ChecksumState::kGood);
  // The verdict on one layer says nothing of the other.
  EXPECT_EQ(L4ChecksumOf(RTE_MBUF_F_RX_IP_CKSUM_GOOD), ChecksumState::kUnknown);
}

}  // namespace
}  // namespace millrace::dpdk
