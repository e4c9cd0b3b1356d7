// Groups that an IPv6 host reports, so that switches which snoop pass on solicitations (RFC 3810).

#include <gtest/gtest.h>

#include "millrace/wire/mld.h"
#include "testing/trace.h"
#include "unit/wire/ipv6_builder.h"

namespace millrace::testing {
namespace {

using wire::testing::Bytes;
using wire::testing::ToBytes;

TraceOptions WithReports() {
  TraceOptions options;
  options.v6 = true;
  options.v6_group_reports = true;
  return options;
}

// A general query that gives 100 ms, as a switch sends it.
Bytes Query(const Bytes& options) {
  Bytes message(28);
  message[0] = std::byte{wire::kMldQuery};
  message[5] = std::byte{100};
  return wire::testing::BuildV6({.destination_mac = wire::GroupMacV6(wire::kAllNodesV6),
                                 .source = wire::LinkLocalOf(Trace::kPeerMac),
                                 .destination = wire::kAllNodesV6,
                                 .extensions = {{wire::kIpv6HopByHop, options}},
                                 .protocol = wire::kIpProtocolIcmpV6,
                                 .hop_limit = 1,
                                 .payload = message});
}

TEST(Groups, AreReportedTwiceWithoutBeingAsked) {
  Trace t(WithReports());
  t.Advance(Duration::Seconds(3));
  EXPECT_EQ(t.engine().counters().group_reports, 2u);
  ASSERT_EQ(t.other_frames.size(), 2u);
  const Bytes report = t.other_frames.front();
  EXPECT_EQ(wire::LoadMac(report.data()), wire::GroupMacV6(wire::kMldV2Routers));
  // One group: the fixture's two addresses end alike.
  ASSERT_EQ(report.size(), wire::kEthernetHeaderBytes + wire::MldReportBytes(1));
  constexpr size_t kFirstGroupAt = wire::kEthernetHeaderBytes + 40 + 8 + 8 + 4;
  EXPECT_EQ(wire::LoadIpv6(&report[kFirstGroupAt]),
            wire::SolicitedNode(t.AddressOf(Trace::kHostAddress)));
}

TEST(Groups, AreReportedToWhoAsks) {
  Trace t(WithReports());
  t.Advance(Duration::Seconds(3));
  t.other_frames.clear();
  t.ReceivesFrame(Query(ToBytes({1, 4, 0, 0, 0, 0})));
  EXPECT_EQ(t.engine().counters().ndp_invalid, 1u) << "no router alert";
  t.ReceivesFrame(Query(ToBytes({5, 2, 0, 0, 1, 0})));
  EXPECT_EQ(t.engine().counters().group_queries, 1u);
  t.Advance(Duration::Milliseconds(102));
  EXPECT_EQ(t.other_frames.size(), 1u);
}

}  // namespace
}  // namespace millrace::testing
