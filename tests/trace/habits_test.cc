// Habits that RFCs leave open and Config offers, because peers and test suites know them from
// Linux: quick ACKs and PSH at the end of bursts.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

TraceOptions With(uint32_t quick_ack_bytes, bool push_bursts) {
  TraceOptions options;
  options.config.tcp.quick_ack_bytes = quick_ack_bytes;
  options.config.tcp.push_burst_segments = push_bursts ? 2 : 0;
  return options;
}

TEST(Habits, FirstOctetsAreAcknowledgedAtOnceAndLaterOnesDelayed) {
  Trace t(With(1500, false));
  t.app().reading = false;
  t.AcceptFromPeer();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1000)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1001}));
  t.Receives({.flags = kAck, .seq = 1001, .ack = 1, .data = Octets(499)});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1500}));
  t.Receives({.flags = kAck, .seq = 1500, .ack = 1, .data = Octets(10)});
  EXPECT_TRUE(t.SentNothing());
  t.Advance(Duration::Milliseconds(41));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1510}));
}

// The flags of all that was sent, one letter a segment: P with PSH, . without.
std::string PushesOf(Trace& t) {
  std::string pushes;
  for (const Seg& seg : t.AllSent()) pushes += (seg.flags & kPsh) != 0 ? 'P' : '.';
  return pushes;
}

TEST(Habits, PushMarksTheEndOfTheBufferOnly) {
  Trace t(With(0, false));
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(5000));
  EXPECT_EQ(PushesOf(t), "....P");
  t.Send(Octets(20'000));  // five may go
  EXPECT_EQ(PushesOf(t), ".....");
}

TEST(Habits, PushMarksTheEndOfEachBurstToo) {
  Trace t(With(0, true));
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(5000));
  EXPECT_EQ(PushesOf(t), "....P");
  t.Send(Octets(20'000));
  EXPECT_EQ(PushesOf(t), "....P");
  t.Receives({.flags = kAck, .seq = 1, .ack = 1001});
  EXPECT_EQ(PushesOf(t), ".P");
}

TEST(Habits, BurstsOfALongPathAreTwoSegments) {
  Trace t(With(0, true));
  t.Listen();
  t.Receives({.flags = kSyn, .window = 60'000, .mss = 1000});
  t.ForgetSent();
  t.Advance(Duration::Milliseconds(100));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  t.Send(Octets(50'000));
  EXPECT_EQ(PushesOf(t), ".P.P.P.P.P");
  t.Receives({.flags = kAck, .seq = 1, .ack = 1001});
  EXPECT_EQ(PushesOf(t), ".P");
}

TEST(Habits, NoPushBehindWhatIsToBeContinued) {
  Trace t;
  t.AcceptFromPeer();
  t.app().socket.SetPush(false);
  t.Send("begun ");
  EXPECT_EQ(PushesOf(t), ".");
  t.app().socket.SetPush(true);
  t.Receives({.flags = kAck, .seq = 1, .ack = 7});
  t.Send("and ended");
  EXPECT_EQ(PushesOf(t), "P");
}

// RFC 9406 4.2 allows eight segments per ACK, Linux all that the ACK covers.
TEST(Habits, SlowStartGrowsByEightSegmentsOrByAllThatIsAcknowledged) {
  for (const bool whole : {false, true}) {
    TraceOptions options;
    options.config.tcp.slow_start_whole_acks = whole;
    Trace t(options);
    t.AcceptFromPeer({.mss = 1000});
    t.Send(Octets(10'000));
    t.ForgetSent();
    t.Receives({.flags = kAck, .seq = 1, .ack = 9001});
    EXPECT_EQ(t.tcb()->congestion.cwnd, whole ? 19'000u : 18'000u);
  }
}

// RFC 8985 7.2: "PTO = TCP_RTO_expiration() - Now()" where the time-out would come first: the first
// one is a probe, which cuts no window, and the next comes after an RTO, not two.
TEST(Habits, SingleSegmentIsProbedBeforeItsTimeout) {
  for (const bool probe : {false, true}) {
    SCOPED_TRACE(probe);
    TraceOptions options;
    options.config.tcp.probe_single_segments = probe;
    Trace t(options);
    t.Listen();
    t.Receives({.flags = kSyn, .mss = 1000, .sack_permitted = true});
    t.Advance(Duration::Milliseconds(40));
    t.Receives({.flags = kAck, .seq = 1, .ack = 1});
    t.Send(Octets(1000));
    t.ForgetSent();
    t.Advance(Duration::Milliseconds(205));
    ASSERT_THAT(t.Sent(),
                IsSegment({.flags = kPsh | kAck, .seq = 1, .ack = 1, .data = Octets(1000)}));
    EXPECT_EQ(t.counters().loss_probes, probe ? 1u : 0u);
    EXPECT_EQ(t.counters().timeouts, probe ? 0u : 1u);
    EXPECT_EQ(t.tcb()->congestion.cwnd, probe ? 10'000u : 1000u);
    t.Advance(Duration::Milliseconds(205));
    EXPECT_EQ(t.SentNothing(), !probe);
    EXPECT_EQ(t.counters().timeouts, 1u);
    t.Advance(Duration::Milliseconds(205));
    EXPECT_EQ(t.counters().timeouts, probe ? 1u : 2u);
  }
}

// A probe takes the time-out's place only where SACK and RACK are in use and a round trip was
// measured.
TEST(Habits, WhatIsNoSingleSegmentOfASackConnectionTimesOut) {
  struct Case {
    const char* name;
    bool rack, sack_permitted, handshake_timed;
    uint64_t probes, timeouts;
  };
  for (const Case& c :
       {Case{"all is there", true, true, true, 1, 0}, Case{"no RACK", false, true, true, 0, 1},
        Case{"no SACK", true, false, true, 0, 1}, Case{"no round trip", true, true, false, 0, 1}}) {
    SCOPED_TRACE(c.name);
    TraceOptions options;
    options.config.tcp.probe_single_segments = true;
    options.config.tcp.rack = c.rack;
    Trace t(options);
    t.Listen();
    t.Receives({.flags = kSyn, .mss = 1000, .sack_permitted = c.sack_permitted});
    // Karn: a handshake whose SYN-ACK went out twice says nothing of the round trip.
    t.Advance(Duration::Milliseconds(c.handshake_timed ? 40 : 1100));
    t.Receives({.flags = kAck, .seq = 1, .ack = 1});
    t.Send(Octets(1000));
    t.Advance(Duration::Milliseconds(c.handshake_timed ? 205 : 3050));
    EXPECT_EQ(t.counters().loss_probes, c.probes);
    EXPECT_EQ(t.counters().timeouts, c.timeouts);
  }
}

// Linux's window probe lies before what was acknowledged and has no octet.
// Nagle as Minshall has it: full segments in flight do not hold the end of a write, small ones do.
TEST(Habits, EndOfALongWriteWaitsForSmallSegmentsOnly) {
  for (const bool minshall : {false, true}) {
    SCOPED_TRACE(minshall);
    TraceOptions options;
    options.config.tcp.nagle_minshall = minshall;
    Trace t(options);
    t.AcceptFromPeer({.mss = 1000});
    t.Send(Octets(2500));
    EXPECT_EQ(t.AllSent().size(), minshall ? 3u : 2u);
    t.Send(Octets(10, 2500));  // behind a small one, or what was held
    EXPECT_TRUE(t.SentNothing());
    t.Receives({.flags = kAck, .seq = 1, .ack = minshall ? 2501u : 2001u});
    const uint32_t from = minshall ? 2501 : 2001;
    EXPECT_THAT(
        t.Sent(),
        IsSegment({.flags = kAck, .seq = from, .ack = 1, .data = Octets(2511 - from, from - 1)}));
  }
}

TEST(Habits, WindowProbesMayBeEmpty) {
  TraceOptions options;
  options.config.tcp.empty_window_probes = true;
  Trace t(options);
  t.AcceptFromPeer({.mss = 1000});
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 0});
  t.Send(Octets(1000));
  ASSERT_TRUE(t.SentNothing());
  for (const int wait_ms : {205, 405}) {
    t.Advance(Duration::Milliseconds(wait_ms));
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 0, .ack = 1}));
    t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 0});
  }
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 5000});
  EXPECT_THAT(t.Sent(),
              IsSegment({.flags = kPsh | kAck, .seq = 1, .ack = 1, .data = Octets(1000)}));
}

