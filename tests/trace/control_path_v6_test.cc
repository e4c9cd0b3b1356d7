// What a host on an IPv6 link owes others, and what it does not believe: ICMPv6 (RFC 4443),
// neighbour discovery (RFC 4861), besides what ipv6_test.cc has.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "millrace/wire/ndp.h"
#include "testing/trace.h"
#include "unit/wire/ipv6_builder.h"

namespace millrace::testing {
namespace {

using wire::testing::Bytes;
using wire::testing::FrameSpecV6;
using wire::testing::kTransportV6At;
using wire::testing::ToBytes;

const IpAddress kRouter = wire::LinkLocalOf(Trace::kPeerMac);
const IpAddress kFar = IpAddress::V6(0x2001'0DB8'0000'0001, 0x4D);

TraceOptions V6(bool router_advertisements = false) {
  TraceOptions options;
  options.v6 = true;
  options.config.host_v6.router_advertisements = router_advertisements;
  return options;
}

// An ICMPv6 message of the peer's to us.
FrameSpecV6 Message(const Trace& t, const Bytes& message, uint8_t hop_limit = 255) {
  return {.source = t.AddressOf(Trace::kPeerAddress),
          .destination = t.AddressOf(Trace::kHostAddress),
          .protocol = wire::kIpProtocolIcmpV6,
          .hop_limit = hop_limit,
          .payload = message};
}

Bytes Echo() {
  Bytes message(16);
  message[0] = std::byte{wire::kIcmpV6EchoRequest};
  return message;
}

Bytes Neighbor(const wire::NeighborMessage& message) {
  Bytes bytes(wire::kNeighborMessageBytesMax);
  bytes.resize(wire::EmitNeighborMessage(bytes.data(), message, kRouter, kRouter));
  return bytes;
}

// A router's advertisement for 30 minutes, with its MAC address and an MTU.
Bytes Advertisement(uint16_t mtu) {
  Bytes message = ToBytes({wire::kNdpRouterAdvertisement,
                           0,
                           0,
                           0,
                           64,
                           0,
                           7,
                           8,
                           0,
                           0,
                           0,
                           0,
                           0,
                           0,
                           0,
                           0,
                           1,
                           1,
                           0,
                           0,
                           0,
                           0,
                           0,
                           0,
                           5,
                           1,
                           0,
                           0,
                           0,
                           0,
                           0,
                           0});
  wire::StoreMac(&message[18], Trace::kPeerMac);
  StoreBe32(&message[28], mtu);
  return message;
}

FrameSpecV6 FromRouter(const Bytes& message) {
  return {.destination_mac = wire::GroupMacV6(wire::kAllNodesV6),
          .source = kRouter,
          .destination = wire::kAllNodesV6,
          .protocol = wire::kIpProtocolIcmpV6,
          .hop_limit = 255,
          .payload = message};
}

// Octets of the only frame that is not TCP, taken; empty when there is none.
Bytes Answer(Trace& t) {
  EXPECT_LE(t.other_frames.size(), 1u);
  if (t.other_frames.empty()) return {};
  const Bytes frame = t.other_frames.front();
  t.other_frames.clear();
  return frame;
}

// RFC 4443 4.2 answers with the request's source as destination, which the unspecified address
// cannot be (RFC 4291 2.5.2); a reply as long as its request is made in place, without extensions.
TEST(ControlPathV6, EchoFromNobodyOrBehindExtensionsIsNotAnswered) {
  Trace t(V6());
  FrameSpecV6 spec = Message(t, Echo(), 64);
  spec.source = IpAddress();
  t.ReceivesFrame(wire::testing::BuildV6(spec));
  spec = Message(t, Echo(), 64);
  spec.extensions = {{wire::kIpv6DestinationOptions, ToBytes({1, 4, 0, 0, 0, 0})}};
  t.ReceivesFrame(wire::testing::BuildV6(spec));
  EXPECT_TRUE(t.other_frames.empty());
  EXPECT_EQ(t.engine().counters().icmp_ignored, 2u);
  t.ExpectNothingHeld();
}

TEST(ControlPathV6, AnswersToNobodyHaveALimit) {
  TraceOptions options = V6();
  options.config.stateless_replies_per_s = 10;
  options.config.stateless_replies_burst = 3;
  Trace t(options);
  const Bytes echo = wire::testing::BuildV6(Message(t, Echo(), 64));
  FrameSpecV6 udp = Message(t, Bytes(20), 64);
  udp.protocol = wire::kIpProtocolUdp;
  for (int i = 0; i < 5; ++i) t.ReceivesFrame(echo);
  EXPECT_EQ(t.other_frames.size(), 3u);
  t.ReceivesFrame(wire::testing::BuildV6(udp));
  EXPECT_EQ(t.other_frames.size(), 3u);
  EXPECT_EQ(t.engine().counters().icmp_limited, 3u);
}

// RFC 4443 2.4 (e): no error about what was sent to a group, but for an unknown option that asks
// for one; none to the unspecified address either.
TEST(ControlPathV6, ErrorsAboutGroupsAreForUnknownOptionsOnly) {
  constexpr uint8_t kAnswerAlways = 0x80, kAnswerUnlessGroup = 0xC0;
  Trace t(V6());
  FrameSpecV6 spec = Message(t, Echo(), 64);
  spec.destination_mac = wire::GroupMacV6(wire::kAllNodesV6);
  spec.destination = wire::kAllNodesV6;
  spec.extensions = {{wire::kIpv6DestinationOptions, ToBytes({kAnswerAlways, 4, 0, 0, 0, 0})}};
  t.ReceivesFrame(wire::testing::BuildV6(spec));
  const Bytes error = Answer(t);
  ASSERT_GT(error.size(), kTransportV6At + wire::kIcmpV6HeaderBytes);
  EXPECT_EQ(LoadU8(&error[kTransportV6At]), wire::kIcmpV6ParameterProblem);
  EXPECT_EQ(LoadU8(&error[kTransportV6At + 1]), wire::kIcmpV6UnknownOption);
  EXPECT_EQ(wire::LoadIpv6(&error[wire::testing::kIpAt + wire::kIpv6SourceAt]),
            t.AddressOf(Trace::kHostAddress));
  spec.source = IpAddress();
  t.ReceivesFrame(wire::testing::BuildV6(spec));
  spec.source = t.AddressOf(Trace::kPeerAddress);
  spec.extensions[0].second[0] = std::byte{kAnswerUnlessGroup};
  t.ReceivesFrame(wire::testing::BuildV6(spec));
  // A routing header that has somewhere to go: a problem, but not one of options.
  spec.extensions = {{wire::kIpv6Routing, ToBytes({0, 1, 0, 0, 0, 0})}};
  t.ReceivesFrame(wire::testing::BuildV6(spec));
  EXPECT_TRUE(t.other_frames.empty());
  EXPECT_EQ(t.engine().counters().problems_v6, 3u);
  EXPECT_EQ(t.engine().counters().dropped(wire::DropReason::kIpv6Extension), 1u);
}

// While its own address is not known to be its own, a host sends nothing from it.
TEST(ControlPathV6, NoErrorFromAnAddressInDoubt) {
  TraceOptions options = V6();
  options.v6_detection_transmits = 1;
  Trace t(options);
  t.Poll();
  t.other_frames.clear();
  FrameSpecV6 spec = Message(t, Echo(), 64);
  spec.destination_mac = wire::GroupMacV6(wire::kAllNodesV6);
  spec.destination = wire::kAllNodesV6;
  spec.extensions = {{wire::kIpv6DestinationOptions, ToBytes({0x80, 4, 0, 0, 0, 0})}};
  t.ReceivesFrame(wire::testing::BuildV6(spec));
  EXPECT_TRUE(t.other_frames.empty());
  EXPECT_EQ(t.engine().counters().problems_v6, 1u);
}

// RFC 4861 7.1.1, 7.2.3: what is no valid solicitation, or asks for somebody else.
TEST(ControlPathV6, SolicitationsThatAreNotForUs) {
  Trace t(V6());
  const IpAddress us = t.AddressOf(Trace::kHostAddress);
  FrameSpecV6 spec = Message(t, Neighbor({.target = t.AddressOf(Trace::kHostAddress + 0x100)}));
  t.ReceivesFrame(wire::testing::BuildV6(spec));
  EXPECT_EQ(t.engine().counters().ndp_invalid, 0u);
  Bytes own = wire::testing::BuildV6(Message(t, Neighbor({.target = us})));
  wire::StoreMac(&own[wire::kEthernetSourceAt], Trace::kHostMac);
  t.ReceivesFrame(own);
  EXPECT_EQ(t.engine().counters().ndp_invalid, 1u) << "an echo of our own";
  EXPECT_TRUE(t.other_frames.empty());
  // One without the sender's address is answered to where it came from.
  t.ReceivesFrame(wire::testing::BuildV6(Message(t, Neighbor({.target = us}))));
  EXPECT_EQ(wire::LoadMac(Answer(t).data()), Trace::kPeerMac);
}

// RFC 4861 7.1.2, RFC 4862 5.4.4.
TEST(ControlPathV6, AdvertisementsThatCannotBe) {
  Trace t(V6());
  const wire::NeighborMessage ours{.advertisement = true,
                                   .override_flag = true,
                                   .target = t.AddressOf(Trace::kHostAddress),
                                   .mac = Trace::kPeerMac};
  t.ReceivesFrame(wire::testing::BuildV6(Message(t, Neighbor(ours), 64)));
  Bytes own = wire::testing::BuildV6(Message(t, Neighbor(ours)));
  wire::StoreMac(&own[wire::kEthernetSourceAt], Trace::kHostMac);
  t.ReceivesFrame(own);
  EXPECT_EQ(t.engine().counters().ndp_invalid, 2u);
  EXPECT_EQ(t.engine().counters().ndp_conflicts, 0u);
  t.ReceivesFrame(wire::testing::BuildV6(Message(t, Neighbor(ours))));
  EXPECT_EQ(t.engine().counters().ndp_conflicts, 1u) << "somebody else says that it is his";
  EXPECT_EQ(t.engine().host_v6().address_state(), stack::AddressState::kReady);
}

// RFC 4861 6.3.7, 6.3.4: a host that wants them asks for advertisements, learns the router with its
// MAC address, and sends no packet longer than the MTU that it says.
TEST(ControlPathV6, RouterIsAskedForLearntAndUsed) {
  Trace t(V6(true));
  t.Poll();
  const Bytes question = Answer(t);
  ASSERT_GT(question.size(), kTransportV6At);
  EXPECT_EQ(LoadU8(&question[kTransportV6At]), wire::kNdpRouterSolicitation);
  EXPECT_EQ(t.engine().Connect({kFar, 80}, 0, nullptr), stack::ConnectResult::kNoRoute);
  t.ReceivesFrame(wire::testing::BuildV6(FromRouter(Advertisement(1300))));
  EXPECT_EQ(t.engine().counters().ndp_router_advertisements, 1u);
  ASSERT_EQ(t.engine().Connect({kFar, 80}, 0, nullptr), stack::ConnectResult::kOk);
  t.Poll();
  const Bytes syn = Answer(t);
  ASSERT_GT(syn.size(), kTransportV6At);
  EXPECT_EQ(wire::LoadMac(syn.data()), Trace::kPeerMac) << "nobody is asked first";
  EXPECT_EQ(t.engine().counters().ndp_solicitations, 0u);
  t.AcceptFromPeer({.mss = 1440});
  t.Send(Octets(3000));
  EXPECT_EQ(t.Sent().value_or(Seg{}).data.size(), 1300u - 60);
}

// RFC 4861 7.2.5: "If the Target was a router and the IsRouter flag is now clear", it is none.
TEST(ControlPathV6, RouterThatSaysItIsNoneIsLeft) {
  Trace t(V6(true));
  t.ReceivesFrame(wire::testing::BuildV6(FromRouter(Advertisement(1500))));
  ASSERT_EQ(t.engine().Connect({kFar, 80}, 0, nullptr), stack::ConnectResult::kOk);
  const wire::NeighborMessage message{
      .advertisement = true, .router = true, .target = kRouter, .mac = Trace::kPeerMac};
  t.ReceivesFrame(wire::testing::BuildV6(Message(t, Neighbor(message))));
  EXPECT_EQ(t.engine().Connect({kFar, 81}, 0, nullptr), stack::ConnectResult::kOk);
  wire::NeighborMessage none = message;
  none.router = false;
  t.ReceivesFrame(wire::testing::BuildV6(Message(t, Neighbor(none))));
  EXPECT_EQ(t.engine().Connect({kFar, 82}, 0, nullptr), stack::ConnectResult::kNoRoute);
}

TEST(ControlPathV6, RoutersThatNobodyAskedForAndForgedOnesAreIgnored) {
  Trace t(V6(false));
  t.ReceivesFrame(wire::testing::BuildV6(FromRouter(Advertisement(1300))));
  EXPECT_EQ(t.engine().counters().ndp_router_advertisements, 1u);
  EXPECT_EQ(t.engine().Connect({kFar, 80}, 0, nullptr), stack::ConnectResult::kNoRoute);
  FrameSpecV6 forged = FromRouter(Advertisement(1300));
  forged.source = t.AddressOf(Trace::kPeerAddress);  // not link-local: RFC 4861 6.1.2
  t.ReceivesFrame(wire::testing::BuildV6(forged));
  EXPECT_EQ(t.engine().counters().ndp_invalid, 1u);
  EXPECT_EQ(t.engine().host_v6().mtu(), 0u);
}

// PMT-11, RFC 8201 4: errors that quote no segment of ours, and a too big that no link has.
TEST(ControlPathV6, ErrorsAboutNothingOfOursAreIgnored) {
  Trace t(V6());
  t.AcceptFromPeer({.mss = 1440});
  t.Send(Octets(2000));
  const auto error = [&t](uint8_t type, uint32_t parameter, Bytes quoted) {
    Bytes message = ToBytes({type, 0, 0, 0, 0, 0, 0, 0});
    StoreBe32(&message[4], parameter);
    message.insert(message.end(), quoted.begin(), quoted.end());
    t.ReceivesFrame(wire::testing::BuildV6(Message(t, message, 64)));
  };
  Bytes datagram = t.QuotedSegment(1);
  datagram[wire::kIpv6NextHeaderAt] = std::byte{wire::kIpProtocolUdp};
  error(wire::kIcmpV6PacketTooBig, 1300, datagram);
  Bytes of_others = t.QuotedSegment(1);
  of_others[wire::kIpv6DestinationAt] = std::byte{0x20};
  of_others[wire::kIpv6DestinationAt + 1] = std::byte{2};
  error(wire::kIcmpV6PacketTooBig, 1300, of_others);
  error(wire::kIcmpV6PacketTooBig, wire::kIpv6MtuMin - 1, t.QuotedSegment(1));
  error(wire::kIcmpV6PacketTooBig, 70'000, t.QuotedSegment(1));
  EXPECT_EQ(t.engine().counters().icmp_errors_ignored, 4u);
  EXPECT_EQ(t.engine().counters().icmp_errors_used, 0u);
  error(wire::kIcmpV6PacketTooBig, 1300, t.QuotedSegment(1));
  EXPECT_EQ(t.engine().counters().icmp_errors_used, 1u);
}

// MUST-46 over IPv6.
TEST(ControlPathV6, OpeningToAnAddressThatIsNoHostIsRefused) {
  Trace t(V6());
  for (const IpAddress& address :
       {IpAddress(), IpAddress::V6(0, 1), wire::kAllNodesV6, t.AddressOf(Trace::kHostAddress)}) {
    EXPECT_EQ(t.engine().Connect({address, 80}, 0, nullptr), stack::ConnectResult::kBadAddress);
  }
  EXPECT_EQ(t.engine().Connect({t.AddressOf(Trace::kPeerAddress), 0}, 0, nullptr),
            stack::ConnectResult::kBadAddress);
  EXPECT_EQ(t.engine().Listen({t.AddressOf(Trace::kPeerAddress), 80}, 4),
            stack::ListenResult::kNotOurs);
  t.ExpectNothingHeld();
}

// RFC 6724 5, rule 2: a link-local destination is reached from the link-local address.
TEST(ControlPathV6, LinkLocalPeersAreReachedFromTheLinkLocalAddress) {
  Trace t(V6());
  stack::Socket socket;
  ASSERT_EQ(t.engine().Connect({kRouter, 80}, 0, &socket), stack::ConnectResult::kOk);
  EXPECT_EQ(socket.local().address, wire::LinkLocalOf(Trace::kHostMac));
  EXPECT_LT(t.engine().SourcePortFill({kRouter, 80}), 5u);
}

// EXH: pairs of addresses have a bound: what finds no room is dropped by name, and what exists goes
// on.
TEST(ControlPathV6, FullTableOfAddressPairsRefusesNewPeersOnly) {
  TraceOptions options = V6();
  options.config.address.length_bits = 16;
  options.config.limits.half_open = 512;
  Trace t(options);
  t.AcceptFromPeer();
  ASSERT_EQ(t.engine().Listen({IpAddress(), 81}, 512), stack::ListenResult::kOk);
  const uint32_t room = t.engine().address_pairs().capacity() - t.engine().address_pairs().size();
  for (uint32_t i = 0; i < room; ++i) {
    t.ReceivesFrom(0x0A00'0100 + i, 4000, 81, {.flags = kSyn});
  }
  EXPECT_EQ(t.engine().half_opens().used(), room);
  t.ReceivesFrom(0x0A00'0100 + room, 4000, 81, {.flags = kSyn});
  EXPECT_EQ(t.engine().counters().address_pairs_full, 1u);
  const Endpoint other{t.AddressOf(0x0A00'0099), 80};
  EXPECT_EQ(t.engine().Connect(other, 0, nullptr), stack::ConnectResult::kNoMemory);
  EXPECT_EQ(t.engine().counters().address_pairs_full, 2u);
  EXPECT_EQ(t.engine().ConnectFrom({t.AddressOf(Trace::kHostAddress), 99}, other, 0, nullptr),
            stack::ConnectResult::kNoMemory);
  EXPECT_EQ(t.engine().SourcePortFill(other), 0u);
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "on"});
  EXPECT_EQ(t.app().received, "on");
}

}  // namespace
}  // namespace millrace::testing
