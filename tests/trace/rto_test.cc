// The retransmission timer (RFC 6298, RFC 9293 3.8.1 and 3.8.3; group RTO). A round trip in a trace
// takes no time, so the floor of 200 ms applies unless the test lets time pass.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;

constexpr Duration kTick = tcp::kTick;

// Lets time pass until the engine sends something; returns how long that took.
Duration UntilSent(Trace& t, Duration limit = Duration::Seconds(200)) {
  const Instant start = t.now();
  const Instant end = start + limit;
  while (t.SentNothing() && t.now() < end) {
    const Instant next = std::min(t.engine().NextDeadline(), end);
    t.Advance(std::max(next - t.now(), Duration::Microseconds(10)));
  }
  return t.now() - start;
}

// Within a tick after `expected`, never before.
::testing::Matcher<Duration> OnTime(Duration expected) {
  return ::testing::AllOf(::testing::Ge(expected), ::testing::Le(expected + kTick));
}

// A passive open with `rtt` between SYN-ACK and ACK.
void AcceptWithRtt(Trace& t, Duration rtt) {
  t.Listen();
  t.Receives({.flags = kSyn, .mss = 1000});
  t.Advance(rtt);
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  ASSERT_EQ(t.state(), State::kEstablished);
}

// RTO-01: SRTT = R, RTTVAR = R/2, so RTO = 3R; from both sides of the handshake.
TEST(Rto, FirstSampleIsTheHandshake) {
  Trace passive;
  AcceptWithRtt(passive, Duration::Milliseconds(100));
  passive.Send("data");
  passive.ForgetSent();
  EXPECT_THAT(UntilSent(passive), OnTime(Duration::Milliseconds(300)));

  Trace active;
  active.Connect();
  active.ForgetSent();
  active.Advance(Duration::Milliseconds(100));
  active.Receives({.flags = kSyn | kAck, .ack = 1, .mss = 1000});
  active.Send("data");
  active.ForgetSent();
  EXPECT_THAT(UntilSent(active), OnTime(Duration::Milliseconds(300)));
}

// RTO-02 on the wire; the arithmetic is in unit/tcp/rtt_test.cc. R = 100 ms, then R' = 200 ms:
// RTTVAR = 3/4*50 + 1/4*100 = 62.5 with the old SRTT, SRTT = 7/8*100 + 1/8*200 = 112.5; 362.5 ms.
TEST(Rto, SecondSampleUpdatesVarianceBeforeMean) {
  Trace t;
  AcceptWithRtt(t, Duration::Milliseconds(100));
  t.Send("data");
  t.Advance(Duration::Milliseconds(200));
  t.Receives({.flags = kAck, .seq = 1, .ack = 5});
  t.Send("data");
  t.ForgetSent();
  EXPECT_THAT(UntilSent(t), OnTime(Duration::Microseconds(362'500)));
}

// RTO-01, RFC 6298 5.7: the SYN was lost, nothing was timed: 3 s when data begins; and the first
// sample after that is the first one of 2.2.
TEST(Rto, AfterALostSynDataStartsWithThreeSeconds) {
  for (bool active : {false, true}) {
    SCOPED_TRACE(active ? "active" : "passive");
    Trace t;
    if (active) {
      t.Connect();
    } else {
      t.Listen();
      t.Receives({.flags = kSyn, .mss = 1000});
    }
    t.ForgetSent();
    EXPECT_THAT(UntilSent(t), OnTime(Duration::Seconds(1)));
    t.Receives(
        {.flags = active ? kSyn | kAck : kAck, .seq = active ? 0u : 1u, .ack = 1, .mss = 1000});
    ASSERT_EQ(t.state(), State::kEstablished);
    t.Send("data");
    t.ForgetSent();
    EXPECT_THAT(UntilSent(t), OnTime(Duration::Seconds(3)));
    t.Receives({.flags = kAck, .seq = 1, .ack = 5});
    t.Send("timed");
    t.Advance(Duration::Milliseconds(100));
    t.Receives({.flags = kAck, .seq = 1, .ack = 10});
    t.Send("data");
    t.ForgetSent();
    EXPECT_THAT(UntilSent(t), OnTime(Duration::Milliseconds(300)));
  }
}

// RTO-03 (MUST-18): what was sent twice is not timed.
TEST(Rto, KarnRetransmittedDataGivesNoSample) {
  Trace t;
  AcceptWithRtt(t, Duration::Milliseconds(100));
  const uint32_t srtt = t.tcb()->rtt.srtt_us();
  t.Send("data");
  t.Advance(Duration::Milliseconds(310));
  ASSERT_EQ(t.AllSent().size(), 2u);
  t.Receives({.flags = kAck, .seq = 1, .ack = 5});
  EXPECT_EQ(t.tcb()->rtt.srtt_us(), srtt);
}

// RTO-03: neither is a SYN-ACK that was sent twice because the SYN came twice.
TEST(Rto, KarnSynAckSentTwiceGivesNoSample) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .mss = 1000});
  t.Advance(Duration::Milliseconds(600));
  t.Receives({.flags = kSyn, .mss = 1000});
  ASSERT_EQ(t.AllSent().size(), 2u);
  t.Advance(Duration::Milliseconds(1));  // the first one took 601 ms
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  ASSERT_EQ(t.state(), State::kEstablished);
  EXPECT_FALSE(t.tcb()->rtt.has_sample() && t.tcb()->rtt.srtt_us() < 600'000);
}

// RTO-04, RFC 6298 5.5, and CLS-13's arithmetic: doubled at each expiry up to 60 s.
TEST(Rto, BacksOffExponentiallyUpToAMinute) {
  TraceOptions options;
  options.config.tcp.r2 = Duration::Seconds(3600);
  Trace t(options);
  AcceptWithRtt(t, Duration::Milliseconds(100));
  t.Send("data");
  t.ForgetSent();
  int64_t expected_ms = 300;
  for (int i = 0; i < 11; ++i) {
    SCOPED_TRACE(i);
    EXPECT_THAT(UntilSent(t), OnTime(Duration::Milliseconds(expected_ms)));
    EXPECT_THAT(t.AllSent(),
                ElementsAre(SegmentIs({.flags = kAck, .seq = 1, .ack = 1, .data = "data"})));
    expected_ms = std::min<int64_t>(expected_ms * 2, 60'000);
  }
}

// RTO-05, RFC 6298 5.2 and 5.3.
TEST(Rto, NewAckRestartsTheTimerAndTheLastOneStopsIt) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(2000));
  t.ForgetSent();
  t.Advance(Duration::Milliseconds(150));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1001});
  const Duration rto = t.tcb()->rtt.Rto(t.options().config.tcp);
  EXPECT_THAT(UntilSent(t), OnTime(rto));
  EXPECT_EQ(t.Sent()->seq, 1001u);
  t.Receives({.flags = kAck, .seq = 1, .ack = 2001});
  EXPECT_EQ(t.tcb()->timers.armed, 0);
  t.Advance(Duration::Seconds(300));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.state(), State::kEstablished);
}

