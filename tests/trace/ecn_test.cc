// Explicit congestion notification (RFC 3168, 8311, 8257; group CC), and what ECE does to each
// congestion control.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using ::testing::Each;
using ::testing::Field;
using ::testing::Optional;
using ::testing::SizeIs;

constexpr uint32_t kMss = 1000;
constexpr uint8_t kEct0 = wire::kEcnEct0, kCe = wire::kEcnCe;

TraceOptions With(tcp::Ecn ecn, tcp::CongestionKind kind = tcp::CongestionKind::kNewReno) {
  TraceOptions options;
  options.config.tcp.ecn = ecn;
  options.config.tcp.congestion = kind;
  return options;
}

Seg Ack(uint32_t ack, int flags = kAck) { return {.flags = flags, .seq = 1, .ack = ack}; }

// Established with ECN agreed to.
void Open(Trace& t) {
  t.Listen();
  t.Receives({.flags = kSyn | kEce | kCwr, .mss = kMss, .sack_permitted = true});
  t.Receives(Ack(1));
  ASSERT_TRUE(t.tcb()->Has(tcp::kEcnOn));
  t.ForgetSent();
}

// CC-12, RFC 3168 6.1.1: of the four combinations on a SYN only both flags ask for ECN.
TEST(Ecn, SynMatrix) {
  for (const tcp::Ecn mode : {tcp::Ecn::kOff, tcp::Ecn::kPassive, tcp::Ecn::kActive}) {
    for (const int flags : {0, int{kEce}, int{kCwr}, kEce | kCwr}) {
      SCOPED_TRACE(flags);
      Trace t(With(mode));
      t.Listen();
      t.Receives({.flags = kSyn | flags, .mss = kMss});
      const bool agreed = mode != tcp::Ecn::kOff && flags == (kEce | kCwr);
      EXPECT_EQ(t.Sent()->flags, kSyn | kAck | (agreed ? int{kEce} : 0));
      t.Receives(Ack(1));
      EXPECT_EQ(t.tcb()->Has(tcp::kEcnOn), agreed);
    }
  }
}

// CC-12: of a SYN-ACK only ECE alone agrees ("reflected" flags of a broken peer do not).
TEST(Ecn, SynAckMatrix) {
  for (const tcp::Ecn mode : {tcp::Ecn::kOff, tcp::Ecn::kPassive, tcp::Ecn::kActive}) {
    for (const int flags : {0, int{kEce}, int{kCwr}, kEce | kCwr}) {
      SCOPED_TRACE(flags);
      Trace t(With(mode));
      t.Connect();
      const bool asked = mode == tcp::Ecn::kActive;
      EXPECT_EQ(t.Sent()->flags, kSyn | (asked ? kEce | kCwr : 0));
      t.Receives({.flags = kSyn | kAck | flags, .ack = 1, .mss = kMss});
      EXPECT_EQ(t.tcb()->Has(tcp::kEcnOn), asked && flags == kEce);
    }
  }
}

// RFC 3168 6.1.1.1: a SYN that is not answered is repeated without the flags.
TEST(Ecn, RepeatedSynAsksForNothing) {
  Trace t(With(tcp::Ecn::kActive));
  t.Connect();
  t.ForgetSent();
  t.Advance(Duration::Milliseconds(1100));
  EXPECT_EQ(t.Sent()->flags, int{kSyn});
  t.Receives({.flags = kSyn | kAck | kEce, .ack = 1, .mss = kMss});
  EXPECT_FALSE(t.tcb()->Has(tcp::kEcnOn));
}

// CC-13: ECT on new data and on nothing else.
TEST(Ecn, EctOnNewDataOnly) {
  Trace t(With(tcp::Ecn::kPassive));
  t.Listen();
  t.Receives({.flags = kSyn | kEce | kCwr, .mss = kMss, .sack_permitted = true});
  EXPECT_THAT(t.Sent()->ecn, Optional(uint8_t{0})) << "SYN-ACK";
  t.Receives(Ack(1));
  t.Send(Octets(3 * kMss));
  EXPECT_THAT(t.AllSent(), Each(Field(&Seg::ecn, Optional(kEct0))));
  t.Advance(Duration::Seconds(1));
  const std::vector<Seg> again = t.AllSent();
  ASSERT_FALSE(again.empty());
  EXPECT_THAT(again, Each(Field(&Seg::ecn, Optional(uint8_t{0})))) << "retransmission";
  t.Receives(Ack(3 * kMss + 1));
  t.Receives({.flags = kAck, .seq = 1, .ack = 3 * kMss + 1, .data = "abc"});
  t.Advance(Duration::Milliseconds(50));
  EXPECT_THAT(t.AllSent(), Each(Field(&Seg::ecn, Optional(uint8_t{0})))) << "pure ACK";
  t.Receives({.flags = kAck, .seq = 4, .ack = 3 * kMss + 1, .window = 0});
  t.Send("probe me");
  t.Advance(Duration::Seconds(2));
  const std::vector<Seg> probes = t.AllSent();
  ASSERT_FALSE(probes.empty());
  EXPECT_THAT(probes, Each(Field(&Seg::ecn, Optional(uint8_t{0})))) << "window probe";
}

TEST(Ecn, NothingIsMarkedWithoutNegotiation) {
  Trace t(With(tcp::Ecn::kPassive));
  t.AcceptFromPeer({.mss = kMss});
  t.Send(Octets(3 * kMss));
  EXPECT_THAT(t.AllSent(), Each(Field(&Seg::ecn, Optional(uint8_t{0}))));
  const uint32_t cwnd = t.tcb()->congestion.cwnd;
  t.Receives(Ack(kMss + 1, kAck | kEce));
  EXPECT_GE(t.tcb()->congestion.cwnd, cwnd);
}

