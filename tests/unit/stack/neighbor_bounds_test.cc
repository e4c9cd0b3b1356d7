// Neighbours: what is configured while questions are out, and who cannot be a neighbour.

#include <gtest/gtest.h>

#include <array>

#include "millrace/stack/neighbor.h"

namespace millrace::stack {
namespace {

constexpr uint32_t kOurs = 0x0A00'0001;  // 10.0.0.1/24
constexpr MacAddress kOurMac{{2, 0, 0, 0, 0, 1}}, kPeerMac{{2, 0, 0, 0, 0, 2}};
constexpr wire::LocalNet kNet{.mac = kOurMac, .address_v4 = kOurs, .network_mask = 0xFFFF'FF00};
constexpr Instant kNow = Instant::FromNanoseconds(5'000'000'000);

IpAddress Host(uint32_t number) { return IpAddress::V4(0x0A00'0000 + number); }

wire::ArpPacket Arp(uint16_t operation, uint32_t sender) {
  return {.operation = operation, .sender_mac = kPeerMac, .sender_ip = sender, .target_ip = kOurs};
}

// A neighbour that is configured while it is asked for is asked for no more, and what waited is
// given back: its sender repeats it.
TEST(NeighborsBounds, ConfiguredOneEndsTheQuestion) {
  Neighbors neighbors(kNet, {.capacity = 4});
  const uint16_t index = neighbors.Lookup(Host(2), kNow);
  ASSERT_TRUE(neighbors.Park(index, static_cast<wire::PacketHandle>(7)));
  ASSERT_TRUE(neighbors.AddStatic(Host(2), kPeerMac));
  EXPECT_EQ(neighbors.Lookup(Host(2), kNow), index);
  EXPECT_TRUE(neighbors.Use(index, kNow));
  EXPECT_EQ(neighbors[index].mac, kPeerMac);
  std::array<NeighborProbe, 4> probes;
  EXPECT_EQ(neighbors.PollProbes(kNow, probes), 0u);
  std::array<wire::PacketHandle, 4> packets;
  EXPECT_EQ(neighbors.TakeReleased(packets), 1u);
  EXPECT_EQ(neighbors.held(), 0u);
  // It holds its place whatever comes, and takes another address when told so.
  ASSERT_TRUE(neighbors.AddStatic(Host(2), kOurMac));
  EXPECT_EQ(neighbors[index].mac, kOurMac);
  for (uint32_t i = 10; i < 30; ++i) (void)neighbors.Lookup(Host(i), kNow);
  EXPECT_EQ(neighbors.Lookup(Host(2), kNow), index);
}

TEST(NeighborsBounds, TableThatIsFullTakesNoConfiguredOne) {
  Neighbors neighbors(kNet, {.capacity = 2});
  ASSERT_TRUE(neighbors.AddStatic(Host(2), kPeerMac));
  const uint16_t held = neighbors.Lookup(Host(3), kNow);
  neighbors.Ref(held);
  EXPECT_FALSE(neighbors.AddStatic(Host(4), kPeerMac));
  ASSERT_TRUE(neighbors.AddStatic(Host(3), kPeerMac)) << "it has a place";
  neighbors.Unref(held);
  EXPECT_EQ(neighbors.Lookup(Host(3), kNow), held);
  EXPECT_EQ(neighbors.Lookup(Host(5), kNow), Neighbors::kNone);
  EXPECT_EQ(neighbors.counters().table_full, 1u);
}

// Nobody else has our MAC address, whatever he says.
TEST(NeighborsBounds, ClaimsToOurMacAddressAreNotBelieved) {
  Neighbors neighbors(kNet, {});
  EXPECT_EQ(neighbors.OnSolicitation(Host(2), kOurMac, kNow).packet_count, 0u);
  EXPECT_EQ(neighbors.counters().ignored, 1u);
  EXPECT_EQ(neighbors.size(), 0u);
  const uint16_t index = neighbors.Lookup(Host(3), kNow);
  (void)neighbors.OnAdvertisement(
      {.advertisement = true, .solicited = true, .target = Host(3), .mac = kOurMac}, kNow);
  EXPECT_EQ(neighbors.counters().conflict, 1u);
  EXPECT_FALSE(neighbors.IsResolved(index));
}

// RFC 3021: on a link of two addresses both are hosts; on others the first and the last are none.
TEST(NeighborsBounds, BothAddressesOfALinkOfTwoAreHosts) {
  for (const bool two : {false, true}) {
    wire::LocalNet net = kNet;
    net.address_v4 = two ? kOurs : kOurs + 0x10;
    net.network_mask = two ? 0xFFFF'FFFE : 0xFFFF'FF00;
    Neighbors neighbors(net, {});
    wire::ArpPacket request = Arp(wire::kArpRequest, 0x0A00'0000);
    request.target_ip = net.address_v4;
    EXPECT_EQ(neighbors.OnArp(request, kNow).reply, two);
  }
}

}  // namespace
}  // namespace millrace::stack
