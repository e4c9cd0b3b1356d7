#include "millrace/stack/host_v6.h"

#include <gtest/gtest.h>

#include <vector>

namespace millrace::stack {
namespace {

constexpr MacAddress kMac{{2, 0, 0, 0, 0, 1}};
const IpAddress kOurs = *IpAddress::Parse("2001:db8::1");
const IpAddress kRouter = *IpAddress::Parse("fe80::9");
const IpAddress kFar = *IpAddress::Parse("2001:db8:ffff::1");

Instant At(double seconds) {
  return Instant::FromNanoseconds(static_cast<int64_t>(seconds * 1e9) + 5'000'000'000);
}

HostV6Config Config(uint8_t transmits = 1) {
  return {.address = {kOurs, 64}, .detection_transmits = transmits, .group_reports = false};
}

TEST(HostV6, WithoutAnAddressThereIsNone) {
  HostV6 host({}, kMac, At(0));
  EXPECT_FALSE(host.enabled());
  EXPECT_EQ(host.address_state(), AddressState::kNone);
  EXPECT_FALSE(host.NextMessage(At(0)));
  EXPECT_TRUE(host.NextDeadline().IsNever());
  EXPECT_EQ(host.NextHop(kFar, At(0)), IpAddress());
}

// RFC 4862 5.4: one solicitation for each address, and a second of silence.
TEST(HostV6, AddressesAreOursAfterASecondWithoutAnswer) {
  HostV6 host(Config(), kMac, At(0));
  const auto first = host.NextMessage(At(0)), second = host.NextMessage(At(0));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->target, kOurs);
  EXPECT_EQ(second->target, wire::LinkLocalOf(kMac));
  EXPECT_FALSE(host.NextMessage(At(0.9)));
  EXPECT_EQ(host.address_state(), AddressState::kTentative);
  EXPECT_EQ(host.SourceFor(kFar), IpAddress());
  EXPECT_EQ(host.NextDeadline(), At(1));
  EXPECT_FALSE(host.NextMessage(At(1)));
  EXPECT_EQ(host.address_state(), AddressState::kReady);
  EXPECT_TRUE(host.net().Owns(kOurs));
  EXPECT_TRUE(host.net().Owns(wire::LinkLocalOf(kMac)));
  EXPECT_TRUE(host.NextDeadline().IsNever());
}

TEST(HostV6, SomebodyElsesAddressIsNeverOurs) {
  HostV6 host(Config(), kMac, At(0));
  while (host.NextMessage(At(0))) continue;
  EXPECT_TRUE(host.OnConflict(kOurs));
  EXPECT_FALSE(host.NextMessage(At(5)));
  EXPECT_EQ(host.address_state(), AddressState::kDuplicate);
  EXPECT_FALSE(host.net().Owns(kOurs));
  EXPECT_TRUE(host.net().Owns(wire::LinkLocalOf(kMac))) << "the other one is not affected";
}

TEST(HostV6, ConflictAfterDetectionTakesNothingAway) {
  HostV6 host(Config(0), kMac, At(0));
  EXPECT_EQ(host.address_state(), AddressState::kReady);
  EXPECT_FALSE(host.OnConflict(kOurs));
  EXPECT_TRUE(host.net().Owns(kOurs));
}

TEST(HostV6, LinkLocalAddressMayBeTheOnlyOne) {
  const IpAddress own = *IpAddress::Parse("fe80::77");
  HostV6 host({.address = {own, 64}, .detection_transmits = 0}, kMac, At(0));
  EXPECT_EQ(host.SourceFor(*IpAddress::Parse("fe80::1")), own);
  EXPECT_EQ(host.address_state(), AddressState::kReady);
}

TEST(HostV6, NextHopIsTheNeighbourOrTheGateway) {
  HostV6Config config = Config(0);
  config.gateway = kRouter;
  HostV6 host(config, kMac, At(0));
  const IpAddress near = *IpAddress::Parse("2001:db8::42");
  EXPECT_EQ(host.NextHop(near, At(0)), near);
  EXPECT_EQ(host.NextHop(*IpAddress::Parse("fe80::42"), At(0)), *IpAddress::Parse("fe80::42"));
  EXPECT_EQ(host.NextHop(kFar, At(0)), kRouter);
  EXPECT_EQ(HostV6(Config(0), kMac, At(0)).NextHop(kFar, At(0)), IpAddress());
}

// RFC 6724 5, rule 2.
TEST(HostV6, SourceHasTheScopeOfTheDestination) {
  HostV6 host(Config(0), kMac, At(0));
  EXPECT_EQ(host.SourceFor(kFar), kOurs);
  EXPECT_EQ(host.SourceFor(kRouter), wire::LinkLocalOf(kMac));
}

wire::RouterAdvertisement Advertisement(uint16_t lifetime_s) {
  wire::RouterAdvertisement a;
  a.lifetime_s = lifetime_s;
  a.mtu = 1400;
  a.prefix_count = 1;
  a.prefixes[0] = {*IpPrefix::Parse("2001:db8:5::/64"), 3600};
  return a;
}

TEST(HostV6, RouterIsLearntOnlyWhenAskedFor) {
  HostV6 host(Config(0), kMac, At(0));
  host.OnRouterAdvertisement(Advertisement(1800), kRouter, At(0));
  EXPECT_EQ(host.NextHop(kFar, At(0)), IpAddress());
  EXPECT_EQ(host.mtu(), 0);
}

HostV6 Listening() {
  HostV6Config config = Config(0);
  config.router_advertisements = true;
  return HostV6(config, kMac, At(0));
}

TEST(HostV6, RouterPrefixAndMtuAreLearntForTheirTime) {
  HostV6 host = Listening();
  host.OnRouterAdvertisement(Advertisement(1800), kRouter, At(0));
  EXPECT_EQ(host.NextHop(kFar, At(1799)), kRouter);
  EXPECT_EQ(host.NextHop(kFar, At(1800)), IpAddress());
  const IpAddress near = *IpAddress::Parse("2001:db8:5::1");
  EXPECT_EQ(host.NextHop(near, At(3599)), near);
  EXPECT_EQ(host.NextHop(near, At(3600)), IpAddress());
  EXPECT_EQ(host.mtu(), 1400);
}

TEST(HostV6, RouterThatGoesIsForgotten) {
  HostV6 host = Listening();
  host.OnRouterAdvertisement(Advertisement(1800), kRouter, At(0));
  host.OnRouterAdvertisement(Advertisement(0), kRouter, At(1));
  EXPECT_EQ(host.NextHop(kFar, At(1)), IpAddress());
  host.OnRouterAdvertisement(Advertisement(1800), kRouter, At(2));
  host.OnRouterGone(kRouter);
  EXPECT_EQ(host.NextHop(kFar, At(3)), IpAddress());
}

TEST(HostV6, SecondRouterWaitsForTheFirstToGo) {
  HostV6 host = Listening();
  const IpAddress other = *IpAddress::Parse("fe80::a");
  host.OnRouterAdvertisement(Advertisement(100), kRouter, At(0));
  host.OnRouterAdvertisement(Advertisement(1800), other, At(1));
  EXPECT_EQ(host.NextHop(kFar, At(50)), kRouter);
  host.OnRouterAdvertisement(Advertisement(1800), other, At(101));
  EXPECT_EQ(host.NextHop(kFar, At(102)), other);
}

// RFC 8200 5: no link has less than 1280.
TEST(HostV6, MtuBelowTheLeastIsIgnored) {
  HostV6 host = Listening();
  wire::RouterAdvertisement a = Advertisement(1800);
  a.mtu = 1279;
  host.OnRouterAdvertisement(a, kRouter, At(0));
  EXPECT_EQ(host.mtu(), 0);
}

// RFC 4861 6.3.4: what no MTU of 16 bits can be, what the table has no room for, and routers that
// say farewell without having been ours.
TEST(HostV6, ExcessOfAnAdvertisementIsIgnored) {
  HostV6 host = Listening();
  wire::RouterAdvertisement a = Advertisement(1800);
  a.mtu = 0x1'0000;
  a.prefix_count = wire::RouterAdvertisement::kPrefixesMax;
  const auto network = [](uint64_t number) {
    return IpAddress::V6(0x2001'0DB8'0007'0000 + number, 0);
  };
  for (size_t i = 0; i < a.prefix_count; ++i) {
    a.prefixes[i] = {{network(i), 64}, i == 0 ? 100u : 0xFFFF'FFFFu};
  }
  host.OnRouterAdvertisement(a, kRouter, At(0));
  EXPECT_EQ(host.mtu(), 0);
  host.OnRouterAdvertisement(Advertisement(0), *IpAddress::Parse("fe80::b"), At(1));
  EXPECT_EQ(host.NextHop(kFar, At(2)), kRouter) << "another one's farewell";
  wire::RouterAdvertisement fifth = Advertisement(1800);
  fifth.prefix_count = 1;
  fifth.prefixes[0] = {{network(4), 64}, 1000};
  const IpAddress neighbor = IpAddress::V6(network(4).high(), 5);
  host.OnRouterAdvertisement(fifth, kRouter, At(3));
  EXPECT_EQ(host.NextHop(neighbor, At(4)), kRouter) << "no room: not known to be on the link";
  host.OnRouterAdvertisement(fifth, kRouter, At(101));
  EXPECT_EQ(host.NextHop(neighbor, At(102)), neighbor) << "in place of one that has expired";
  const IpAddress for_ever = IpAddress::V6(network(3).high(), 5);
  EXPECT_EQ(host.NextHop(for_ever, At(1e6)), for_ever);
}

// RFC 4861 6.3.7: solicitations come from the link-local address; a host that has none, because it
// is somebody else's, asks nobody. Nor does it take its other address for link-local peers.
TEST(HostV6, WithoutALinkLocalAddressNobodyIsAsked) {
  HostV6Config config = Config(1);
  config.router_advertisements = true;
  HostV6 host(config, kMac, At(0));
  while (host.NextMessage(At(0))) continue;
  EXPECT_EQ(host.NextDeadline(), At(1));
  EXPECT_TRUE(host.OnConflict(wire::LinkLocalOf(kMac)));
  EXPECT_FALSE(host.OnConflict(kFar));
  for (int s = 1; s < 20; ++s) EXPECT_FALSE(host.NextMessage(At(s)));
  EXPECT_EQ(host.SourceFor(kRouter), IpAddress());
  EXPECT_EQ(host.SourceFor(kFar), kOurs);
}

TEST(HostV6, LinkLocalAddressAloneIsTheSourceForAll) {
  const IpAddress own = *IpAddress::Parse("fe80::77");
  HostV6 host({.address = {own, 64}, .detection_transmits = 0, .group_reports = false}, kMac,
              At(0));
  EXPECT_EQ(host.SourceFor(kFar), own);
  EXPECT_FALSE(host.net().Owns(kOurs));
  host.OnGroupQuery({.group = IpAddress(), .max_response = Duration()}, At(1));
  EXPECT_FALSE(host.NextMessage(At(20))) << "reports are off";
}

// RFC 4861 6.3.7: three, four seconds apart, until a router answers.
TEST(HostV6, RoutersAreSolicitedThreeTimes) {
  HostV6 host = Listening();
  for (int i = 0; i < 3; ++i) {
    const auto message = host.NextMessage(At(4 * i));
    ASSERT_TRUE(message) << i;
    EXPECT_TRUE(message->router_solicitation);
    EXPECT_FALSE(host.NextMessage(At(4 * i + 3.9)));
  }
  EXPECT_FALSE(host.NextMessage(At(100)));
  HostV6 answered = Listening();
  EXPECT_TRUE(answered.NextMessage(At(0)));
  answered.OnRouterAdvertisement(Advertisement(1800), kRouter, At(1));
  EXPECT_FALSE(answered.NextMessage(At(4)));
}

// What the reports of the first seconds are, by the order of their coming.
struct Report {
  Instant at;
  wire::GroupRecord type;
};
std::vector<Report> ReportsUntil(HostV6& host, Instant from, Instant end) {
  std::vector<Report> reports;
  for (Instant now = from; now < end; now = now + Duration::Milliseconds(1)) {
    while (const auto message = host.NextMessage(now)) {
      if (message->group_report) reports.push_back({now, *message->group_report});
    }
  }
  return reports;
}

HostV6Config WithReports() {
  HostV6Config config = Config();
  config.group_reports = true;
  return config;
}

// RFC 4862 5.4.2, RFC 3810 6.1, 9.1: before the first solicitation; then twice from the address.
TEST(GroupReports, GroupsAreReportedBeforeDetectionAndTwiceBehindIt) {
  HostV6 host(WithReports(), kMac, At(0));
  const auto first = host.NextMessage(At(0));
  ASSERT_TRUE(first && first->group_report);
  EXPECT_EQ(*first->group_report, wire::GroupRecord::kChangeToExclude);
  EXPECT_EQ(host.NextMessage(At(0))->target, kOurs);
  const std::vector<Report> reports = ReportsUntil(host, At(0), At(10));
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_GE(reports[0].at, At(1));
  EXPECT_LE(reports[0].at, At(1.01));
  EXPECT_LE(reports[1].at, At(2.02));
  EXPECT_TRUE(host.NextDeadline().IsNever());
}

// RFC 3810 6.2: within the time that the query gives; a flood of queries is answered ten times a
// second at most.
TEST(GroupReports, QueriesAreAnsweredInTimeAndTogether) {
  HostV6 host(WithReports(), kMac, At(0));
  ReportsUntil(host, At(0), At(10));
  host.OnGroupQuery({.group = IpAddress(), .max_response = Duration::Seconds(2)}, At(10));
  const Instant due = host.NextDeadline();
  EXPECT_GE(due, At(10));
  EXPECT_LE(due, At(12));
  host.OnGroupQuery({.group = IpAddress(), .max_response = Duration::Seconds(2)}, At(10));
  std::vector<Report> reports = ReportsUntil(host, At(10), At(20));
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].type, wire::GroupRecord::kModeIsExclude);
  size_t answers = 0;
  for (int ms = 0; ms < 1000; ++ms) {
    const Instant now = At(30 + ms * 1e-3);
    host.OnGroupQuery({.group = IpAddress(), .max_response = Duration()}, now);
    while (host.NextMessage(now)) ++answers;
  }
  EXPECT_GE(answers, 9u);
  EXPECT_LE(answers, 11u);
}

TEST(GroupReports, OnlyQueriesAboutOurGroupsAreAnswered) {
  HostV6 host(WithReports(), kMac, At(0));
  ReportsUntil(host, At(0), At(10));
  const wire::MldQuery other{.group = wire::SolicitedNode(kFar), .max_response = Duration()};
  host.OnGroupQuery({.group = *IpAddress::Parse("ff02::1:ff77:7777")}, At(10));
  EXPECT_TRUE(host.NextDeadline().IsNever());
  host.OnGroupQuery(other, At(10));  // kFar ends as our address does
  EXPECT_FALSE(host.NextDeadline().IsNever());
}

}  // namespace
}  // namespace millrace::stack
