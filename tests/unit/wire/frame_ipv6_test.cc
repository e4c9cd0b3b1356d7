// IPv6 frames: what gets through, and what becomes of the rest.
#include <gtest/gtest.h>

#include "millrace/wire/frame.h"
#include "unit/wire/ipv6_builder.h"

namespace millrace::wire {
namespace {

using testing::BuildV6;
using testing::Bytes;
using testing::Counting;
using testing::FrameSpecV6;
using testing::kIpAt;
using testing::kOurV6;
using testing::kPeerV6;
using testing::kTransportV6At;
using testing::Parsed;
using testing::ParseV6;
using testing::ToBytes;

IpAddress Address(const char* text) { return *IpAddress::Parse(text); }
DropReason DropOf(const FrameSpecV6& spec) { return ParseV6(BuildV6(spec)).drop; }

const Bytes kPadN4 = ToBytes({1, 4, 0, 0, 0, 0});
const Bytes kRouterAlert = ToBytes({5, 2, 0, 0, 1, 0});
const Bytes kWholeFragment = ToBytes({0, 0, 0, 0, 0, 7});

TEST(ParseIpv6, ReadsEveryFieldOfATcpSegment) {
  const Parsed parsed = ParseV6(BuildV6({.payload = Counting(5), .padding = 3}));
  ASSERT_EQ(parsed.kind, FrameKind::kTcpV6);
  EXPECT_EQ(parsed.drop, DropReason::kNone);
  EXPECT_EQ(parsed.source_v6(), kPeerV6);
  EXPECT_EQ(parsed.destination_v6(), kOurV6);
  EXPECT_EQ(parsed.ttl, 64);
  EXPECT_EQ(parsed.source_port, 4000);
  EXPECT_EQ(parsed.destination_port, 80);
  EXPECT_EQ(parsed.tcp.seq, SeqNum(0x01020304));
  EXPECT_EQ(parsed.tcp.tsval, 0x11223344u);
  EXPECT_EQ(parsed.Payload(), Counting(5));  // PAR-06: the padding is not payload
}

// PAR-02, PAR-03.
TEST(ParseIpv6, ChecksumIsVerifiedUnlessTheDeviceDid) {
  for (const size_t length : {0u, 1u, 7u, 8u, 535u, 1400u, 1401u}) {
    Bytes frame = BuildV6({.payload = Counting(length)});
    EXPECT_EQ(ParseV6(frame).drop, DropReason::kNone) << length;
    EXPECT_EQ(ParseV6(frame, ChecksumState::kBad).drop, DropReason::kTcpChecksum);
    frame[kIpAt + kIpv6SourceAt + 15] ^= std::byte{4};
    EXPECT_EQ(ParseV6(frame).drop, DropReason::kTcpChecksum) << length;
    EXPECT_EQ(ParseV6(frame, ChecksumState::kGood).drop, DropReason::kNone);
  }
}

TEST(ParseIpv6, IsUnknownToAnInterfaceWithoutIt) {
  EXPECT_EQ(ParseV6(BuildV6({}), ChecksumState::kUnknown, testing::kNet).drop,
            DropReason::kUnknownEtherType);
}

// PAR-06, PAR-15: at every length of the frame, and every version.
TEST(ParseIpv6, LengthsAndVersionThatCannotBeAreDropped) {
  const Bytes frame = BuildV6({});
  for (size_t length = kEthernetHeaderBytes; length < frame.size(); ++length) {
    const Bytes shorter(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(ParseV6(shorter).drop, DropReason::kIpHeader) << length;
  }
  for (int version = 0; version < 16; ++version) {
    Bytes other = frame;
    other[kIpAt] = static_cast<std::byte>(version << 4);
    EXPECT_EQ(ParseV6(other).kind == FrameKind::kTcpV6, version == 6) << version;
  }
  Bytes jumbo = frame;
  StoreBe16(&jumbo[kIpAt + kIpv6PayloadLengthAt], 0);
  EXPECT_EQ(ParseV6(jumbo).drop, DropReason::kTcpHeader);
}

// OPN-11 (MUST-63).
TEST(ParseIpv6, SourcesThatNobodyHasAreDropped) {
  for (const char* source : {"::", "::1", "ff02::1", "::ffff:10.0.0.2"}) {
    EXPECT_EQ(DropOf({.source = Address(source)}), DropReason::kIpSource) << source;
  }
  EXPECT_EQ(DropOf({.source = kOurV6, .destination = Address("fe80::ff:fe00:1")}),
            DropReason::kIpSource);
  FrameSpecV6 land{.source = kOurV6};
  EXPECT_EQ(DropOf(land), DropReason::kIpSource);
  land.tcp.source_port = land.tcp.destination_port;
  EXPECT_EQ(DropOf(land), DropReason::kLand);
}

// OPN-12 (MUST-57): also a group that we are in.
TEST(ParseIpv6, TcpToAGroupOrToOthersIsDropped) {
  for (const char* destination : {"ff02::1", "ff02::1:ff00:1", "ff02::2", "2001:db8::3", "::"}) {
    EXPECT_EQ(DropOf({.destination = Address(destination)}), DropReason::kIpDestination);
  }
  EXPECT_EQ(DropOf({.destination_mac = GroupMacV6(kAllNodesV6)}), DropReason::kIpDestination);
  EXPECT_EQ(DropOf({.destination = testing::kOurLinkLocal}), DropReason::kNone);
}

TEST(ParseIpv6, AddressIsNotOursBeforeItIsReady) {
  LocalNet net = testing::NetV6();
  net.v6.address_ready = false;
  EXPECT_EQ(ParseV6(BuildV6({}), ChecksumState::kUnknown, net).drop, DropReason::kIpDestination);
}

TEST(ParseIpv6, ExtensionHeadersThatAskForNothingArePassed) {
  const Parsed parsed = ParseV6(BuildV6({.extensions = {{kIpv6HopByHop, kRouterAlert},
                                                        {kIpv6DestinationOptions, kPadN4},
                                                        {kIpv6Routing, ToBytes({0, 0, 0, 0, 0, 0})},
                                                        {kIpv6Fragment, kWholeFragment},
                                                        {kIpv6DestinationOptions, kPadN4}},
                                         .payload = Counting(9)}));
  ASSERT_EQ(parsed.kind, FrameKind::kTcpV6);
  EXPECT_EQ(parsed.Payload(), Counting(9));
  EXPECT_EQ(parsed.ip_protocol, kIpProtocolTcp);
}

TEST(ParseIpv6, FragmentsAreDropped) {
  for (const Bytes& content : {ToBytes({0, 1, 0, 0, 0, 7}), ToBytes({0, 8, 0, 0, 0, 7}),
                               ToBytes({0xFF, 0xF9, 0, 0, 0, 7})}) {
    EXPECT_EQ(DropOf({.extensions = {{kIpv6Fragment, content}}}), DropReason::kIpFragment);
  }
}

TEST(ParseIpv6, RoutingHeaderWithSegmentsLeftIsAProblem) {
  for (const int type : {0, 2, 4}) {
    const Parsed parsed =
        ParseV6(BuildV6({.extensions = {{kIpv6DestinationOptions, kPadN4},
                                        {kIpv6Routing, ToBytes({type, 1, 0, 0, 0, 0})}}}));
    ASSERT_EQ(parsed.kind, FrameKind::kIpv6Problem) << type;
    EXPECT_EQ(parsed.problem_code, kIcmpV6ErroneousField);
    EXPECT_EQ(parsed.problem_at, 40u + 8 + 2);
  }
}

// RFC 8200 4.2: the two highest bits of the type.
TEST(ParseIpv6, UnknownOptionsAreTreatedAsTheirTypeSays) {
  const auto parse = [](int type) {
    return ParseV6(
        BuildV6({.extensions = {{kIpv6DestinationOptions, ToBytes({type, 1, 0, 0, 0, 0})}}}));
  };
  EXPECT_EQ(parse(0x1E).kind, FrameKind::kTcpV6);
  EXPECT_EQ(parse(0x5E).drop, DropReason::kIpv6Extension);
  for (const int type : {0x9E, 0xDE}) {
    const Parsed parsed = parse(type);
    ASSERT_EQ(parsed.kind, FrameKind::kIpv6Problem) << type;
    EXPECT_EQ(parsed.problem_code, kIcmpV6UnknownOption);
    EXPECT_EQ(parsed.problem_at, 40u + 2);
  }
}

TEST(ParseIpv6, OptionsThatDoNotFitAreDropped) {
  EXPECT_EQ(DropOf({.extensions = {{kIpv6HopByHop, ToBytes({1, 5, 0, 0, 0, 0})}}}),
            DropReason::kIpv6Extension);
  EXPECT_EQ(DropOf({.extensions = {{kIpv6HopByHop, ToBytes({0, 0, 0, 0, 0, 1})}}}),
            DropReason::kIpv6Extension);
}

TEST(ParseIpv6, ExtensionHeaderBehindTheEndIsDropped) {
  Bytes frame = BuildV6({.extensions = {{kIpv6DestinationOptions, kPadN4}}});
  for (const int units : {4, 5, 255}) {
    frame[kTransportV6At + 1] = static_cast<std::byte>(units);
    EXPECT_EQ(ParseV6(frame).drop, DropReason::kIpv6Extension) << units;
  }
}

TEST(ParseIpv6, HopByHopOptionsComeFirstOrNotAtAll) {
  const Parsed parsed = ParseV6(
      BuildV6({.extensions = {{kIpv6DestinationOptions, kPadN4}, {kIpv6HopByHop, kPadN4}}}));
  ASSERT_EQ(parsed.kind, FrameKind::kIpv6Problem);
  EXPECT_EQ(parsed.problem_code, kIcmpV6UnknownNextHeader);
  EXPECT_EQ(parsed.problem_at, 40u);
}

TEST(ParseIpv6, ManyExtensionHeadersAreTooMany) {
  FrameSpecV6 spec;
  spec.extensions.assign(8, {kIpv6DestinationOptions, kPadN4});
  EXPECT_EQ(DropOf(spec), DropReason::kNone);
  spec.extensions.emplace_back(kIpv6DestinationOptions, kPadN4);
  EXPECT_EQ(DropOf(spec), DropReason::kIpv6Extension);
}

TEST(ParseIpv6, UdpAndUnknownProtocolsCanBeAnswered) {
  const Parsed udp = ParseV6(BuildV6({.protocol = kIpProtocolUdp, .payload = Counting(8)}));
  ASSERT_EQ(udp.kind, FrameKind::kUdpV6);
  EXPECT_EQ(udp.network_length, 48u);
  const Parsed sctp = ParseV6(BuildV6({.protocol = 132, .payload = Counting(8)}));
  ASSERT_EQ(sctp.kind, FrameKind::kIpv6Problem);
  EXPECT_EQ(sctp.problem_code, kIcmpV6UnknownNextHeader);
  EXPECT_EQ(sctp.problem_at, kIpv6NextHeaderAt);
  EXPECT_EQ(DropOf({.protocol = kIpv6NoNextHeader}), DropReason::kIpv6Extension);
  EXPECT_EQ(DropOf({.destination = kAllNodesV6, .protocol = kIpProtocolUdp}),
            DropReason::kIpDestination);
}

TEST(ParseIpv6, IcmpGetsThroughWithARightChecksum) {
  FrameSpecV6 spec{.protocol = kIpProtocolIcmpV6, .payload = Counting(20)};
  const Parsed parsed = ParseV6(BuildV6(spec));
  ASSERT_EQ(parsed.kind, FrameKind::kIcmpV6);
  EXPECT_EQ(parsed.transport_length, 20u);
  Bytes wrong = BuildV6(spec);
  wrong.back() ^= std::byte{1};
  EXPECT_EQ(ParseV6(wrong, ChecksumState::kGood).drop, DropReason::kIcmpMalformed);
  spec.payload = Counting(7);
  EXPECT_EQ(DropOf(spec), DropReason::kIcmpMalformed);
}

TEST(ParseIpv6, IcmpToOurGroupsGetsThrough) {
  FrameSpecV6 spec{.destination_mac = GroupMacV6(SolicitedNode(kOurV6)),
                   .source = IpAddress(),
                   .destination = SolicitedNode(kOurV6),
                   .protocol = kIpProtocolIcmpV6,
                   .payload = Counting(24)};
  const Parsed parsed = ParseV6(BuildV6(spec));
  EXPECT_EQ(parsed.kind, FrameKind::kIcmpV6);
  EXPECT_TRUE(parsed.link_group);
  spec.destination = SolicitedNode(Address("2001:db8::77"));
  EXPECT_EQ(DropOf(spec), DropReason::kIpDestination);
}

}  // namespace
}  // namespace millrace::wire