// RTO-05: a duplicate ACK does not restart it.
TEST(Rto, DuplicateAckDoesNotRestartTheTimer) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(1000));
  t.ForgetSent();
  t.Advance(Duration::Milliseconds(150));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_THAT(UntilSent(t), OnTime(Duration::Milliseconds(50)));
}

// RTO-06 (RFC 2525 2.14), RTO-07 (RFC 5681 3.1).
TEST(Rto, TimeoutSendsTheFirstSegmentOnlyAndCollapsesTheWindow) {
  Trace t(NewReno());
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(8000));
  ASSERT_EQ(t.AllSent().size(), 8u);
  UntilSent(t);
  EXPECT_THAT(t.AllSent(),
              ElementsAre(SegmentIs({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1000)})));
  EXPECT_EQ(t.tcb()->congestion.cwnd, 1000u);
  EXPECT_EQ(t.tcb()->congestion.ssthresh, 4000u);
  // The same segment times out again: ssthresh is held.
  UntilSent(t);
  EXPECT_EQ(t.AllSent().size(), 1u);
  EXPECT_EQ(t.tcb()->congestion.ssthresh, 4000u);
  // Slow start from there: two segments for one.
  t.Receives({.flags = kAck, .seq = 1, .ack = 1001});
  EXPECT_EQ(t.AllSent().size(), 2u);
}

// RTO-07: never less than two segments.
TEST(Rto, SlowStartThresholdIsAtLeastTwoSegments) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(1000));
  t.ForgetSent();
  UntilSent(t);
  EXPECT_EQ(t.tcb()->congestion.ssthresh, 2000u);
}

// RTO-08 (SHLD-9, MUST-20), RTO-09 (SHLD-11).
TEST(Rto, R1IsCountedAndR2EndsTheConnection) {
  Trace t;
  t.AcceptFromPeer();
  t.Send("data");
  t.ForgetSent();
  for (int i = 0; i < 3; ++i) {  // (SHLD-10): R1 is at least three retransmissions
    EXPECT_EQ(t.counters().r1_reached, 0u);
    UntilSent(t);
    ASSERT_EQ(t.AllSent().size(), 1u);
  }
  EXPECT_EQ(t.counters().r1_reached, 1u);
  EXPECT_EQ(t.app().socket.TakeSoftError(), tcp::SoftError::kNoAnswer);  // SHLD-9
  t.Advance(Duration::Seconds(98));
  EXPECT_EQ(t.state(), State::kEstablished);
  t.Advance(Duration::Seconds(100));
  EXPECT_EQ(t.FlowState(), State::kClosed);
  EXPECT_THAT(t.TakeLog(), ElementsAre("close timed out"));
  t.ExpectNothingHeld();
}

