#include "millrace/wire/mld.h"

#include <gtest/gtest.h>

#include "unit/wire/ipv6_builder.h"

namespace millrace::wire {
namespace {

using namespace testing;  // NOLINT: the builders of this folder

const IpAddress kRouter = *IpAddress::Parse("fe80::9");

Bytes Query(uint16_t code, const IpAddress& group, bool v1 = false) {
  Bytes message(v1 ? 24 : 28);
  StoreU8(message.data(), kMldQuery);
  StoreBe16(message.data() + 4, code);
  StoreIpv6(message.data() + 8, group);
  return message;
}

struct Sent {
  IpAddress source = kRouter;
  uint8_t hop_limit = 1;
  Bytes options = ToBytes({5, 2, 0, 0, 1, 0});
  bool has_options = true;
};

std::optional<MldQuery> ParseBytes(const Bytes& message, const Sent& sent = {}) {
  FrameSpecV6 spec{.source = sent.source,
                   .destination = kAllNodesV6,
                   .protocol = kIpProtocolIcmpV6,
                   .hop_limit = sent.hop_limit,
                   .payload = message};
  if (sent.has_options) spec.extensions = {{kIpv6HopByHop, sent.options}};
  spec.destination_mac = GroupMacV6(kAllNodesV6);
  const Parsed parsed = ParseV6(BuildV6(spec));
  EXPECT_EQ(parsed.kind, FrameKind::kIcmpV6);
  if (parsed.kind != FrameKind::kIcmpV6) return std::nullopt;
  return ParseMldQuery(parsed.transport_header, parsed.transport_length, parsed.network_header);
}

TEST(MldQuery, IsReadWithItsTime) {
  const auto query = ParseBytes(Query(10'000, IpAddress()));
  ASSERT_TRUE(query.has_value());
  EXPECT_EQ(query->group, IpAddress());
  EXPECT_EQ(query->max_response, Duration::Seconds(10));
  const IpAddress group = SolicitedNode(kOurV6);
  const auto old = ParseBytes(Query(40'000, group, true));
  ASSERT_TRUE(old.has_value());
  EXPECT_EQ(old->group, group);
  EXPECT_EQ(old->max_response, Duration::Seconds(40));
}

// RFC 3810 5.1.3: (mant | 0x1000) << (exp + 3) from 32768 on.
TEST(MldQuery, LongTimesHaveAnExponent) {
  EXPECT_EQ(ParseBytes(Query(0x7FFF, IpAddress()))->max_response, Duration::Milliseconds(32'767));
  EXPECT_EQ(ParseBytes(Query(0x8000, IpAddress()))->max_response, Duration::Milliseconds(32'768));
  EXPECT_EQ(ParseBytes(Query(0xFFFF, IpAddress()))->max_response,
            Duration::Milliseconds(int64_t{0x1FFF} << 10));
}

// RFC 3810 5.1.14, 6.2: who is not on the link, or no router, asks in vain.
TEST(MldQuery, OnlyOfTheLinkIsRead) {
  const Bytes query = Query(1000, IpAddress());
  EXPECT_FALSE(ParseBytes(query, {.source = kPeerV6}).has_value());
  EXPECT_FALSE(ParseBytes(query, {.hop_limit = 2}).has_value());
  EXPECT_FALSE(ParseBytes(query, {.options = ToBytes({1, 4, 0, 0, 0, 0})}).has_value());
  EXPECT_FALSE(ParseBytes(query, {.has_options = false}).has_value());
  for (const size_t length : {8u, 23u, 25u, 27u}) {
    Bytes cut = query;
    cut.resize(length);
    EXPECT_FALSE(ParseBytes(cut).has_value()) << length;
  }
}

// RFC 3810 5.2: as the standard draws it, octet by octet.
TEST(MldReport, NamesEachGroup) {
  const IpAddress groups[] = {SolicitedNode(kOurV6), SolicitedNode(kOurLinkLocal)};
  Bytes packet(MldReportBytes(2));
  ASSERT_EQ(packet.size(), 96u);
  EmitMldReport(packet.data(), GroupRecord::kChangeToExclude, kOurLinkLocal, groups);
  EXPECT_EQ(LoadU8(packet.data() + kIpv6NextHeaderAt), kIpv6HopByHop);
  EXPECT_EQ(LoadU8(packet.data() + kIpv6HopLimitAt), 1);
  EXPECT_EQ(LoadBe16(packet.data() + kIpv6PayloadLengthAt), 56);
  EXPECT_EQ(LoadIpv6(packet.data() + kIpv6SourceAt), kOurLinkLocal);
  EXPECT_EQ(LoadIpv6(packet.data() + kIpv6DestinationAt), *IpAddress::Parse("ff02::16"));
  EXPECT_EQ(Bytes(packet.begin() + 40, packet.begin() + 48), ToBytes({58, 0, 5, 2, 0, 0, 1, 0}));
  const std::byte* const icmp = packet.data() + 48;
  EXPECT_EQ(LoadU8(icmp), kMldV2Report);
  EXPECT_EQ(LoadBe16(icmp + 6), 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(LoadBe32(icmp + 8 + 20 * i), 0x0400'0000u);
    EXPECT_EQ(LoadIpv6(icmp + 12 + 20 * i), groups[i]);
  }
  EXPECT_EQ(ChecksumV6(kOurLinkLocal, kMldV2Routers, kIpProtocolIcmpV6, icmp, 48), 0);
}

}  // namespace
}  // namespace millrace::wire
