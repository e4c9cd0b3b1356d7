#include "millrace/wire/ndp.h"

#include <gtest/gtest.h>

#include "unit/wire/ipv6_builder.h"

namespace millrace::wire {
namespace {

using testing::Bytes;
using testing::kOurV6;
using testing::kPeerMac;
using testing::kPeerV6;
using testing::ToBytes;

const NdpContext kSolicitationContext{kPeerV6, SolicitedNode(kOurV6), 255};
const NdpContext kAdvertisementContext{kPeerV6, kOurV6, 255};
const NdpContext kRouterContext{*IpAddress::Parse("fe80::1"), kAllNodesV6, 255};

Bytes Emit(const NeighborMessage& message, const NdpContext& context) {
  Bytes at(kNeighborMessageBytesMax);
  at.resize(EmitNeighborMessage(at.data(), message, context.source, context.destination));
  return at;
}

std::optional<NeighborMessage> Parse(const Bytes& message, const NdpContext& context) {
  return ParseNeighborMessage(message.data(), message.size(), context);
}

Bytes Solicitation() { return Emit({.target = kOurV6, .mac = kPeerMac}, kSolicitationContext); }

TEST(Ndp, SolicitationComesBack) {
  const Bytes at = Solicitation();
  ASSERT_EQ(at.size(), 32u);
  EXPECT_EQ(LoadU8(&at[0]), kNdpNeighborSolicitation);
  EXPECT_EQ(ChecksumV6(kPeerV6, SolicitedNode(kOurV6), kIpProtocolIcmpV6, at.data(), 32), 0);
  const auto message = Parse(at, kSolicitationContext);
  ASSERT_TRUE(message.has_value());
  EXPECT_FALSE(message->advertisement);
  EXPECT_EQ(message->target, kOurV6);
  EXPECT_EQ(message->mac, kPeerMac);
}

TEST(Ndp, AdvertisementComesBackWithItsFlags) {
  for (int flags = 0; flags < 8; ++flags) {
    const NeighborMessage sent{.advertisement = true,
                               .router = (flags & 4) != 0,
                               .solicited = (flags & 2) != 0,
                               .override_flag = (flags & 1) != 0,
                               .target = kPeerV6,
                               .mac = kPeerMac};
    const auto message = Parse(Emit(sent, kAdvertisementContext), kAdvertisementContext);
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->router, sent.router);
    EXPECT_EQ(message->solicited, sent.solicited);
    EXPECT_EQ(message->override_flag, sent.override_flag);
    EXPECT_EQ(message->mac, kPeerMac);
  }
}

// IPL-09, RFC 4861 7.1.1, 7.1.2.
TEST(Ndp, HopLimitBelow255IsDiscarded) {
  NdpContext context = kSolicitationContext;
  context.hop_limit = 254;
  EXPECT_FALSE(Parse(Solicitation(), context));
}

TEST(Ndp, InvalidMessagesAreDiscarded) {
  const Bytes good = Solicitation();
  EXPECT_TRUE(Parse(good, kSolicitationContext));
  EXPECT_FALSE(Parse(Bytes(good.begin(), good.begin() + 23), kSolicitationContext));
  Bytes code = good;
  code[1] = std::byte{1};
  EXPECT_FALSE(Parse(code, kSolicitationContext));
  EXPECT_FALSE(Parse(Emit({.target = kAllNodesV6}, kSolicitationContext), kSolicitationContext));
  // A solicited advertisement to a group.
  const NdpContext group{kPeerV6, kAllNodesV6, 255};
  EXPECT_FALSE(
      Parse(Emit({.advertisement = true, .solicited = true, .target = kPeerV6}, group), group));
}

TEST(Ndp, OptionsOfLengthZeroOrPastTheEndDiscardTheMessage) {
  for (const int units : {0, 2, 255}) {
    Bytes message = Solicitation();
    message[25] = static_cast<std::byte>(units);
    EXPECT_FALSE(Parse(message, kSolicitationContext)) << units;
  }
  Bytes odd = Solicitation();
  odd.push_back(std::byte{1});
  EXPECT_FALSE(Parse(odd, kSolicitationContext));
}

TEST(Ndp, UnknownOptionsArePassedAndGroupAddressesAreNone) {
  Bytes message = Emit({.target = kOurV6}, kSolicitationContext);
  for (const int octet : {14, 1, 1, 2, 3, 4, 5, 6}) {  // a nonce (RFC 3971)
    message.push_back(static_cast<std::byte>(octet));
  }
  const auto nonce = Parse(message, kSolicitationContext);
  ASSERT_TRUE(nonce.has_value());
  EXPECT_FALSE(nonce->mac.has_value());
  Bytes group = Solicitation();
  group[26] = std::byte{0x33};
  EXPECT_FALSE(Parse(group, kSolicitationContext)->mac.has_value());
}

// Duplicate address detection asks from ::, to the group alone and without an address.
TEST(Ndp, SolicitationFromNobodyIsDuplicateAddressDetection) {
  const NdpContext context{IpAddress(), SolicitedNode(kOurV6), 255};
  EXPECT_TRUE(Parse(Emit({.target = kOurV6}, context), context));
  EXPECT_FALSE(Parse(Emit({.target = kOurV6, .mac = kPeerMac}, context), context));
  const NdpContext unicast{IpAddress(), kOurV6, 255};
  EXPECT_FALSE(Parse(Emit({.target = kOurV6}, unicast), unicast));
}

Bytes RouterAdvertisementBytes() {
  Bytes message = ToBytes({134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0});
  const Bytes mac = ToBytes({1, 1, 2, 0, 0, 0, 0, 2});
  const Bytes mtu = ToBytes({5, 1, 0, 0, 0, 0, 0x05, 0x78});
  Bytes information = ToBytes({3, 4, 64, 0xC0, 0, 0, 0x0E, 0x10, 0, 0, 0, 0, 0, 0, 0, 0});
  information.resize(32);
  StoreIpv6(&information[16], *IpAddress::Parse("2001:db8:5::"));
  const Bytes prefix = information;
  for (const Bytes* part : {&mac, &mtu, &prefix}) {
    message.insert(message.end(), part->begin(), part->end());
  }
  return message;
}

std::optional<RouterAdvertisement> ParseRouter(const Bytes& message, const NdpContext& context) {
  return ParseRouterAdvertisement(message.data(), message.size(), context);
}

TEST(Ndp, RouterAdvertisementIsRead) {
  const auto out = ParseRouter(RouterAdvertisementBytes(), kRouterContext);
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(out->lifetime_s, 1800);
  EXPECT_EQ(out->mtu, 1400u);
  EXPECT_EQ(out->mac, kPeerMac);
  ASSERT_EQ(out->prefix_count, 1u);
  EXPECT_EQ(out->prefixes[0].prefix.ToString(), "2001:db8:5::/64");
  EXPECT_EQ(out->prefixes[0].valid_s, 3600u);
}

// RFC 4861 6.1.2.
TEST(Ndp, RouterAdvertisementFromAfarIsDiscarded) {
  NdpContext context = kRouterContext;
  context.hop_limit = 254;
  EXPECT_FALSE(ParseRouter(RouterAdvertisementBytes(), context));
  context = kRouterContext;
  context.source = kPeerV6;
  EXPECT_FALSE(ParseRouter(RouterAdvertisementBytes(), context));
}

TEST(Ndp, PrefixesThatNameNoNetworkOnTheLinkAreLeftOut) {
  Bytes message = RouterAdvertisementBytes();
  const size_t prefix = 16 + 8 + 8;
  Bytes off_link = message;
  off_link[prefix + 3] = std::byte{0x40};
  EXPECT_EQ(ParseRouter(off_link, kRouterContext)->prefix_count, 0u);
  Bytes too_long = message;
  too_long[prefix + 2] = std::byte{129};
  EXPECT_EQ(ParseRouter(too_long, kRouterContext)->prefix_count, 0u);
  StoreIpv6(&message[prefix + 16], *IpAddress::Parse("fe80::"));
  EXPECT_EQ(ParseRouter(message, kRouterContext)->prefix_count, 0u);
}

TEST(Ndp, PrefixesAndAddressesThatCannotBeAreLeftOut) {
  const Bytes good = RouterAdvertisementBytes();
  const size_t mac = 16, mtu = mac + 8, prefix = mtu + 8;
  Bytes everything = good;
  everything[prefix + 2] = std::byte{0};
  EXPECT_EQ(ParseRouter(everything, kRouterContext)->prefix_count, 0u);
  Bytes group = good;
  StoreIpv6(&group[prefix + 16], *IpAddress::Parse("ff02::"));
  EXPECT_EQ(ParseRouter(group, kRouterContext)->prefix_count, 0u);
  Bytes short_prefix(good.begin(), good.end() - 8);
  short_prefix[prefix + 1] = std::byte{3};
  EXPECT_EQ(ParseRouter(short_prefix, kRouterContext)->prefix_count, 0u);
  Bytes nobody = good;
  StoreMac(&nobody[mac + 2], MacAddress());
  EXPECT_FALSE(ParseRouter(nobody, kRouterContext)->mac.has_value());
  // One option of twice its length, over the other: neither is what it says.
  for (const int type : {1, 5}) {
    Bytes longer = good;
    longer[mac] = static_cast<std::byte>(type);
    longer[mac + 1] = std::byte{2};
    const auto out = ParseRouter(longer, kRouterContext);
    ASSERT_TRUE(out.has_value());
    EXPECT_FALSE(out->mac.has_value());
    EXPECT_EQ(out->mtu, 0u);
  }
  Bytes solicitation = Solicitation();
  solicitation.resize(solicitation.size() + 8);
  solicitation[25] = std::byte{2};
  EXPECT_FALSE(Parse(solicitation, kSolicitationContext)->mac.has_value());
}

// RFC 4861 6.1.2: "ICMP Code is 0", "ICMP length ... is 16 or more octets", "All included options
// have a length that is greater than zero."
TEST(Ndp, InvalidRouterAdvertisementsAreDiscarded) {
  const Bytes good = RouterAdvertisementBytes();
  EXPECT_FALSE(ParseRouter(Bytes(good.begin(), good.begin() + 15), kRouterContext));
  EXPECT_TRUE(ParseRouter(Bytes(good.begin(), good.begin() + 16), kRouterContext));
  Bytes code = good;
  code[1] = std::byte{1};
  EXPECT_FALSE(ParseRouter(code, kRouterContext));
  Bytes empty_option = good;
  empty_option[17] = std::byte{0};
  EXPECT_FALSE(ParseRouter(empty_option, kRouterContext));
}

TEST(Ndp, PrefixesBeyondTheFourthAreLeftOut) {
  Bytes message = RouterAdvertisementBytes();
  const Bytes prefix(message.end() - 32, message.end());
  for (int i = 0; i < 6; ++i) message.insert(message.end(), prefix.begin(), prefix.end());
  EXPECT_EQ(ParseRouter(message, kRouterContext)->prefix_count, 4u);
}

TEST(Ndp, RouterSolicitationHasOurAddressInIt) {
  Bytes at(kRouterSolicitationBytes);
  EXPECT_EQ(EmitRouterSolicitation(at.data(), kPeerMac, kPeerV6), at.size());
  EXPECT_EQ(Bytes(at.begin() + 8, at.end()), ToBytes({1, 1, 2, 0, 0, 0, 0, 2}));
  EXPECT_EQ(ChecksumV6(kPeerV6, kAllRoutersV6, kIpProtocolIcmpV6, at.data(), 16), 0);
}

}  // namespace
}  // namespace millrace::wire