// CC-14, RFC 3168 6.1.2: halved once per window, and CWR on the next new segment, once.
TEST(Ecn, EceHalvesTheWindowOncePerRoundTrip) {
  Trace t(With(tcp::Ecn::kPassive));
  Open(t);
  t.Send(Octets(30 * kMss));
  ASSERT_THAT(t.AllSent(), SizeIs(10));
  t.Receives(Ack(kMss + 1, kAck | kEce));
  const uint32_t cwnd = t.tcb()->congestion.cwnd;
  EXPECT_NEAR(cwnd, 5.5 * kMss, kMss);
  t.Receives(Ack(2 * kMss + 1, kAck | kEce));
  t.Receives(Ack(5 * kMss + 1, kAck | kEce));
  EXPECT_EQ(t.counters().ecn_reductions, 1u);
  t.Receives(Ack(9 * kMss + 1, kAck | kEce));
  const std::vector<Seg> sent = t.AllSent();
  ASSERT_GE(sent.size(), 2u);
  EXPECT_NE(sent[0].flags & kCwr, 0);
  for (size_t i = 1; i < sent.size(); ++i) EXPECT_EQ(sent[i].flags & kCwr, 0);
  // The next window may be cut again.
  t.Receives(Ack(11 * kMss + 1, kAck | kEce));
  EXPECT_EQ(t.counters().ecn_reductions, 2u);
}

// RFC 4015 3.1: a time-out that F-RTO would call spurious stays one when the ACK behind it says
// that there was congestion; without SACK, too.
TEST(Ecn, EceBehindATimeoutKeepsTheReduction) {
  for (const bool congested : {false, true}) {
    SCOPED_TRACE(congested);
    Trace t(With(tcp::Ecn::kPassive));
    t.Listen();
    t.Receives({.flags = kSyn | kEce | kCwr, .mss = kMss});
    t.Receives(Ack(1));
    ASSERT_TRUE(t.tcb()->Has(tcp::kEcnOn));
    t.Send(Octets(14 * kMss));
    t.Advance(Duration::Milliseconds(250));
    ASSERT_EQ(t.counters().timeouts, 1u);
    t.Receives(Ack(kMss + 1, congested ? kAck | kEce : kAck));
    t.Receives(Ack(2 * kMss + 1));
    EXPECT_EQ(t.counters().spurious_timeouts, congested ? 0u : 1u);
  }
}

// CC-14, the receiver's half: ECE on every segment from CE until CWR.
TEST(Ecn, CeIsEchoedUntilCwr) {
  Trace t(With(tcp::Ecn::kPassive));
  Open(t);
  const auto data = [](uint32_t seq, int flags, uint8_t ecn) {
    return Seg{.flags = flags, .seq = seq, .ack = 1, .data = "abcde", .ecn = ecn};
  };
  t.Receives(data(1, kAck, kCe));
  EXPECT_EQ(t.Sent()->flags, kAck | kEce) << "at once";
  t.Receives(data(6, kAck, kEct0));
  t.Send("text too");
  EXPECT_NE(t.Sent()->flags & kEce, 0);
  t.Receives(data(11, kAck | kCwr, kEct0));
  t.Advance(Duration::Milliseconds(50));
  EXPECT_EQ(t.AllSent().back().flags & kEce, 0);
  // "CE is to be ignored on invalid data": nothing is echoed for what was not taken.
  t.Receives(data(100'000, kAck, kCe));
  for (const Seg& seg : t.AllSent()) EXPECT_EQ(seg.flags & kEce, 0);
}

// CC-15, RFC 3168 6.1.2: at one segment the sender waits for the retransmission time-out.
TEST(Ecn, EceAtOneSegmentSlowsFurther) {
  Trace t(With(tcp::Ecn::kPassive));
  Open(t);
  t.tcb()->congestion.cwnd = kMss;
  t.Send(Octets(4 * kMss));
  ASSERT_THAT(t.AllSent(), SizeIs(1));
  t.Receives(Ack(kMss + 1, kAck | kEce));
  t.tcb()->congestion.cwnd = kMss;
  t.ForgetSent();
  t.Receives(Ack(kMss + 1, kAck | kEce));
  t.Advance(Duration::Milliseconds(150));
  EXPECT_LE(t.AllSent().size(), 1u);
}

// CC-14 for CUBIC (RFC 9438 4.6) and DCTCP (RFC 8257 3.3, alpha of 1 at first).
TEST(Ecn, EachControlAnswersEceInItsWay) {
  const struct {
    tcp::CongestionKind kind;
    uint32_t low, high;  // of cwnd after ECE at about 11 segments
  } cases[] = {{tcp::CongestionKind::kNewReno, 5 * kMss, 6 * kMss},
               {tcp::CongestionKind::kCubic, 7 * kMss, 8 * kMss},
               {tcp::CongestionKind::kDctcp, 5 * kMss, 6 * kMss},
               {tcp::CongestionKind::kNone, 1u << 20, 1u << 20}};
  for (const auto& c : cases) {
    SCOPED_TRACE(static_cast<int>(c.kind));
    Trace t(With(tcp::Ecn::kPassive, c.kind));
    Open(t);
    t.Send(Octets(10 * kMss));
    t.Receives(Ack(kMss + 1, kAck | kEce));
    EXPECT_GE(t.tcb()->congestion.cwnd, c.low);
    EXPECT_LE(t.tcb()->congestion.cwnd, c.high);
  }
}

}  // namespace
}  // namespace millrace::testing
