// Frames that do not get through: each for its reason.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "millrace/base/prng.h"
#include "millrace/wire/frame.h"
#include "unit/wire/frame_builder.h"

namespace millrace::wire {
namespace {

using testing::Build;
using testing::Bytes;
using testing::Counting;
using testing::FixChecksums;
using testing::FrameSpec;
using testing::kIpAt;
using testing::kOurIp;
using testing::kPeerIp;
using testing::kTcpAt;
using testing::Parse;
using testing::ToBytes;

// The frame with one octet replaced and all checksums right.
Bytes Bent(const FrameSpec& spec, size_t at, int value) {
  Bytes frame = Build(spec);
  frame[at] = static_cast<std::byte>(value);
  FixChecksums(frame);
  return frame;
}

DropReason DropOf(const Bytes& frame) {
  const testing::Parsed parsed = Parse(frame);
  EXPECT_EQ(parsed.kind == FrameKind::kDrop, parsed.drop != DropReason::kNone);
  return parsed.drop;
}

DropReason DropFrom(uint32_t source) { return DropOf(Build({.source = source})); }
DropReason DropTo(uint32_t destination) { return DropOf(Build({.destination = destination})); }

TEST(ParseFrameDrop, RuntsOfEveryLength) {
  const Bytes frame = Build({});
  for (ptrdiff_t length = 0; length < 14; ++length) {
    EXPECT_EQ(DropOf(Bytes(frame.begin(), frame.begin() + length)), DropReason::kRunt) << length;
  }
}

// PAR-06: a frame cut anywhere behind the Ethernet header is shorter than its total length.
TEST(ParseFrameDrop, FramesCutAnywhere) {
  const Bytes frame = Build({.payload = Counting(10)});
  for (size_t length = 14; length < frame.size(); ++length) {
    const Bytes cut(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(length));
    EXPECT_EQ(DropOf(cut), DropReason::kIpHeader) << length;
  }
}

TEST(ParseFrameDrop, FramesForAnotherStation) {
  EXPECT_EQ(DropOf(Build({.destination_mac = {{2, 0, 0, 0, 0, 9}}})), DropReason::kNotForUs);
  EXPECT_EQ(DropOf(Build({.destination_mac = {{4, 0, 0, 0, 0, 1}}})), DropReason::kNotForUs);
}

TEST(ParseFrameDrop, UnknownEtherTypes) {
  for (const uint16_t type : {kEtherTypeIpv6, kEtherTypeVlan, uint16_t{0x0027}, uint16_t{0xFFFF}}) {
    EXPECT_EQ(DropOf(Build({.ether_type = type})), DropReason::kUnknownEtherType) << type;
  }
}

TEST(ParseFrameDrop, ArpThatIsShortOrForSomethingElse) {
  EXPECT_EQ(DropOf(Build({.ether_type = kEtherTypeArp})), DropReason::kArpMalformed);
  Bytes runt = Build({.ether_type = kEtherTypeArp});
  runt.resize(14 + 27);
  EXPECT_EQ(DropOf(runt), DropReason::kArpMalformed);
}

// PAR-15
TEST(ParseFrameDrop, EveryOtherVersionAndTooShortHeaders) {
  for (int version_ihl = 0; version_ihl < 256; ++version_ihl) {
    if (version_ihl >> 4 == 4 && (version_ihl & 0xF) >= 5) continue;
    Bytes frame = Build({});
    frame[kIpAt] = static_cast<std::byte>(version_ihl);
    EXPECT_EQ(DropOf(frame), DropReason::kIpHeader) << version_ihl;
  }
}

// PAR-06
TEST(ParseFrameDrop, TotalLengthBelowTheHeaderOrBeyondTheFrame) {
  const Bytes frame = Build({.payload = Counting(10)});
  const auto packet_length = static_cast<uint16_t>(frame.size() - 14);
  for (const unsigned total : {0u, 1u, 19u, packet_length + 1u, 65535u}) {
    Bytes bent = frame;
    StoreBe16(&bent[kIpAt + kIpv4TotalLengthAt], static_cast<uint16_t>(total));
    EXPECT_EQ(DropOf(bent), DropReason::kIpHeader) << total;
  }
  Bytes longer_header = Build({.ip_options = Bytes(40, std::byte{1})});
  StoreBe16(&longer_header[kIpAt + kIpv4TotalLengthAt], 59);
  EXPECT_EQ(DropOf(longer_header), DropReason::kIpHeader);
}

// PAR-06: a total length that cuts the segment short is believed, and TCP falls.
TEST(ParseFrameDrop, TotalLengthThatLeavesNoRoomForTcp) {
  for (uint16_t total = 20; total < 20 + 32; ++total) {
    Bytes frame = Build({.payload = Counting(10)});
    StoreBe16(&frame[kIpAt + kIpv4TotalLengthAt], total);
    FixChecksums(frame);
    EXPECT_EQ(DropOf(frame), DropReason::kTcpHeader) << total;
  }
}

TEST(ParseFrameDrop, IpChecksumWrongInAnyOctet) {
  for (size_t at = 0; at < 20; ++at) {
    Bytes frame = Build({.padding = 600});
    frame[kIpAt + at] ^= std::byte{0x01};
    const DropReason drop = DropOf(frame);
    const bool length_first = drop == DropReason::kIpHeader;  // version, header or total length
    EXPECT_TRUE(drop == DropReason::kIpChecksum || (length_first && at < 4)) << at;
  }
}

// PAR-01, PAR-03
TEST(ParseFrameDrop, TcpChecksumWrongInAnyOctet) {
  const Bytes frame = Build({.payload = Counting(9)});
  for (size_t at = kTcpAt; at < frame.size(); ++at) {
    Bytes bent = frame;
    bent[at] ^= std::byte{0x01};
    EXPECT_EQ(DropOf(bent), DropReason::kTcpChecksum) << at;
  }
}

// PAR-01, PAR-03
TEST(ParseFrameDrop, ThePortsWordOnChecksumsCounts) {
  const Bytes good = Build({});
  EXPECT_EQ(Parse(good, ChecksumState::kBad).drop, DropReason::kIpChecksum);
  EXPECT_EQ(Parse(good, ChecksumState::kGood, ChecksumState::kBad).drop, DropReason::kTcpChecksum);
  Bytes bad = good;
  bad[kTcpAt + kTcpChecksumAt] ^= std::byte{1};
  EXPECT_EQ(Parse(bad, ChecksumState::kGood, ChecksumState::kUnknown).drop,
            DropReason::kTcpChecksum);
  EXPECT_EQ(Parse(bad, ChecksumState::kGood, ChecksumState::kGood).drop, DropReason::kNone);
}

// IPL-05
TEST(ParseFrameDrop, SourceRoutes) {
  for (const int type : {131, 137}) {
    EXPECT_EQ(DropOf(Build({.ip_options = ToBytes({type, 7, 4, 10, 0, 0, 9, 0})})),
              DropReason::kIpOptions);
    EXPECT_EQ(DropOf(Build({.ip_options = ToBytes({1, 7, 3, 4, type, 3, 4, 0})})),
              DropReason::kIpOptions);
    EXPECT_EQ(DropOf(Build({.ip_options = ToBytes({1, 1, 1, type})})), DropReason::kIpOptions);
  }
}

TEST(ParseFrameDrop, IpOptionsWithAnImpossibleLength) {
  for (const Bytes& options : {ToBytes({7, 0, 0, 0}), ToBytes({7, 1, 0, 0}), ToBytes({7, 5, 0, 0}),
                               ToBytes({1, 1, 1, 7}), ToBytes({7, 3, 0, 7, 255, 0, 0, 0})}) {
    EXPECT_EQ(DropOf(Build({.ip_options = options})), DropReason::kIpOptions);
  }
}

// IPL-01
TEST(ParseFrameDrop, FragmentsOfEveryKind) {
  for (const int bits : {0x2000, 0x0001, 0x1FFF, 0x3FFF, 0x6000, 0x4001}) {
    Bytes frame = Build({});
    StoreBe16(&frame[kIpAt + kIpv4FragmentAt], static_cast<uint16_t>(bits));
    FixChecksums(frame);
    EXPECT_EQ(DropOf(frame), DropReason::kIpFragment) << bits;
  }
}

// OPN-11 (MUST-63)
TEST(ParseFrameDrop, SourcesThatNoOtherHostHas) {
  for (const uint32_t source : {0x00000000u, 0x00FFFFFFu, 0x7F000001u, 0x7FFFFFFFu, 0xE0000001u,
                                0xEFFFFFFFu, 0xF0000001u, 0xFFFFFFFFu, 0x0A0000FFu, kOurIp}) {
    EXPECT_EQ(DropOf(Build({.source = source})), DropReason::kIpSource) << std::hex << source;
  }
  for (const uint32_t source : {0x01000000u, 0x7EFFFFFFu, 0x80000000u, 0xDFFFFFFFu, 0x0A0001FFu}) {
    EXPECT_EQ(DropFrom(source), DropReason::kNone) << std::hex << source;
  }
}

// OPN-12 (MUST-57)
TEST(ParseFrameDrop, DestinationsThatAreAGroupOrNotOurs) {
  for (const uint32_t destination :
       {0xFFFFFFFFu, 0x0A0000FFu, 0xE0000001u, 0xEFFFFFFFu, 0x0A000003u, 0x7F000001u, 0u}) {
    EXPECT_EQ(DropTo(destination), DropReason::kIpDestination) << std::hex << destination;
  }
}

// OPN-12 (MUST-57): our address in a frame to a group is no better.
TEST(ParseFrameDrop, IpPacketsInFramesToAGroup) {
  for (const MacAddress& mac : {MacAddress::Broadcast(), MacAddress{{1, 0, 0x5E, 0, 0, 1}}}) {
    for (const uint8_t protocol : {kIpProtocolTcp, kIpProtocolUdp, kIpProtocolIcmp}) {
      EXPECT_EQ(DropOf(Build({.destination_mac = mac, .protocol = protocol})),
                DropReason::kIpDestination);
    }
  }
}

// IPL-04
TEST(ParseFrameDrop, LandIsToldFromOtherPacketsFromOurOwnAddress) {
  FrameSpec spec{.source = kOurIp};
  spec.tcp.source_port = spec.tcp.destination_port;
  EXPECT_EQ(DropOf(Build(spec)), DropReason::kLand);
  spec.tcp.source_port = 81;
  EXPECT_EQ(DropOf(Build(spec)), DropReason::kIpSource);
  EXPECT_EQ(DropOf(Build({.source = kOurIp, .protocol = kIpProtocolUdp, .payload = Counting(40)})),
            DropReason::kIpSource);
  Bytes no_ports = Build({.source = kOurIp});
  StoreBe16(&no_ports[kIpAt + kIpv4TotalLengthAt], 22);
  FixChecksums(no_ports);
  EXPECT_EQ(DropOf(no_ports), DropReason::kIpSource);
}

// PAR-04, PAR-05
TEST(ParseFrameDrop, DataOffsetBelowFiveOrBeyondTheSegment) {
  for (int offset = 0; offset < 16; ++offset) {
    const Bytes frame = Bent({}, kTcpAt + kTcpDataOffsetAt, offset << 4);
    if (offset < 5 || offset > 8) {
      EXPECT_EQ(DropOf(frame), DropReason::kTcpHeader) << offset;
    } else {
      EXPECT_NE(DropOf(frame), DropReason::kTcpHeader) << offset;
    }
  }
}

TEST(ParseFrameDrop, SegmentsWithoutAnyFlag) {
  FrameSpec spec;
  spec.tcp.flags = 0;
  EXPECT_EQ(DropOf(Build(spec)), DropReason::kTcpFlags);
}

// PAR-07, PAR-08
TEST(ParseFrameDrop, TcpOptionsWithAnImpossibleLength) {
  for (const Bytes& options :
       {ToBytes({2, 0, 5, 5}), ToBytes({2, 1, 5, 5}), ToBytes({254, 0, 0, 0}),
        ToBytes({1, 1, 1, 3}), ToBytes({8, 10, 0, 0}),
        ToBytes({1, 1, 8, 11, 0, 0, 0, 0, 0, 0, 0, 0})}) {
    FrameSpec spec{.payload = Counting(20)};
    spec.raw_tcp_options = options;
    EXPECT_EQ(DropOf(Build(spec)), DropReason::kTcpOptions);
  }
}

TEST(ParseFrameDrop, IcmpThatIsShortOrHasAWrongChecksum) {
  Bytes echo = ToBytes({8, 0, 0, 0, 1, 2, 3, 4});
  StoreBe16(&echo[2], IcmpChecksum(echo.data(), echo.size()));
  FrameSpec spec{.protocol = kIpProtocolIcmp, .payload = echo};
  EXPECT_EQ(DropOf(Build(spec)), DropReason::kNone);
  spec.payload[7] ^= std::byte{1};
  EXPECT_EQ(DropOf(Build(spec)), DropReason::kIcmpMalformed);
  // A port's word on "layer 4" does not cover ICMP.
  EXPECT_EQ(Parse(Build(spec), ChecksumState::kGood, ChecksumState::kGood).drop,
            DropReason::kIcmpMalformed);
  spec.payload = ToBytes({0xFF, 0xFF});  // too short, but its sum is right
  EXPECT_EQ(DropOf(Build(spec)), DropReason::kIcmpMalformed);
}

TEST(ParseFrameDrop, EveryReasonHasANameOfItsOwn) {
  std::set<std::string> names;
  for (int reason = 0; reason < static_cast<int>(DropReason::kCount); ++reason) {
    names.insert(ToString(static_cast<DropReason>(reason)));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(DropReason::kCount));
  EXPECT_FALSE(names.contains("unknown"));
}

// Any single octet of a good frame replaced by anything: nothing is read outside the frame.
TEST(ParseFrameDrop, BentFramesStayInsideTheirBounds) {
  Prng prng(1);
  FrameSpec spec{.payload = Counting(6)};
  spec.raw_tcp_options = ToBytes({2, 4, 5, 0xB4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7});
  const Bytes good = Build(spec);
  for (int round = 0; round < 100'000; ++round) {
    Bytes frame = good;
    for (uint64_t n = prng.Below(4) + 1; n > 0; --n) {
      frame[prng.Below(frame.size())] = static_cast<std::byte>(prng.Next());
    }
    frame.erase(frame.end() - static_cast<std::ptrdiff_t>(prng.Below(8)), frame.end());
    const auto parsed = Parse(frame, ChecksumState::kGood, ChecksumState::kGood);
    if (parsed.kind != FrameKind::kTcp) continue;
    ASSERT_GE(parsed.tcp.payload, parsed.data.get());
    ASSERT_LE(parsed.tcp.payload + parsed.tcp.payload_length, parsed.data.get() + frame.size());
  }
}

}  // namespace
}  // namespace millrace::wire
