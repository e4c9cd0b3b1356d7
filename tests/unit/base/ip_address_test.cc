#include "millrace/base/ip_address.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

struct Good {
  const char* text;
  uint64_t high, low;
  const char* printed;
};

TEST(IpAddress, ParsesAndPrintsTheTable) {
  constexpr uint64_t kMapped = 0xFFFF'0000'0000;
  const Good table[] = {
      {"10.1.0.1", 0, kMapped | 0x0A010001, "10.1.0.1"},
      {"0.0.0.0", 0, kMapped, "0.0.0.0"},
      {"255.255.255.255", 0, kMapped | 0xFFFFFFFF, "255.255.255.255"},
      {"::", 0, 0, "::"},
      {"::1", 0, 1, "::1"},
      {"::ffff:10.1.0.1", 0, kMapped | 0x0A010001, "10.1.0.1"},
      {"2001:db8::a:b", 0x2001'0db8'0000'0000, 0x0000'0000'000a'000b, "2001:db8::a:b"},
      {"2001:DB8:0:0:0:0:A:B", 0x2001'0db8'0000'0000, 0x0000'0000'000a'000b, "2001:db8::a:b"},
      {"fe80::1:2:3:4", 0xfe80'0000'0000'0000, 0x0001'0002'0003'0004, "fe80::1:2:3:4"},
      {"1:2:3:4:5:6:7:8", 0x0001'0002'0003'0004, 0x0005'0006'0007'0008, "1:2:3:4:5:6:7:8"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", ~uint64_t{0}, ~uint64_t{0},
       "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
  };
  for (const Good& good : table) {
    const auto address = IpAddress::Parse(good.text);
    ASSERT_TRUE(address.has_value()) << good.text;
    EXPECT_EQ(address->high(), good.high) << good.text;
    EXPECT_EQ(address->low(), good.low) << good.text;
    EXPECT_EQ(address->ToString(), good.printed);
    EXPECT_EQ(IpAddress::Parse(good.printed), address);
  }
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
  using namespace std::string_view_literals;
  const std::string_view table[] = {"",
                                    " ",
                                    "1",
                                    "1.2.3",
                                    "1.2.3.4.5",
                                    "256.1.1.1",
                                    "1.2.3.4 ",
                                    " 1.2.3.4",
                                    "01.2.3.4",
                                    "1.2.3.-4",
                                    "0x1.2.3.4",
                                    "1.2.3.4/8",
                                    "10.0.0.1:80",
                                    ":",
                                    ":::",
                                    "1::2::3",
                                    "1:2:3:4:5:6:7:8:9",
                                    "g::",
                                    "::12345",
                                    "[::1]",
                                    "fe80::1%eth0",
                                    "1.2.3.4\0"sv,
                                    "1.2.3.4\0x"sv,
                                    "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111"};
  for (const std::string_view text : table) EXPECT_FALSE(IpAddress::Parse(text)) << text;
}

TEST(IpAddress, V4IsTheMappedV6Address) {
  const IpAddress a = IpAddress::V4(0x0A000001);
  EXPECT_TRUE(a.IsV4());
  EXPECT_EQ(a.v4(), 0x0A000001u);
  EXPECT_EQ(a, IpAddress::V6(0, 0xFFFF'0A00'0001));
  EXPECT_FALSE(IpAddress::V6(0, 1).IsV4());
  EXPECT_FALSE(IpAddress::V6(1, 0xFFFF'0A00'0001).IsV4());
  EXPECT_FALSE(IpAddress().IsV4());
  EXPECT_LT(IpAddress::V4(1), IpAddress::V4(2));
}

TEST(IpPrefix, ParsesAndPrintsTheTable) {
  struct {
    const char* text;
    const char* printed;
  } const table[] = {
      {"10.1.0.1/24", "10.1.0.1/24"},
      {"10.1.0.1", "10.1.0.1/32"},
      {"0.0.0.0/0", "0.0.0.0/0"},
      {"10.0.0.0/32", "10.0.0.0/32"},
      {"::1", "::1/128"},
      {"2001:db8::/32", "2001:db8::/32"},
      {"::/0", "::/0"},
      {"::1/128", "::1/128"},
      {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
  };
  for (const auto& row : table) {
    const auto prefix = IpPrefix::Parse(row.text);
    ASSERT_TRUE(prefix.has_value()) << row.text;
    EXPECT_EQ(prefix->ToString(), row.printed);
  }
}

TEST(IpPrefix, RefusesWhatIsNoPrefix) {
  for (const char* text : {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8",
                           "10.0.0.0/ 8", "10.0.0.0/8 ", "10.0.0.0/8/8", "10.0.0.0/99999999999",
                           "::/129", "::ffff:10.0.0.0/95", "10.0/8", "x/8"}) {
    EXPECT_FALSE(IpPrefix::Parse(text)) << text;
  }
}

TEST(IpPrefix, ContainsComparesTheFrontAndTheFamily) {
  struct {
    const char* prefix;
    const char* address;
    bool contained;
  } const table[] = {
      {"10.1.0.1/24", "10.1.0.255", true},
      {"10.1.0.1/24", "10.1.1.0", false},
      {"10.1.0.1/32", "10.1.0.1", true},
      {"10.1.0.1/32", "10.1.0.0", false},
      {"0.0.0.0/0", "255.255.255.255", true},
      {"0.0.0.0/0", "::1", false},
      {"::/0", "2001:db8::1", true},
      {"::/0", "10.0.0.1", false},
      {"2001:db8::/32", "2001:db8:ffff::1", true},
      {"2001:db8::/32", "2001:db9::1", false},
      {"2001:db8::/64", "2001:db8:0:0:ffff::", true},
      {"2001:db8::/64", "2001:db8:0:1::", false},
      {"2001:db8::/65", "2001:db8:0:0:8000::", false},
      {"2001:db8::5/128", "2001:db8::5", true},
      {"2001:db8::5/128", "2001:db8::4", false},
  };
  for (const auto& row : table) {
    EXPECT_EQ(IpPrefix::Parse(row.prefix)->Contains(*IpAddress::Parse(row.address)), row.contained)
        << row.prefix << " " << row.address;
  }
}

TEST(MacAddress, ParsesBothCasesAndPrintsLower) {
  const auto mac = MacAddress::Parse("02:aB:00:FF:10:09");
  ASSERT_TRUE(mac.has_value());
  EXPECT_EQ(*mac, (MacAddress{{0x02, 0xAB, 0, 0xFF, 0x10, 0x09}}));
  EXPECT_EQ(mac->ToString(), "02:ab:00:ff:10:09");
}

TEST(MacAddress, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "02:00:00:00:00", "02:00:00:00:00:0", "02:00:00:00:00:011",
                           "02-00-00-00-00-01", "0g:00:00:00:00:01", "02:00:00:00:00:01:",
                           "2:0:0:0:0:1", "020000000001", "02:00:00:00:00;01"}) {
    EXPECT_FALSE(MacAddress::Parse(text)) << text;
  }
}