// RTO-09: OPN-05's figure for an opening (MUST-23): three minutes at least.
TEST(Rto, SynIsRepeatedForThreeMinutes) {
  Trace t;
  t.Connect();
  t.ForgetSent();
  for (int64_t expected_s : {1, 2, 4, 8, 16, 32, 60}) {
    EXPECT_THAT(UntilSent(t), OnTime(Duration::Seconds(expected_s)));
    EXPECT_THAT(t.AllSent(), ElementsAre(SegmentIs({.flags = kSyn, .seq = 0})));
  }
  t.Advance(Duration::Seconds(59));
  EXPECT_EQ(t.state(), State::kSynSent);
  t.Advance(Duration::Seconds(2));
  EXPECT_EQ(t.FlowState(), State::kClosed);
  EXPECT_THAT(t.TakeLog(), ElementsAre("close timed out"));
}

// RTO-10: RFC 6298 section 5, the backed-off RTO stays until "a new RTT measurement is obtained
// (which can only happen when new data has been sent and acknowledged)".
TEST(Rto, BackoffStaysUntilNewDataIsTimed) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Send("one");
  t.ForgetSent();
  for (int i = 0; i < 3; ++i) {
    UntilSent(t);
    t.ForgetSent();
  }
  t.Receives({.flags = kAck, .seq = 1, .ack = 4});  // of a retransmission: no sample
  t.Send("two");
  t.ForgetSent();
  EXPECT_THAT(UntilSent(t), OnTime(Duration::Milliseconds(1600)));
  t.Receives({.flags = kAck, .seq = 1, .ack = 7});
  t.Send("new");
  t.Receives({.flags = kAck, .seq = 1, .ack = 10});  // sent once: a sample
  t.Send("end");
  t.ForgetSent();
  EXPECT_THAT(UntilSent(t), OnTime(Duration::Milliseconds(200)));
}

// RTO-10 with timestamps: the echo tells which copy arrived, so the sample comes at once.
TEST(Rto, TimestampEndsTheBackoffAtOnce) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000, .tsval = 10, .tsecr = 0});
  t.Send("one");
  t.ForgetSent();
  UntilSent(t);
  t.ForgetSent();
  UntilSent(t);
  const uint32_t tsval = *t.Sent()->tsval;
  t.Receives({.flags = kAck, .seq = 1, .ack = 4, .tsval = 10, .tsecr = tsval});
  t.Send("two");
  t.ForgetSent();
  EXPECT_THAT(UntilSent(t), OnTime(Duration::Milliseconds(200)));
}

// RTO-07 and RTO-10: a new segment that times out while the RTO is still backed off is a new loss.
TEST(Rto, LossOfANewSegmentSetsTheThresholdAnew) {
  Trace t(NewReno());
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(10'000));
  t.ForgetSent();
  UntilSent(t);
  EXPECT_EQ(t.tcb()->congestion.ssthresh, 5000u);
  t.Receives({.flags = kAck, .seq = 1, .ack = 10'001});
  t.Send(Octets(2000));
  t.ForgetSent();
  UntilSent(t);
  EXPECT_EQ(t.tcb()->congestion.ssthresh, 2000u);
}

// RTO-11 (RFC 2525 2.4): whatever the application adds meanwhile, an octet is sent as it was.
TEST(Rto, RetransmittedOctetsAreTheSameOctets) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  std::map<uint32_t, char> octets;
  const auto check = [&] {
    for (const Seg& seg : t.AllSent()) {
      for (size_t i = 0; i < seg.data.size(); ++i) {
        const auto [at, fresh] = octets.emplace(seg.seq + static_cast<uint32_t>(i), seg.data[i]);
        EXPECT_TRUE(fresh || at->second == seg.data[i]) << "octet " << at->first;
      }
    }
  };
  const std::string data = Octets(6000);
  for (size_t at = 0; at < data.size(); at += 375) {
    t.Send(data.substr(at, 375));
    check();
    t.Advance(Duration::Milliseconds(230));
    check();
    if (at % 1500 == 0) {
      t.Receives({.flags = kAck, .seq = 1, .ack = 1 + static_cast<uint32_t>(at) / 2});
    }
  }
  for (int i = 0; i < 200 && t.tcb()->send.size_bytes() > 0; ++i) {
    t.Advance(Duration::Seconds(1));
    check();
    t.Receives({.flags = kAck, .seq = 1, .ack = t.tcb()->snd_nxt.Since(t.host_isn())});
  }
  ASSERT_EQ(octets.size(), data.size());
  for (size_t i = 0; i < data.size(); ++i) {
    ASSERT_EQ(octets.at(static_cast<uint32_t>(i) + 1), data[i]) << i;
  }
}

// RTO-12: at any phase of the tick, never early and late by at most a tick.
TEST(Rto, TimerIsNeverEarlyAndLateByATickAtMost) {
  for (int64_t phase_us = 0; phase_us < 300; phase_us += 13) {
    SCOPED_TRACE(phase_us);
    Trace t;
    t.AcceptFromPeer();
    t.Advance(Duration::Milliseconds(1) + Duration::Microseconds(phase_us));
    t.Send("data");
    t.ForgetSent();
    EXPECT_THAT(UntilSent(t), OnTime(Duration::Milliseconds(200)));
  }
}

}  // namespace
}  // namespace millrace::testing
