// Frames that get through: every value comes out as it went in.
#include "millrace/wire/frame.h"

#include <gtest/gtest.h>

#include "unit/wire/frame_builder.h"

namespace millrace::wire {
namespace {

using testing::Build;
using testing::Bytes;
using testing::Counting;
using testing::FixChecksums;
using testing::FrameSpec;
using testing::kIpAt;
using testing::kNet;
using testing::kOurIp;
using testing::kPeerIp;
using testing::kTcpAt;
using testing::Parse;
using testing::Parsed;
using testing::ToBytes;

TEST(ParseFrame, ReadsEveryFieldOfATcpSegment) {
  const Parsed parsed = Parse(Build({.payload = Counting(5)}));
  ASSERT_EQ(parsed.kind, FrameKind::kTcp);
  EXPECT_EQ(parsed.drop, DropReason::kNone);
  EXPECT_FALSE(parsed.link_group);
  EXPECT_EQ(parsed.source_v4, kPeerIp);
  EXPECT_EQ(parsed.destination_v4, kOurIp);
  EXPECT_EQ(parsed.ip_protocol, kIpProtocolTcp);
  EXPECT_EQ(parsed.ttl, 64);
  EXPECT_EQ(parsed.source_port, 4000);
  EXPECT_EQ(parsed.destination_port, 80);
  EXPECT_EQ(parsed.network_header, parsed.data.get() + kIpAt);
  EXPECT_EQ(parsed.tcp.seq, SeqNum(0x01020304));
  EXPECT_EQ(parsed.tcp.ack, SeqNum(0x0A0B0C0D));
  EXPECT_EQ(parsed.tcp.flags, kAck | kPsh);
  EXPECT_EQ(parsed.tcp.window, 0x1234);
  EXPECT_EQ(parsed.tcp.options, kTimestampsOption);
  EXPECT_EQ(parsed.tcp.tsval, 0x11223344u);
  EXPECT_EQ(parsed.tcp.tsecr, 0x55667788u);
  EXPECT_EQ(parsed.Payload(), Counting(5));
  EXPECT_EQ(parsed.tcp.handle, PacketHandle{77});  // the caller's
}

// PAR-02, PAR-03: what we emit passes our own verification, whatever the port says or not.
TEST(ParseFrame, EverySetOfOptionsAndEveryPayloadLengthComesBack) {
  for (unsigned present = 0; present < 16; ++present) {
    for (const size_t length : {0u, 1u, 2u, 3u, 5u, 7u, 8u, 13u, 64u, 535u, 1400u, 1401u}) {
      FrameSpec spec{.payload = Counting(length)};
      spec.tcp.options = {.present = static_cast<OptionBits>(present),
                          .mss = 1234,
                          .window_scale = 3,
                          .tsval = 5,
                          .tsecr = 6};
      const Bytes frame = Build(spec);
      for (const ChecksumState state : {ChecksumState::kUnknown, ChecksumState::kGood}) {
        const Parsed parsed = Parse(frame, state, state);
        ASSERT_EQ(parsed.drop, DropReason::kNone) << present << " " << length;
        ASSERT_EQ(parsed.tcp.options, present);
        ASSERT_EQ(parsed.Payload(), spec.payload);
      }
    }
  }
}

TEST(ParseFrame, EveryFlagComesThrough) {
  for (unsigned flags = 1; flags < 256; ++flags) {
    FrameSpec spec;
    spec.tcp.flags = static_cast<Flags>(flags);
    const Parsed parsed = Parse(Build(spec));
    ASSERT_EQ(parsed.kind, FrameKind::kTcp) << flags;
    ASSERT_EQ(parsed.tcp.flags, flags);
  }
}

// PAR-14: the parser reads them on any segment (MUST-5); the engine ignores them (MUST-65).
TEST(ParseFrame, OptionsOfASynAreReadOnAnySegment) {
  FrameSpec spec;
  spec.tcp.flags = kAck;
  spec.tcp.options.present = kMssOption | kWindowScaleOption | kSackPermittedOption;
  EXPECT_EQ(Parse(Build(spec)).tcp.options, spec.tcp.options.present);
}

// PAR-16: "must be ignored in received segments"
TEST(ParseFrame, ReservedBitsAreIgnored) {
  for (int reserved = 1; reserved < 16; ++reserved) {
    Bytes frame = Build({.payload = Counting(3)});
    frame[kTcpAt + kTcpDataOffsetAt] |= static_cast<std::byte>(reserved);
    FixChecksums(frame);
    const Parsed parsed = Parse(frame);
    EXPECT_EQ(parsed.kind, FrameKind::kTcp) << reserved;
    EXPECT_EQ(parsed.tcp.flags, kAck | kPsh);
    EXPECT_EQ(parsed.Payload(), Counting(3));
  }
}

// PAR-06 (CVE-2021-31401)
TEST(ParseFrame, PaddingBehindTheIpPacketIsNotPayload) {
  for (const size_t padding : {1u, 6u, 46u, 1000u}) {
    const Parsed empty = Parse(Build({.padding = padding}));
    EXPECT_EQ(empty.kind, FrameKind::kTcp);
    EXPECT_EQ(empty.tcp.payload_length, 0u) << padding;
    const Parsed some = Parse(Build({.payload = Counting(9), .padding = padding}));
    EXPECT_EQ(some.Payload(), Counting(9)) << padding;
  }
}

TEST(ParseFrame, LongestHeadersAreRead) {
  FrameSpec spec{.ip_options = Bytes(40, std::byte{1}), .payload = Counting(11)};
  spec.raw_tcp_options = Bytes(40, std::byte{1});
  const Parsed parsed = Parse(Build(spec));
  EXPECT_EQ(parsed.kind, FrameKind::kTcp);
  EXPECT_EQ(parsed.tcp.options, 0);
  EXPECT_EQ(parsed.Payload(), Counting(11));
}

TEST(ParseFrame, LargestPacketIsRead) {
  const Bytes payload = Counting(65535 - 20 - 32);
  const Parsed parsed = Parse(Build({.payload = payload}));
  EXPECT_EQ(parsed.kind, FrameKind::kTcp);
  EXPECT_EQ(parsed.Payload(), payload);
}

// MUST-50
TEST(ParseFrame, IpOptionsOtherThanSourceRoutesAreSkipped) {
  const Bytes table[] = {
      ToBytes({1, 1, 1, 1}),               // no operation
      ToBytes({0, 0, 0, 0}),               // end of list
      ToBytes({0, 131, 3, 0}),             // nothing counts behind the end
      ToBytes({7, 7, 4, 0, 0, 0, 0, 0}),   // record route
      ToBytes({148, 4, 0, 0}),             // router alert
      ToBytes({68, 8, 5, 0, 1, 2, 3, 4}),  // timestamp
      ToBytes({0x9E, 4, 1, 2}),            // unknown
  };
  for (const Bytes& options : table) {
    const Parsed parsed = Parse(Build({.ip_options = options, .payload = Counting(4)}));
    EXPECT_EQ(parsed.kind, FrameKind::kTcp) << LoadU8(options.data());
    EXPECT_EQ(parsed.Payload(), Counting(4));
  }
}

TEST(ParseFrame, TimestampsInAnotherPlaceAreReadToo) {
  FrameSpec spec;
  spec.raw_tcp_options = ToBytes({8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0});
  const Parsed parsed = Parse(Build(spec));
  EXPECT_EQ(parsed.tcp.options, kTimestampsOption);
  EXPECT_EQ(parsed.tcp.tsval, 1u);
  EXPECT_EQ(parsed.tcp.tsecr, 2u);
}

// Beginning like the usual 12 octets does not make an option list the usual one.
TEST(ParseFrame, UsualStartOfALongerListIsReadToItsEnd) {
  FrameSpec spec;
  spec.raw_tcp_options = ToBytes({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 2, 4, 5, 0});
  const Parsed parsed = Parse(Build(spec));
  EXPECT_EQ(parsed.tcp.options, kTimestampsOption | kMssOption);
  EXPECT_EQ(parsed.tcp.mss, 0x0500);
}

TEST(ParseFrame, DontFragmentAndTheEvilBitAreNoFragments) {
  for (const int bits : {0x00, 0x40, 0x80, 0xC0}) {
    Bytes frame = Build({});
    frame[kIpAt + kIpv4FragmentAt] = static_cast<std::byte>(bits);
    FixChecksums(frame);
    EXPECT_EQ(Parse(frame).kind, FrameKind::kTcp) << bits;
  }
}

TEST(ParseFrame, APortMayOwnAWholePrefix) {
  LocalNet net = kNet;
  net.address_v4 = 0x0A010000;
  net.owned_mask = 0xFFFF0000;
  net.network_mask = 0xFF000000;
  const auto parse_to = [&](uint32_t destination) {
    return Parse(Build({.source = 0x0A020001, .destination = destination}), ChecksumState::kUnknown,
                 ChecksumState::kUnknown, net)
        .drop;
  };
  EXPECT_EQ(parse_to(0x0A010000), DropReason::kNone);
  EXPECT_EQ(parse_to(0x0A01FFFF), DropReason::kNone);
  EXPECT_EQ(parse_to(0x0A020000), DropReason::kIpDestination);
  net.network_mask = 0xFFFF0000;  // now 10.1.255.255 is the network's broadcast address
  EXPECT_EQ(parse_to(0x0A01FFFF), DropReason::kIpDestination);
}

// RFC 3021: a /31 has two hosts and no broadcast address.
TEST(ParseFrame, PointToPointNetworksHaveNoBroadcastAddress) {
  LocalNet net = kNet;
  net.network_mask = 0xFFFFFFFE;
  net.address_v4 = 0x0A000003;
  const auto drop = [&](uint32_t source) {
    return Parse(Build({.source = source, .destination = 0x0A000003}), ChecksumState::kUnknown,
                 ChecksumState::kUnknown, net)
        .drop;
  };
  EXPECT_EQ(drop(0x0A000002), DropReason::kNone);
  net.network_mask = 0xFFFFFFFF;
  EXPECT_EQ(drop(0x0A000002), DropReason::kNone);
}

Bytes ArpFrame(const MacAddress& destination) {
  Bytes frame = ToBytes({0, 0, 0, 0, 0, 0, 2,  0, 0, 0, 0, 2, 8, 6,               //
                         0, 1, 8, 0, 6, 4, 0,  1, 2, 0, 0, 0, 0, 2, 10, 0, 0, 2,  //
                         0, 0, 0, 0, 0, 0, 10, 0, 0, 1});
  StoreMac(frame.data(), destination);
  return frame;
}

TEST(ParseFrame, ArpGetsThroughAsUnicastAndBroadcast) {
  const Parsed unicast = Parse(ArpFrame(testing::kOurMac));
  EXPECT_EQ(unicast.kind, FrameKind::kArp);
  EXPECT_FALSE(unicast.link_group);
  EXPECT_EQ(unicast.network_header, unicast.data.get() + kIpAt);
  const Parsed broadcast = Parse(ArpFrame(MacAddress::Broadcast()));
  EXPECT_EQ(broadcast.kind, FrameKind::kArp);
  EXPECT_TRUE(broadcast.link_group);
}

TEST(ParseFrame, IcmpHasItsHeadersAndTheLengthWithoutPadding) {
  Bytes echo = ToBytes({8, 0, 0, 0, 1, 2, 3, 4, 5});
  StoreBe16(&echo[2], IcmpChecksum(echo.data(), echo.size()));
  const Parsed parsed = Parse(Build({.protocol = kIpProtocolIcmp, .payload = echo, .padding = 17}));
  ASSERT_EQ(parsed.kind, FrameKind::kIcmp);
  EXPECT_EQ(parsed.source_v4, kPeerIp);
  EXPECT_EQ(parsed.transport_header, parsed.data.get() + kTcpAt);
  EXPECT_EQ(parsed.transport_length, 9u);
}

TEST(ParseFrame, UdpAndOtherProtocolsAreNamedAndNotRead) {
  const Parsed udp = Parse(Build({.protocol = kIpProtocolUdp, .payload = Counting(12)}));
  EXPECT_EQ(udp.kind, FrameKind::kUdp);
  EXPECT_EQ(udp.transport_length, 12u);
  const Parsed empty = Parse(Build({.protocol = kIpProtocolUdp}));
  EXPECT_EQ(empty.kind, FrameKind::kUdp);
  EXPECT_EQ(empty.transport_length, 0u);
  const Parsed other = Parse(Build({.protocol = 132, .payload = Counting(1)}));
  EXPECT_EQ(other.kind, FrameKind::kOtherIpProtocol);
  EXPECT_EQ(other.ip_protocol, 132);
  EXPECT_EQ(other.network_header, other.data.get() + kIpAt);
}

}  // namespace
}  // namespace millrace::wire
