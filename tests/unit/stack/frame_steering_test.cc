#include "millrace/stack/frame_steering.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "gtest/gtest.h"
#include "millrace/base/prng.h"
#include "millrace/wire/arp.h"
#include "millrace/wire/icmp.h"
#include "millrace/wire/ndp.h"
#include "unit/wire/frame_builder.h"
#include "unit/wire/ipv6_builder.h"

namespace millrace::stack {
namespace {

using namespace wire::testing;  // NOLINT: the builders

FrameTarget TargetOf(const Bytes& frame) {
  return stack::TargetOf(frame.data(), static_cast<uint32_t>(frame.size()));
}

Fold FoldOfTuple(const IpAddress& a, uint16_t a_port, const IpAddress& b, uint16_t b_port) {
  return static_cast<Fold>(FoldOf(a) ^ FoldOf(b) ^ a_port ^ b_port);
}
const Fold kUsualFold = FoldOfTuple(IpAddress::V4(kPeerIp), 4000, IpAddress::V4(kOurIp), 80);
const Fold kUsualFoldV6 = FoldOfTuple(kPeerV6, 4000, kOurV6, 80);

void ExpectOwner(const FrameTarget& target, Fold fold, bool opening = false) {
  EXPECT_EQ(target.goal, FrameGoal::kOwner);
  EXPECT_EQ(target.fold, fold);
  EXPECT_EQ(target.opening, opening);
}

TEST(FrameSteering, SegmentsGoToTheOwnerOfTheirTuple) {
  ExpectOwner(TargetOf(Build({})), kUsualFold);
  ExpectOwner(TargetOf(BuildV6({})), kUsualFoldV6);
  FrameSpec spec;
  spec.ip_options = ToBytes({1, 1, 1, 1, 1, 1, 1, 0});
  ExpectOwner(TargetOf(Build(spec)), kUsualFold);
  FrameSpecV6 v6;
  v6.extensions = {{wire::kIpv6HopByHop, Bytes(6)}, {wire::kIpv6DestinationOptions, Bytes(14)}};
  ExpectOwner(TargetOf(BuildV6(v6)), kUsualFoldV6);
}

TEST(FrameSteering, SynIsAnOpeningAndSynAckIsNot) {
  FrameSpec spec;
  spec.tcp.flags = wire::kSyn;
  ExpectOwner(TargetOf(Build(spec)), kUsualFold, true);
  spec.tcp.flags = wire::kSyn | wire::kAck;
  ExpectOwner(TargetOf(Build(spec)), kUsualFold, false);
}

TEST(FrameSteering, VlanTagsAreSkipped) {
  for (const int tags : {1, 2}) {
    Bytes frame = Build({});
    const Bytes tag = ToBytes({0x81, 0x00, 0x00, 0x07});
    for (int i = 0; i < tags; ++i) frame.insert(frame.begin() + 12, tag.begin(), tag.end());
    ExpectOwner(TargetOf(frame), kUsualFold);
  }
}

// A third tag is no frame of ours, and a service tag (IEEE 802.1ad) is one of the two.
TEST(FrameSteering, TwoTagsAreSkippedAndNotMore) {
  Bytes frame = Build({});
  const Bytes tag = ToBytes({0x81, 0x00, 0x00, 0x07}), service = ToBytes({0x88, 0xA8, 0x00, 0x07});
  frame.insert(frame.begin() + 12, tag.begin(), tag.end());
  frame.insert(frame.begin() + 12, service.begin(), service.end());
  ExpectOwner(TargetOf(frame), kUsualFold);
  frame.insert(frame.begin() + 12, tag.begin(), tag.end());
  EXPECT_EQ(TargetOf(frame).goal, FrameGoal::kHere);
}

TEST(FrameSteering, IcmpErrorGoesToTheOwnerOfWhatItQuotes) {
  // What we sent: the usual tuple the other way round.
  FrameSpec sent;
  std::swap(sent.source, sent.destination);
  std::swap(sent.tcp.source_port, sent.tcp.destination_port);
  const Bytes quoted = Build(sent);
  Bytes icmp(wire::kIcmpUnreachableBytesMax);
  icmp.resize(wire::EmitIcmpUnreachable(icmp.data(), wire::kIcmpPortUnreachable,
                                        quoted.data() + kIpAt,
                                        static_cast<uint32_t>(quoted.size() - kIpAt)));
  FrameSpec spec{.source = 0x0B00'0009, .protocol = wire::kIpProtocolIcmp, .payload = icmp};
  ExpectOwner(TargetOf(Build(spec)), kUsualFold);
}

TEST(FrameSteering, Icmpv6ErrorGoesToTheOwnerOfWhatItQuotes) {
  FrameSpecV6 sent;
  std::swap(sent.source, sent.destination);
  std::swap(sent.tcp.source_port, sent.tcp.destination_port);
  const Bytes quoted = BuildV6(sent);
  Bytes icmp = ToBytes({wire::kIcmpV6PacketTooBig, 0, 0, 0, 0, 0, 5, 0});
  icmp.insert(icmp.end(), quoted.begin() + kIpAt, quoted.end());
  FrameSpecV6 spec{.protocol = wire::kIpProtocolIcmpV6, .payload = icmp};
  ExpectOwner(TargetOf(BuildV6(spec)), kUsualFoldV6);
}

// Errors about what is no segment of ours have no owner, and any worker can count them.
TEST(FrameSteering, ErrorsThatQuoteNoSegmentStay) {
  FrameSpecV6 sent;
  sent.protocol = wire::kIpProtocolUdp;
  sent.payload = Bytes(20);
  const auto goal_of = [](uint8_t type, const Bytes& quoted) {
    Bytes icmp = ToBytes({type, 0, 0, 0, 0, 0, 5, 0});
    icmp.insert(icmp.end(), quoted.begin(), quoted.end());
    return TargetOf(BuildV6({.protocol = wire::kIpProtocolIcmpV6, .payload = icmp})).goal;
  };
  const auto packet = [](const FrameSpecV6& spec, size_t octets) {
    const Bytes frame = BuildV6(spec);
    return Bytes(frame.begin() + kIpAt,
                 frame.begin() + static_cast<std::ptrdiff_t>(kIpAt + octets));
  };
  EXPECT_EQ(goal_of(wire::kIcmpV6Unreachable, packet(sent, 60)), FrameGoal::kHere);
  EXPECT_EQ(goal_of(wire::kIcmpV6Unreachable, packet({}, 39)), FrameGoal::kHere);
  EXPECT_EQ(goal_of(wire::kIcmpV6Unreachable, packet({}, 47)), FrameGoal::kHere);
  EXPECT_EQ(goal_of(wire::kIcmpV6EchoReply, packet({}, 60)), FrameGoal::kHere);
  EXPECT_EQ(goal_of(0, packet({}, 60)), FrameGoal::kHere);
  EXPECT_EQ(goal_of(wire::kIcmpV6Unreachable, packet({}, 48)), FrameGoal::kOwner);
  FrameSpec udp_v4{.protocol = wire::kIpProtocolIcmp,
                   .payload = ToBytes({wire::kIcmpUnreachable, 0, 0, 0, 0, 0, 0, 0})};
  EXPECT_EQ(TargetOf(Build(udp_v4)).goal, FrameGoal::kHere);
}

// RFC 8200 4: as many extension headers as a packet may have, and no more.
TEST(FrameSteering, ExtensionHeadersArePassedUpToTheBound) {
  FrameSpecV6 v6;
  for (int count = 1; count <= 7; ++count) {
    v6.extensions.emplace_back(wire::kIpv6DestinationOptions, Bytes(6));
    ExpectOwner(TargetOf(BuildV6(v6)), kUsualFoldV6);
  }
  v6.extensions.emplace_back(wire::kIpv6Routing, Bytes(6));
  v6.extensions.emplace_back(wire::kIpv6Routing, Bytes(6));
  EXPECT_EQ(TargetOf(BuildV6(v6)).goal, FrameGoal::kHere);
  Bytes cut = BuildV6({.extensions = {{wire::kIpv6HopByHop, Bytes(6)}}});
  cut[kTransportV6At + 1] = std::byte{200};  // longer than the packet
  EXPECT_EQ(TargetOf(cut).goal, FrameGoal::kHere);
}

TEST(FrameSteering, WhatAnyWorkerCanAnswerStays) {
  FrameSpec echo{.protocol = wire::kIpProtocolIcmp,
                 .payload = ToBytes({wire::kIcmpEchoRequest, 0, 0, 0, 0, 0, 0, 0})};
  EXPECT_EQ(TargetOf(Build(echo)).goal, FrameGoal::kHere);
  FrameSpec udp{.protocol = wire::kIpProtocolUdp, .payload = Bytes(8)};
  EXPECT_EQ(TargetOf(Build(udp)).goal, FrameGoal::kHere);
  FrameSpec unknown;
  unknown.ether_type = 0x88CC;
  EXPECT_EQ(TargetOf(Build(unknown)).goal, FrameGoal::kHere);
}

TEST(FrameSteering, FragmentsStayWithWhatPutsThemTogether) {
  for (const uint16_t field : {uint16_t{wire::kIpv4MoreFragments}, uint16_t{185}}) {
    Bytes frame = Build({});
    StoreBe16(frame.data() + kIpAt + wire::kIpv4FragmentAt, field);
    FixChecksums(frame);
    EXPECT_EQ(TargetOf(frame).goal, FrameGoal::kHere);
  }
  FrameSpecV6 v6;
  v6.extensions = {{wire::kIpv6Fragment, Bytes(6)}};
  EXPECT_EQ(TargetOf(BuildV6(v6)).goal, FrameGoal::kHere);
}

Bytes Arp(uint16_t operation) {
  Bytes frame(wire::kEthernetHeaderBytes + wire::kArpBytes);
  wire::EmitEthernet(frame.data(), kOurMac, kPeerMac, wire::kEtherTypeArp);
  StoreBe16(frame.data() + wire::kEthernetHeaderBytes + wire::kArpOperationAt, operation);
  return frame;
}

TEST(FrameSteering, ArpRepliesAreForEveryoneAndRequestsForOne) {
  EXPECT_EQ(TargetOf(Arp(wire::kArpReply)).goal, FrameGoal::kEveryone);
  EXPECT_EQ(TargetOf(Arp(wire::kArpRequest)).goal, FrameGoal::kHere);
}

TEST(FrameSteering, NeighbourDiscoveryIsForEveryoneButSolicitations) {
  FrameSpecV6 spec{.protocol = wire::kIpProtocolIcmpV6, .hop_limit = 255};
  const auto goal_of = [&spec](uint8_t type) {
    spec.payload = Bytes(24);
    spec.payload[0] = static_cast<std::byte>(type);
    return TargetOf(BuildV6(spec)).goal;
  };
  EXPECT_EQ(goal_of(wire::kNdpNeighborAdvertisement), FrameGoal::kEveryone);
  EXPECT_EQ(goal_of(wire::kNdpRouterAdvertisement), FrameGoal::kEveryone);
  EXPECT_EQ(goal_of(wire::kNdpNeighborSolicitation), FrameGoal::kHere);
  spec.source = IpAddress();  // a station that detects whether its address is in use
  EXPECT_EQ(goal_of(wire::kNdpNeighborSolicitation), FrameGoal::kEveryone);
  EXPECT_EQ(goal_of(wire::kIcmpV6EchoRequest), FrameGoal::kHere);
}

// Exact-size copies, so that AddressSanitizer sees a read behind the end.
TEST(FrameSteering, NoLengthOrContentIsReadBehind) {
  FrameSpecV6 v6;
  v6.extensions = {{wire::kIpv6HopByHop, Bytes(6)}};
  const Bytes frames[] = {Build({}), BuildV6(v6), Arp(wire::kArpReply)};
  Prng dice(1);
  for (const Bytes& frame : frames) {
    for (size_t length = 0; length <= frame.size(); ++length) {
      TargetOf(Bytes(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(length)));
    }
    for (int round = 0; round < 20'000; ++round) {
      Bytes damaged(frame.begin(),
                    frame.begin() + static_cast<std::ptrdiff_t>(dice.Below(frame.size() + 1)));
      for (int i = 0; i < 3 && !damaged.empty(); ++i) {
        damaged[dice.Below(damaged.size())] = static_cast<std::byte>(dice.Next());
      }
      TargetOf(damaged);
    }
  }
}

}  // namespace
}  // namespace millrace::stack
