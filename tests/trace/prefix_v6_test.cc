// A whole prefix of IPv6 addresses that are ours, for many clients and servers.

#include <gtest/gtest.h>

#include <set>

#include "millrace/wire/ndp.h"
#include "testing/trace.h"
#include "unit/wire/ipv6_builder.h"

namespace millrace::testing {
namespace {

using wire::testing::Bytes;

// Ours are 2001:db8::a00:1 and all that differ from it in the last `host_bits` bits, in a network
// of 2^24 addresses; the peer is outside.
TraceOptions PrefixOf(int host_bits) {
  TraceOptions options;
  options.v6 = true;
  options.config.address.length_bits = 8;
  options.config.host_v6.owned_bits = 128 - host_bits;
  options.config.source_port_min = options.config.source_port_max = 5000;
  return options;
}

constexpr uint32_t kPeer = 0x0A01'0002;
const IpAddress kPeerLinkLocal = wire::LinkLocalOf(Trace::kPeerMac);

// The peer asks for the MAC address of `target`.
Bytes Solicitation(const Trace& t, const IpAddress& target) {
  const IpAddress from = t.AddressOf(kPeer), to = wire::SolicitedNode(target);
  Bytes message(wire::kNeighborMessageBytesMax);
  message.resize(wire::EmitNeighborMessage(message.data(),
                                           {.target = target, .mac = Trace::kPeerMac}, from, to));
  return wire::testing::BuildV6({.destination_mac = wire::GroupMacV6(to),
                                 .source = from,
                                 .destination = to,
                                 .protocol = wire::kIpProtocolIcmpV6,
                                 .hop_limit = wire::kNdpHopLimit,
                                 .payload = message});
}

TEST(PrefixV6, EveryAddressIsAnsweredForAndNoOther) {
  Trace t(PrefixOf(4));
  for (uint32_t i = 0; i < 16; ++i) {
    t.ReceivesFrame(Solicitation(t, t.AddressOf((Trace::kHostAddress & ~15u) + i)));
    EXPECT_EQ(t.engine().counters().ndp_advertisements, i + 1);
  }
  t.ReceivesFrame(Solicitation(t, t.AddressOf((Trace::kHostAddress & ~15u) + 16)));
  EXPECT_EQ(t.engine().counters().ndp_advertisements, 16u);
}

TEST(PrefixV6, EveryAddressTakesConnections) {
  Trace t(PrefixOf(1));
  constexpr uint32_t kOther = Trace::kHostAddress - 1, kPeerOfTrace = Trace::kPeerAddress;
  ASSERT_EQ(t.engine().Listen({IpAddress(), t.options().local_port}, 16), stack::ListenResult::kOk);
  t.ReceivesFrame(t.FrameOf({.flags = kSyn, .seq = 0}, kPeerOfTrace, 0, 0, kOther));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  t.ReceivesFrame(t.FrameOf({.flags = kAck, .seq = 1, .ack = 1}, kPeerOfTrace, 0, 0, kOther));
  EXPECT_EQ(t.app().socket.local().address, t.AddressOf(kOther));
  t.ReceivesFrame(t.FrameOf({.flags = kSyn, .seq = 0}, kPeerOfTrace, 0, 0, kOther + 16));
  EXPECT_TRUE(t.SentNothing());
}

// ISN-05: tuples of every address are used before any comes again; the first one of the network,
// which is its routers' (RFC 4291 2.6.1), never.
TEST(PrefixV6, ConnectionsAreOpenedFromEveryAddress) {
  Trace t(PrefixOf(24));
  EXPECT_EQ(t.engine().Connect({t.AddressOf(kPeer), 7000}, 0, nullptr),
            stack::ConnectResult::kBadAddress)
      << "one of ours";

  TraceOptions options = PrefixOf(3);
  options.config.address.length_bits = 29;
  options.config.gateway_v4 = kPeer;
  Trace whole(options);
  const Endpoint peer{whole.AddressOf(kPeer), 7000};
  std::set<IpAddress> seen;
  stack::Socket socket;
  for (int i = 0; i < 7; ++i) {
    ASSERT_EQ(whole.engine().Connect(peer, 0, &socket), stack::ConnectResult::kOk);
    EXPECT_TRUE(seen.insert(socket.local().address).second);
  }
  EXPECT_EQ(*seen.begin(), whole.AddressOf(Trace::kHostAddress));
  EXPECT_EQ(whole.engine().SourcePortFill(peer), 1000u);
  EXPECT_EQ(whole.engine().Connect(peer, 0, &socket), stack::ConnectResult::kNoPorts);
}

TEST(PrefixV6, LinkLocalPeersAreReachedFromTheLinkLocalAddress) {
  Trace t(PrefixOf(4));
  stack::Socket socket;
  ASSERT_EQ(t.engine().Connect({kPeerLinkLocal, 7000}, 0, &socket), stack::ConnectResult::kOk);
  EXPECT_EQ(socket.local().address, wire::LinkLocalOf(Trace::kHostMac));
  EXPECT_EQ(t.engine().Connect({kPeerLinkLocal, 7000}, 0, &socket), stack::ConnectResult::kNoPorts)
      << "one address, one port";
}

// The fixture has room for 256 pairs of addresses.
TEST(PrefixV6, OpeningEndsWhereThePairsOfAddressesDo) {
  TraceOptions options = PrefixOf(16);
  options.config.limits.connections = 300;
  Trace t(options);
  const Endpoint peer{t.AddressOf(kPeer), 7000};
  int opened = 0;
  while (opened < 300 && t.engine().Connect(peer, 0, nullptr) == stack::ConnectResult::kOk) {
    ++opened;
  }
  EXPECT_EQ(opened, 256);
  EXPECT_EQ(t.engine().Connect(peer, 0, nullptr), stack::ConnectResult::kNoMemory);
  EXPECT_EQ(t.engine().counters().address_pairs_full, 2u);
  EXPECT_EQ(t.counters().ports_exhausted, 0u);
}

}  // namespace
}  // namespace millrace::testing