// The RST for data after a full close: behind what was sent, or where the segment says.
TEST(Habits, ResetForDataAfterCloseMayBeMadeFromTheSegment) {
  for (const bool from_segment : {false, true}) {
    SCOPED_TRACE(from_segment);
    TraceOptions options;
    options.config.tcp.reset_from_segment = from_segment;
    Trace t(options);
    t.AcceptFromPeer();
    t.Close();
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kFin | kAck, .seq = 1, .ack = 1}));
    t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "late"});
    if (from_segment) {
      EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst, .seq = 1}));
    } else {
      EXPECT_THAT(t.Sent(), IsSegment({.flags = kRst | kAck, .seq = 2, .ack = 1}));
    }
    EXPECT_EQ(t.counters().abort_on_data, 1u);
    EXPECT_THAT(t.TakeLog(), ::testing::ElementsAre("close aborted"));
    t.ExpectNothingHeld();
  }
}

// A window update goes out when the peer could be held up, not for each read.
TEST(Habits, ReadingAnnouncesTheWindowWhenHalfOfItWasUsed) {
  TraceOptions options;
  options.config.tcp.receive_buffer_bytes = options.config.tcp.receive_buffer_max_bytes = 20'000;
  options.config.tcp.quick_ack_bytes = 20'000;
  Trace t(options);
  t.app().reading = false;
  t.AcceptFromPeer();
  const auto receive = [&t](uint32_t from) {
    t.Receives({.flags = kAck, .seq = 1 + from, .ack = 1, .data = Octets(4000)});
    t.ForgetSent();
  };
  std::vector<std::byte> out(8000);
  receive(0);
  EXPECT_EQ(t.app().socket.Receive(std::span(out).first(4000)), 4000u);
  t.Poll();
  EXPECT_TRUE(t.SentNothing());
  for (uint32_t from = 4000; from < 20'000; from += 4000) receive(from);
  EXPECT_EQ(t.app().socket.Receive(out), 8000u);
  t.Poll();
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 20'001, .window = 12'000}));
}

}  // namespace
}  // namespace millrace::testing
