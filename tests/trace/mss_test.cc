// The size of segments (group PMT, MSS part): what the peer's option allows, our defaults.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

size_t LongestSegment(const std::vector<Seg>& sent) {
  size_t longest = 0;
  for (const Seg& seg : sent) longest = std::max(longest, seg.data.size());
  return longest;
}

// PMT-01, RFC 9293 3.7.1 (MUST-15): "If an MSS Option is not received at connection setup, TCP
// implementations MUST assume a default send MSS of 536 (576 - 40) for IPv4 or 1220 (1280 - 60) for
// IPv6".
TEST(Mss, WithoutTheOptionIsTheDefaultOfTheFamily) {
  for (const bool active : {false, true}) {
    SCOPED_TRACE(active);
    Trace t;
    if (active) {
      t.ConnectToPeer();
    } else {
      t.AcceptFromPeer();
    }
    t.Send(Octets(3000));
    EXPECT_EQ(LongestSegment(t.AllSent()), t.v6() ? 1220u : 536u);
  }
}

// PMT-02: an MSS of the peer's is taken between a floor (CVE-2019-11479) and our own.
TEST(Mss, OfThePeerBoundsOurSegments) {
  struct Case {
    uint16_t offered;
    size_t longest;
  };
  for (const Case& c : {Case{0, 216}, Case{1, 216}, Case{40, 216}, Case{216, 216}, Case{500, 500},
                        Case{1460, 1460}, Case{9000, 1460}, Case{65535, 1460}}) {
    SCOPED_TRACE(c.offered);
    Trace t;
    t.AcceptFromPeer({.mss = c.offered});
    t.Send(Octets(6000));
    EXPECT_EQ(LongestSegment(t.AllSent()), c.longest);
  }
}

// PMT-03, MUST-16, RFC 6691: the options of a segment come out of the MSS.
TEST(Mss, TimestampsAreTakenFromTheSegment) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000, .tsval = 7, .tsecr = 0});
  t.Send(Octets(6000));
  EXPECT_EQ(LongestSegment(t.AllSent()), 988u);
}

// RFC 9293 3.2 (MUST-65): the MSS option is sent with SYN and nowhere else, and says what the link
// carries (MUST-67).
TEST(Mss, IsOnSynSegmentsOnly) {
  TraceOptions options;
  options.config.tcp.mss -= 220;  // of a link with a smaller MTU
  Trace t(options);
  t.Listen();
  t.Receives({.flags = kSyn, .mss = 1460});
  const std::optional<Seg> syn_ack = t.Sent();
  ASSERT_TRUE(syn_ack.has_value());
  EXPECT_EQ(syn_ack->mss, 1240);
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  t.Send(Octets(3000));
  t.Shutdown();
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 1});
  for (const Seg& seg : t.AllSent()) EXPECT_FALSE(seg.mss.has_value()) << seg;
}

}  // namespace
}  // namespace millrace::testing