TEST(MacAddress, GroupBitTellsMulticastAndBroadcast) {
  EXPECT_TRUE(MacAddress::Broadcast().IsGroup());
  EXPECT_TRUE((MacAddress{{0x01, 0, 0x5E, 0, 0, 1}}).IsGroup());
  EXPECT_FALSE((MacAddress{{0x02, 0, 0, 0, 0, 1}}).IsGroup());
}

TEST(Endpoint, ParsesAndPrintsTheTable) {
  for (const char* text :
       {"10.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80", "[2001:db8::1]:443"}) {
    const auto endpoint = Endpoint::Parse(text);
    ASSERT_TRUE(endpoint.has_value()) << text;
    EXPECT_EQ(endpoint->ToString(), text);
  }
  EXPECT_EQ(Endpoint::Parse("[::ffff:10.0.0.1]:7"), Endpoint::Parse("10.0.0.1:7"));
}

TEST(Endpoint, RefusesWhatIsNoEndpoint) {
  for (const char* text : {"", ":", ":80", "10.0.0.1", "10.0.0.1:", "10.0.0.1:65536", "10.0.0.1:-1",
                           "10.0.0.1:+1", "10.0.0.1: 1", "10.0.0.1:1x", "::1:80", "[::1]",
                           "[::1]80", "[10.0.0.1]:80", "[]:80", "[:80", "[::1:80", "host:80"}) {
    EXPECT_FALSE(Endpoint::Parse(text)) << text;
  }
}

}  // namespace
}  // namespace millrace
