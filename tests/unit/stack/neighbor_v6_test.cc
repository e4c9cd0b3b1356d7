// Neighbour discovery in the cache that ARP uses too (RFC 4861 7.2).
#include <gtest/gtest.h>

#include <array>

#include "millrace/stack/neighbor.h"

namespace millrace::stack {
namespace {

constexpr MacAddress kOurMac{{2, 0, 0, 0, 0, 1}}, kPeerMac{{2, 0, 0, 0, 0, 2}};
constexpr MacAddress kEvilMac{{2, 0, 0, 0, 0, 0x66}};
constexpr wire::LocalNet kNet{.mac = kOurMac, .address_v4 = 0x0A000001};
const IpAddress kPeer = *IpAddress::Parse("2001:db8::2");

Instant At(double seconds) {
  return Instant::FromNanoseconds(static_cast<int64_t>(seconds * 1e9) + 5'000'000'000);
}

wire::NeighborMessage Advertisement(bool solicited, bool override_flag,
                                    std::optional<MacAddress> mac = kPeerMac) {
  return {.advertisement = true,
          .solicited = solicited,
          .override_flag = override_flag,
          .target = kPeer,
          .mac = mac};
}

// The destination of the probe that is due; an empty one when none is.
MacAddress Probe(Neighbors& t, Instant now) {
  std::array<NeighborProbe, 4> probes;
  return t.PollProbes(now, probes) == 0 ? MacAddress() : probes[0].destination;
}

TEST(NeighborsV6, AskTheSolicitedNodeGroupAndSendWhatWaited) {
  Neighbors t(kNet);
  const uint16_t index = t.Lookup(kPeer, At(0));
  ASSERT_TRUE(t.Park(index, wire::PacketHandle{7}));
  EXPECT_EQ(Probe(t, At(0)), *MacAddress::Parse("33:33:ff:00:00:02"));
  const NeighborResult result = t.OnAdvertisement(Advertisement(true, true), At(0.1));
  EXPECT_EQ(result.resolved, index);
  ASSERT_EQ(result.packet_count, 1);
  EXPECT_EQ(result.packets[0], wire::PacketHandle{7});
  EXPECT_EQ(t[index].state, NeighborState::kReachable);
}

// NUD: asked by unicast when its time is over, and given up after three probes.
TEST(NeighborsV6, ReachabilityIsProbedByUnicast) {
  Neighbors t(kNet);
  const uint16_t index = t.Lookup(kPeer, At(0));
  t.Ref(index);
  t.OnAdvertisement(Advertisement(true, true), At(0));
  EXPECT_TRUE(t.Use(index, At(31)));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Probe(t, At(31 + i)), kPeerMac) << i;
  EXPECT_EQ(Probe(t, At(34)), MacAddress());
  EXPECT_EQ(t[index].state, NeighborState::kFailed);
  t.Unref(index);
}

TEST(NeighborsV6, UnsolicitedAdvertisementMakesNoEntry) {
  Neighbors t(kNet);
  t.OnAdvertisement(Advertisement(false, true), At(0));
  EXPECT_EQ(t.Find(kPeer), Neighbors::kNone);
  EXPECT_EQ(t.counters().unsolicited, 1u);
}

TEST(NeighborsV6, AdvertisementWithoutAnAddressTeachesNothingNew) {
  Neighbors t(kNet);
  const uint16_t index = t.Lookup(kPeer, At(0));
  t.OnAdvertisement(Advertisement(true, true, std::nullopt), At(0));
  EXPECT_FALSE(t.IsResolved(index));
  t.OnAdvertisement(Advertisement(true, true), At(0));
  EXPECT_TRUE(t.Use(index, At(40)));
  t.OnAdvertisement(Advertisement(true, false, std::nullopt), At(40));
  EXPECT_EQ(t[index].state, NeighborState::kReachable) << "it confirms the one that is known";
}

// RFC 4861 7.2.5: the Override flag; IPL-06: not while the entry is known to be good.
TEST(NeighborsV6, AnotherAddressNeedsTheOverrideFlagAndAnEntryInDoubt) {
  Neighbors t(kNet);
  const uint16_t index = t.Lookup(kPeer, At(0));
  t.OnAdvertisement(Advertisement(true, true), At(0));
  t.OnAdvertisement(Advertisement(false, true, kEvilMac), At(1));
  EXPECT_EQ(t[index].mac, kPeerMac);
  EXPECT_TRUE(t.Use(index, At(31)));
  t.OnAdvertisement(Advertisement(false, false, kEvilMac), At(31));
  EXPECT_EQ(t[index].mac, kPeerMac);
  t.OnAdvertisement(Advertisement(false, true, kEvilMac), At(31));
  EXPECT_EQ(t[index].mac, kEvilMac);
  EXPECT_EQ(t[index].state, NeighborState::kStale);
  EXPECT_EQ(t.counters().conflict, 2u);
}

// RFC 4861 7.2.3: who asks for us is known, but not known to hear us.
TEST(NeighborsV6, SolicitationTeachesAStaleEntry) {
  Neighbors t(kNet);
  t.OnSolicitation(kPeer, kPeerMac, At(0));
  const uint16_t index = t.Find(kPeer);
  ASSERT_NE(index, Neighbors::kNone);
  EXPECT_EQ(t[index].state, NeighborState::kStale);
  EXPECT_TRUE(t.Use(index, At(0)));
  EXPECT_EQ(Probe(t, At(0)), kPeerMac);
}

TEST(NeighborsV6, SolicitationAnswersOurQuestionToo) {
  Neighbors t(kNet);
  const uint16_t index = t.Lookup(kPeer, At(0));
  ASSERT_TRUE(t.Park(index, wire::PacketHandle{7}));
  EXPECT_EQ(t.OnSolicitation(kPeer, kPeerMac, At(0)).packet_count, 1);
  EXPECT_TRUE(t.IsResolved(index));
}

// IPL-07
TEST(NeighborsV6, SolicitationsPushNobodyOutAndChangeNoStaticEntry) {
  Neighbors t(kNet, {.capacity = 2});
  ASSERT_TRUE(t.AddStatic(kPeer, kPeerMac));
  t.OnSolicitation(kPeer, kEvilMac, At(0));
  EXPECT_EQ(t[t.Find(kPeer)].mac, kPeerMac);
  for (uint64_t i = 10; i < 20; ++i) t.OnSolicitation(IpAddress::V6(1, i), kEvilMac, At(0));
  EXPECT_EQ(t.size(), 2);
  EXPECT_EQ(t.counters().no_room, 9u);
}

TEST(NeighborsV6, FamiliesShareTheTableAndAreNotMixedUp) {
  Neighbors t(kNet);
  const uint16_t v4 = t.Lookup(IpAddress::V4(0x0A000002), At(0));
  const uint16_t v6 = t.Lookup(IpAddress::V6(0, 0x0A000002), At(0));
  EXPECT_NE(v4, v6);
  EXPECT_EQ(t.size(), 2);
}

}  // namespace
}  // namespace millrace::stack
