#include "millrace/wire/ipv6.h"

#include <gtest/gtest.h>

#include "unit/wire/ipv6_builder.h"

namespace millrace::wire {
namespace {

using testing::Bytes;

IpAddress Address(const char* text) { return *IpAddress::Parse(text); }

TEST(Ipv6, AddressesGoOutAndComeBackInNetworkOrder) {
  Bytes octets(16);
  StoreIpv6(octets.data(), Address("2001:db8:1:2:3:4:5:6"));
  EXPECT_EQ(octets, testing::ToBytes({0x20, 0x01, 0x0D, 0xB8, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6}));
  EXPECT_EQ(LoadIpv6(octets.data()), Address("2001:db8:1:2:3:4:5:6"));
}

TEST(Ipv6, KindsOfAddressAreToldApart) {
  EXPECT_TRUE(IsMulticastV6(Address("ff02::1")));
  EXPECT_FALSE(IsMulticastV6(Address("fe80::1")));
  EXPECT_TRUE(IsLinkLocalV6(Address("fe80::1")));
  EXPECT_TRUE(IsLinkLocalV6(Address("febf:ffff::1")));
  EXPECT_FALSE(IsLinkLocalV6(Address("fec0::1")));
  EXPECT_TRUE(IsLoopbackV6(Address("::1")));
  EXPECT_FALSE(IsLoopbackV6(Address("::2")));
  EXPECT_TRUE(IsUnspecifiedV6(Address("::")));
}

// RFC 4291 2.7.1's own example; RFC 2464 7 for the MAC address.
TEST(Ipv6, SolicitedNodeGroupHasTheLow24Bits) {
  EXPECT_EQ(SolicitedNode(Address("4037::01:800:200e:8c6c")), Address("ff02::1:ff0e:8c6c"));
  EXPECT_EQ(GroupMacV6(Address("ff02::1:ff0e:8c6c")), *MacAddress::Parse("33:33:ff:0e:8c:6c"));
}

// RFC 4291 appendix A's example: 34-56-78-9A-BC-DE gives 36-56-78-FF-FE-9A-BC-DE.
TEST(Ipv6, LinkLocalAddressComesFromTheMacAddress) {
  EXPECT_EQ(LinkLocalOf(*MacAddress::Parse("34:56:78:9a:bc:de")),
            Address("fe80::3656:78ff:fe9a:bcde"));
}

TEST(Ipv6, HeaderHasEveryFieldInItsPlace) {
  Bytes header(kIpv6HeaderBytes);
  EmitIpv6(header.data(), {.payload_length = 0x1234,
                           .next_header = 6,
                           .hop_limit = 64,
                           .traffic_class = 0xA2,
                           .source = testing::kOurV6,
                           .destination = testing::kPeerV6});
  EXPECT_EQ(Bytes(header.begin(), header.begin() + 8),
            testing::ToBytes({0x6A, 0x20, 0, 0, 0x12, 0x34, 6, 64}));
  EXPECT_EQ(LoadIpv6(&header[kIpv6SourceAt]), testing::kOurV6);
  EXPECT_EQ(LoadIpv6(&header[kIpv6DestinationAt]), testing::kPeerV6);
}

// PAR-02: the value was computed by a program of its own, octet by octet from RFC 8200 8.1.
TEST(Ipv6, TcpChecksumCoversThePseudoHeader) {
  Bytes segment(kTcpHeaderBytes);
  EmitTcp(segment.data(), {.source_port = 1000,
                           .destination_port = 2000,
                           .seq = SeqNum(0x11223344),
                           .ack = SeqNum(0x55667788),
                           .flags = kAck | kPsh,
                           .window = 4096});
  for (const char c : {'a', 'b', 'c'}) segment.push_back(static_cast<std::byte>(c));
  const auto length = static_cast<uint32_t>(segment.size());
  const uint16_t sum = ChecksumV6(testing::kOurV6, testing::kPeerV6, 6, segment.data(), length);
  EXPECT_EQ(sum, 0x62E5);
  StoreBe16(&segment[kTcpChecksumAt], sum);
  EXPECT_EQ(ChecksumV6(testing::kOurV6, testing::kPeerV6, 6, segment.data(), length), 0);
  EXPECT_NE(ChecksumV6(testing::kOurV6, Address("2001:db8::3"), 6, segment.data(), length), 0);
}

TEST(LocalNetV6, OwnsAnAddressOnlyWhenItIsReady) {
  LocalNetV6 net{.address = testing::kOurV6, .link_local = testing::kOurLinkLocal};
  EXPECT_FALSE(net.Owns(testing::kOurV6));
  EXPECT_TRUE(net.Names(testing::kOurV6));
  EXPECT_TRUE(net.IsMember(SolicitedNode(testing::kOurV6)));
  net.address_ready = true;
  EXPECT_TRUE(net.Owns(testing::kOurV6));
  EXPECT_FALSE(net.Owns(testing::kOurLinkLocal));
  EXPECT_FALSE(net.Names(IpAddress()));
  EXPECT_FALSE(net.IsMember(SolicitedNode(testing::kPeerV6)));
  EXPECT_FALSE(LocalNetV6().IsMember(kAllNodesV6));
}

TEST(LocalNetV6, OwnsAPrefix) {
  LocalNetV6 net{.address = Address("2001:db8::1:5:7"),
                 .link_local = testing::kOurLinkLocal,
                 .address_ready = true,
                 .owned_low = LeadingBits(104 - 64)};
  EXPECT_TRUE(net.Owns(Address("2001:db8::1:0:0")));
  EXPECT_TRUE(net.Owns(Address("2001:db8::1:ff:ffff")));
  EXPECT_TRUE(net.Names(Address("2001:db8::1:ff:ffff")));
  EXPECT_FALSE(net.Owns(Address("2001:db8::1:100:0")));
  EXPECT_FALSE(net.Owns(Address("2001:db9::1:0:0")));
  EXPECT_TRUE(net.IsMember(Address("ff02::1:ff12:3456"))) << "all groups of 24 bits";
  net.owned_low = LeadingBits(120 - 64);
  EXPECT_TRUE(net.IsMember(Address("ff02::1:ff05:56")));
  EXPECT_FALSE(net.IsMember(Address("ff02::1:ff05:156")));
  EXPECT_FALSE(net.IsMember(Address("ff02::2:ff05:56")));
  net.address_ready = false;
  EXPECT_FALSE(net.Owns(Address("2001:db8::1:5:7")));
}

}  // namespace
}  // namespace millrace::wire
