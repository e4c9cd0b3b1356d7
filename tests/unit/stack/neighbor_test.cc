#include "millrace/stack/neighbor.h"

#include <algorithm>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::stack {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using wire::PacketHandle;

constexpr uint32_t kOurs = 0x0A00'0001;  // 10.0.0.1/24
constexpr uint32_t kPeer = 0x0A00'0002;
constexpr uint32_t kOther = 0x0A00'0003;
constexpr MacAddress kOurMac{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kPeerMac{{2, 0, 0, 0, 0, 2}};
constexpr MacAddress kEvilMac{{2, 0, 0, 0, 0, 0x66}};

constexpr wire::LocalNet kNet{.mac = kOurMac, .address_v4 = kOurs, .network_mask = 0xFFFF'FF00};

Instant At(double seconds) {
  return Instant::FromNanoseconds(static_cast<int64_t>(seconds * 1e9) + 5'000'000'000);
}
IpAddress V4(uint32_t address) { return IpAddress::V4(address); }
PacketHandle Packet(uintptr_t n) { return static_cast<PacketHandle>(n); }

wire::ArpPacket Reply(uint32_t ip, const MacAddress& mac) {
  return {.operation = wire::kArpReply,
          .sender_mac = mac,
          .target_mac = kOurMac,
          .sender_ip = ip,
          .target_ip = kOurs};
}
wire::ArpPacket Request(uint32_t ip, const MacAddress& mac, uint32_t target = kOurs) {
  return {.operation = wire::kArpRequest,
          .sender_mac = mac,
          .target_mac = {},
          .sender_ip = ip,
          .target_ip = target};
}

struct ProbeSeen {
  uint32_t target;
  MacAddress destination;
  bool operator==(const ProbeSeen&) const = default;
};
std::vector<ProbeSeen> Poll(Neighbors& neighbors, Instant now) {
  std::array<NeighborProbe, 2000> probes;
  std::vector<ProbeSeen> seen(neighbors.PollProbes(now, probes));
  for (size_t i = 0; i < seen.size(); ++i) seen[i] = {probes[i].target.v4(), probes[i].destination};
  return seen;
}
std::vector<uintptr_t> Released(Neighbors& neighbors) {
  std::array<PacketHandle, 64> out;
  const size_t count = neighbors.TakeReleased(out);
  std::vector<uintptr_t> packets;
  for (size_t i = 0; i < count; ++i) packets.push_back(static_cast<uintptr_t>(out[i]));
  return packets;
}
std::vector<uintptr_t> Packets(const NeighborResult& result) {
  std::vector<uintptr_t> packets;
  for (size_t i = 0; i < result.packet_count; ++i) {
    packets.push_back(static_cast<uintptr_t>(result.packets[i]));
  }
  return packets;
}

const ProbeSeen kAskPeer{kPeer, MacAddress::Broadcast()};
const ProbeSeen kCheckPeer{kPeer, kPeerMac};

TEST(Neighbors, AsksAtOnceAndSendsWhatWaitedWhenAnswered) {
  Neighbors t(kNet);
  const uint16_t index = t.Lookup(V4(kPeer), At(0));
  EXPECT_FALSE(t.Use(index, At(0)));
  ASSERT_TRUE(t.Park(index, Packet(11)));
  ASSERT_TRUE(t.Park(index, Packet(12)));
  EXPECT_THAT(Poll(t, At(0)), ElementsAre(kAskPeer));
  EXPECT_THAT(Poll(t, At(0.9)), IsEmpty());

  const NeighborResult result = t.OnArp(Reply(kPeer, kPeerMac), At(0.95));
  EXPECT_FALSE(result.reply);
  EXPECT_EQ(result.resolved, index);
  EXPECT_THAT(Packets(result), ElementsAre(11, 12));
  EXPECT_TRUE(t.Use(index, At(1)));
  EXPECT_EQ(t[index].mac, kPeerMac);
  EXPECT_EQ(t.parked(), 0u);
  EXPECT_THAT(Poll(t, At(10)), IsEmpty());
  EXPECT_EQ(t.Lookup(V4(kPeer), At(10)), index);
}

TEST(Neighbors, GivesUpAfterThreeRequestsOnePerSecond) {
  Neighbors t(kNet);
  const uint16_t index = t.Lookup(V4(kPeer), At(0));
  ASSERT_TRUE(t.Park(index, Packet(11)));
  int requests = 0;
  for (int ms = 0; ms < 2999; ++ms) requests += static_cast<int>(Poll(t, At(ms * 1e-3)).size());
  EXPECT_EQ(requests, 3);
  EXPECT_THAT(Released(t), IsEmpty());
  EXPECT_THAT(Poll(t, At(3)), IsEmpty());
  EXPECT_THAT(Released(t), ElementsAre(11));
  EXPECT_EQ(t.counters().failed, 1u);
  EXPECT_EQ(t.Find(V4(kPeer)), Neighbors::kNone);
  EXPECT_EQ(t.size(), 0u);
}

TEST(Neighbors, KeepsAFailedEntryWhileItIsHeldAndAsksAgainWhenUsed) {
  Neighbors t(kNet);
  const uint16_t index = t.Lookup(V4(kPeer), At(0));
  t.Ref(index);
  for (int s = 0; s <= 3; ++s) Poll(t, At(s));
  EXPECT_EQ(t.counters().failed, 1u);
  EXPECT_EQ(t.Find(V4(kPeer)), index);
  EXPECT_FALSE(t.Use(index, At(3.5)));  // not more often than once a second
  EXPECT_THAT(Poll(t, At(3.5)), IsEmpty());
  EXPECT_FALSE(t.Use(index, At(4)));
  EXPECT_THAT(Poll(t, At(4)), ElementsAre(kAskPeer));
  for (int s = 5; s <= 7; ++s) Poll(t, At(s));
  EXPECT_EQ(t.counters().failed, 2u);
  t.Unref(index);
  EXPECT_EQ(t.size(), 0u);
}

TEST(Neighbors, ConfirmsAStaleAddressByUnicastWhenItIsUsed) {
  Neighbors t(kNet);
  const uint16_t index = t.Lookup(V4(kPeer), At(0));
  t.OnArp(Reply(kPeer, kPeerMac), At(0));
  EXPECT_TRUE(t.Use(index, At(29.9)));
  EXPECT_THAT(Poll(t, At(29.9)), IsEmpty());
  EXPECT_THAT(Poll(t, At(100)), IsEmpty());  // not used, not asked for
  EXPECT_TRUE(t.Use(index, At(100)));
  EXPECT_TRUE(t.Use(index, At(100)));
  EXPECT_THAT(Poll(t, At(100)), ElementsAre(kCheckPeer));
  t.OnArp(Reply(kPeer, kPeerMac), At(100.1));
  EXPECT_EQ(t[index].state, NeighborState::kReachable);
  EXPECT_THAT(Poll(t, At(102)), IsEmpty());
}

TEST(Neighbors, StopsUsingAnAddressThatDoesNotConfirm) {
  Neighbors t(kNet);
  const uint16_t index = t.Lookup(V4(kPeer), At(0));
  t.Ref(index);
  t.OnArp(Reply(kPeer, kPeerMac), At(0));
  EXPECT_TRUE(t.Use(index, At(40)));
  for (int s = 40; s < 43; ++s) EXPECT_THAT(Poll(t, At(s)), ElementsAre(kCheckPeer));
  EXPECT_TRUE(t.IsResolved(index));
  Poll(t, At(43));
  EXPECT_FALSE(t.Use(index, At(44)));
  EXPECT_THAT(Poll(t, At(44)), ElementsAre(kAskPeer));  // now by broadcast
}

// IPL-06
TEST(Neighbors, LearnsNothingFromUnsolicitedReplies) {
  Neighbors t(kNet);
  const NeighborResult result = t.OnArp(Reply(kPeer, kEvilMac), At(0));
  EXPECT_FALSE(result.reply);
  EXPECT_EQ(result.resolved, Neighbors::kNone);
  EXPECT_EQ(t.size(), 0u);
  EXPECT_EQ(t.counters().unsolicited, 1u);
}

// IPL-06
TEST(Neighbors, DoesNotLetAReachableAddressBeTakenOver) {
  Neighbors t(kNet);
  const uint16_t index = t.Lookup(V4(kPeer), At(0));
  t.OnArp(Reply(kPeer, kPeerMac), At(0));
  t.OnArp(Reply(kPeer, kEvilMac), At(1));
  t.OnArp(Request(kPeer, kEvilMac), At(1));
  t.OnArp(Request(kPeer, kEvilMac, kPeer), At(1));  // gratuitous
  EXPECT_EQ(t[index].mac, kPeerMac);
  EXPECT_EQ(t.counters().conflict, 3u);
  // The same again refreshes; another one is believed when the time is over, or when asked.
  t.OnArp(Request(kPeer, kPeerMac, kPeer), At(20));
  t.OnArp(Reply(kPeer, kEvilMac), At(49));
  EXPECT_EQ(t[index].mac, kPeerMac);
  t.OnArp(Reply(kPeer, kEvilMac), At(50));
  EXPECT_EQ(t[index].mac, kEvilMac);
}

TEST(Neighbors, AnswersRequestsForOurAddressOnly) {
  Neighbors t(kNet);
  EXPECT_TRUE(t.OnArp(Request(kPeer, kPeerMac), At(0)).reply);
  EXPECT_FALSE(t.OnArp(Request(kPeer, kPeerMac, kOther), At(0)).reply);
  EXPECT_TRUE(t.OnArp(Request(0, kPeerMac), At(0)).reply);  // RFC 5227 probe
  wire::ArpPacket strange = Request(kPeer, kPeerMac);
  strange.operation = 3;
  EXPECT_FALSE(t.OnArp(strange, At(0)).reply);
  EXPECT_EQ(t.counters().ignored, 1u);
}

TEST(Neighbors, AnswersForEveryAddressOfAnOwnedPrefix) {
  wire::LocalNet net = kNet;
  net.owned_mask = 0xFFFF'FFF0;
  Neighbors t(net);
  EXPECT_TRUE(t.OnArp(Request(0x0A00'0020, kPeerMac, 0x0A00'000F), At(0)).reply);
  EXPECT_FALSE(t.OnArp(Request(0x0A00'0020, kPeerMac, 0x0A00'0010), At(0)).reply);
}

TEST(Neighbors, RemembersWhoAsksForUsButUnconfirmed) {
  Neighbors t(kNet);
  t.OnArp(Request(kPeer, kPeerMac), At(0));
  const uint16_t index = t.Find(V4(kPeer));
  ASSERT_NE(index, Neighbors::kNone);
  EXPECT_EQ(t[index].state, NeighborState::kStale);
  EXPECT_THAT(Poll(t, At(1)), IsEmpty());
  EXPECT_TRUE(t.Use(index, At(1)));
  EXPECT_THAT(Poll(t, At(1)), ElementsAre(kCheckPeer));
}

TEST(Neighbors, IgnoresSendersThatCannotBe) {
  Neighbors t(kNet);
  EXPECT_FALSE(t.OnArp(Request(kPeer, MacAddress::Broadcast()), At(0)).reply);
  EXPECT_FALSE(t.OnArp(Request(kPeer, MacAddress()), At(0)).reply);
  EXPECT_FALSE(t.OnArp(Request(kPeer, kOurMac), At(0)).reply);
  EXPECT_FALSE(t.OnArp(Request(0x0A00'00FF, kPeerMac), At(0)).reply);  // broadcast
  EXPECT_FALSE(t.OnArp(Request(0x0A00'0000, kPeerMac), At(0)).reply);
  EXPECT_FALSE(t.OnArp(Request(0xC0A8'0001, kPeerMac), At(0)).reply);  // not on this network
  EXPECT_EQ(t.counters().ignored, 6u);
  EXPECT_FALSE(t.OnArp(Request(kOurs, kEvilMac), At(0)).reply);
  EXPECT_EQ(t.counters().duplicate_address, 1u);
  EXPECT_EQ(t.size(), 0u);
}

// IPL-07
TEST(Neighbors, NeverChangesNorEvictsAStaticEntry) {
  NeighborConfig config;
  config.capacity = 2;
  Neighbors t(kNet, config);
  ASSERT_TRUE(t.AddStatic(V4(kPeer), kPeerMac));
  const uint16_t index = t.Find(V4(kPeer));
  t.OnArp(Reply(kPeer, kEvilMac), At(0));
  EXPECT_EQ(t.counters().conflict, 1u);
  for (uint32_t i = 0; i < 100; ++i) EXPECT_NE(t.Lookup(V4(0x0A00'0010 + i), At(i)), index);
  EXPECT_EQ(t.Find(V4(kPeer)), index);
  EXPECT_EQ(t[index].mac, kPeerMac);
  EXPECT_TRUE(t.Use(index, At(1e6)));
  EXPECT_EQ(t.counters().evicted, 99u);
}

// IPL-07
TEST(Neighbors, RequestsOfManyHostsFillTheTableAndEvictNobody) {
  NeighborConfig config;
  config.capacity = 8;
  Neighbors t(kNet, config);
  const uint16_t index = t.Lookup(V4(kPeer), At(0));
  for (uint32_t i = 0; i < 100; ++i) {
    EXPECT_TRUE(t.OnArp(Request(0x0A00'0010 + i, kEvilMac), At(1)).reply);
  }
  EXPECT_EQ(t.size(), 8u);
  EXPECT_EQ(t.Find(V4(kPeer)), index);
  EXPECT_EQ(t.counters().no_room, 93u);
}

TEST(Neighbors, EvictsTheLeastRecentlyUsedThatNobodyHolds) {
  NeighborConfig config;
  config.capacity = 3;
  Neighbors t(kNet, config);
  const uint16_t a = t.Lookup(V4(0x0A00'0010), At(0));
  t.Ref(a);
  ASSERT_TRUE(t.Park(t.Lookup(V4(0x0A00'0011), At(0)), Packet(5)));
  t.Lookup(V4(0x0A00'0012), At(0));
  t.Lookup(V4(0x0A00'0011), At(1));
  t.Lookup(V4(0x0A00'0013), At(2));
  EXPECT_EQ(t.Find(V4(0x0A00'0012)), Neighbors::kNone);
  EXPECT_THAT(Released(t), IsEmpty());
  t.Lookup(V4(0x0A00'0014), At(3));
  EXPECT_EQ(t.Find(V4(0x0A00'0011)), Neighbors::kNone);
  EXPECT_THAT(Released(t), ElementsAre(5));
  t.Ref(t.Find(V4(0x0A00'0013)));
  t.Ref(t.Find(V4(0x0A00'0014)));
  EXPECT_EQ(t.Lookup(V4(0x0A00'0015), At(4)), Neighbors::kNone);
  EXPECT_EQ(t.counters().table_full, 1u);
  t.Unref(a);
  EXPECT_EQ(t.Lookup(V4(0x0A00'0015), At(5)), a);
}

// IPL-08
TEST(Neighbors, KeepsTheThreeLatestPacketsPerNeighborAndSixtyFourInAll) {
  Neighbors t(kNet);
  const uint16_t index = t.Lookup(V4(kPeer), At(0));
  for (uintptr_t n = 1; n <= 5; ++n) ASSERT_TRUE(t.Park(index, Packet(n)));
  EXPECT_THAT(Released(t), UnorderedElementsAre(1, 2));
  EXPECT_EQ(t.parked(), 3u);
  uintptr_t taken = 3;
  for (uint32_t i = 0; i < 30; ++i) {
    const uint16_t other = t.Lookup(V4(0x0A00'0010 + i), At(0));
    for (int k = 0; k < 3; ++k) taken += t.Park(other, Packet(100)) ? 1 : 0;
  }
  EXPECT_EQ(taken, Neighbors::kParkedMax);
  EXPECT_EQ(t.counters().park_refused, 29u);
  EXPECT_THAT(Packets(t.OnArp(Reply(kPeer, kPeerMac), At(0.5))), ElementsAre(3, 4, 5));
  EXPECT_EQ(t.parked(), 61u);
}

TEST(Neighbors, EmitsDueRequestsOverSeveralCallsWhenTheRoomIsSmall) {
  Neighbors t(kNet);
  for (uint32_t i = 0; i < 5; ++i) t.Lookup(V4(0x0A00'0010 + i), At(0));
  std::array<NeighborProbe, 2> out;
  size_t total = 0;
  for (int call = 0; call < 4; ++call) total += t.PollProbes(At(0), out);
  EXPECT_EQ(total, 5u);
}

TEST(Neighbors, TellsWhenItHasToBePolledNext) {
  Neighbors t(kNet);
  EXPECT_TRUE(t.NextProbe().IsNever());
  t.Lookup(V4(kPeer), At(2));
  EXPECT_EQ(t.NextProbe(), At(2));
  Poll(t, At(2));
  EXPECT_EQ(t.NextProbe(), At(3));
  t.OnArp(Reply(kPeer, kPeerMac), At(2.5));
  Poll(t, At(3));
  EXPECT_TRUE(t.NextProbe().IsNever());
}

TEST(Route, SendsToTheGatewayWhatIsNotOnTheLink) {
  const Route route{.address_v4 = kOurs, .mask = 0xFFFF'FF00, .gateway_v4 = 0x0A00'00FE};
  EXPECT_EQ(route.NextHop(kPeer), kPeer);
  EXPECT_EQ(route.NextHop(0x0808'0808), 0x0A00'00FEu);
  const Route alone{.address_v4 = kOurs, .mask = 0xFFFF'FF00};
  EXPECT_EQ(alone.NextHop(0x0808'0808), 0u);
}

// Every packet that was parked comes back once, and the bounds hold, whatever happens.
TEST(Neighbors, LosesNoPacketAndKeepsItsBoundsUnderRandomEvents) {
  NeighborConfig config;
  config.capacity = 20;
  Neighbors t(kNet, config);
  std::mt19937 random(99);
  const auto pick = [&](size_t n) { return static_cast<uint32_t>(random() % n); };
  std::vector<uint16_t> held;
  uintptr_t next_packet = 1;
  size_t accepted = 0, returned = 0;
  double now = 0;
  for (int step = 0; step < 200'000; ++step) {
    const uint32_t ip = 0x0A00'0010 + pick(60);
    const MacAddress mac{{2, 0, 0, 0, 1, static_cast<uint8_t>(pick(4))}};
    switch (pick(8)) {
      case 0:
        returned += t.OnArp(pick(2) == 0 ? Reply(ip, mac) : Request(ip, mac), At(now)).packet_count;
        break;
      case 1:
        now += pick(100) * 0.01;
        Poll(t, At(now));
        break;
      case 2:
        if (!held.empty()) {
          std::swap(held[pick(held.size())], held.back());
          t.Unref(held.back());
          held.pop_back();
        }
        break;
      case 3:
        returned += Released(t).size();
        break;
      default: {
        const uint16_t index = t.Lookup(V4(ip), At(now));
        if (index == Neighbors::kNone) break;
        ASSERT_EQ(t.AddressOf(index), IpAddress::V4(ip));
        if (!t.Use(index, At(now)) && t.Park(index, Packet(next_packet))) {
          ++next_packet;
          ++accepted;
        }
        if (held.size() < 15 && pick(4) == 0) {
          t.Ref(index);
          held.push_back(index);
        }
      }
    }
    ASSERT_LE(t.size(), 20u);
    ASSERT_LE(t.parked(), 64u);
    for (const uint16_t index : held) ASSERT_NE(t[index].state, NeighborState::kFree);
  }
  for (const uint16_t index : held) t.Unref(index);
  for (int s = 0; s < 10; ++s) Poll(t, At(now + s));
  returned += Released(t).size();
  EXPECT_EQ(returned + t.parked(), accepted);
  EXPECT_EQ(t.parked(), 0u);
  EXPECT_GT(accepted, 1000u);
}

}  // namespace
}  // namespace millrace::stack
