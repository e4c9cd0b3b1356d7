// Attack classes of tcp-requirements section 3 that are not the subject of another file: what an
// attacker gains is nothing, what he makes us do is bounded, and each attempt has its counter.
//
// All classes and their tests: tests/conformance/attacks.tsv.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "millrace/base/prng.h"
#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// R13: RST, SYN and data at 1,000 places of the window by one who does not know the numbers.
TEST(Attack, BlindInjectionHasNoEffectButAtTheExactPlace) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "real"});
  t.TakeLog();
  for (uint32_t i = 1; i <= 1000; ++i) {
    const uint32_t seq = 5 + i * 65;
    t.Receives({.flags = kRst, .seq = seq});
    t.Receives({.flags = kRst | kAck, .seq = seq, .ack = i * 4'294'967});
    t.Receives({.flags = kSyn, .seq = seq});
    // RFC 5961 5.2: data needs an ACK within SND.MAX.WND of SND.UNA; these have not.
    t.Receives({.flags = kAck, .seq = seq, .ack = 0x4000'0000 + i * 1000, .data = "forged"});
  }
  EXPECT_EQ(t.state(), State::kEstablished);
  EXPECT_THAT(t.TakeLog(), IsEmpty());
  EXPECT_EQ(t.tcb()->receive.packets(), 0u);
  EXPECT_EQ(t.counters().ack_invalid, 1000u);
  EXPECT_EQ(t.counters().syn_challenge, 1000u);
  EXPECT_LE(t.AllSent().size(), 1u);  // no time has passed
  t.Receives({.flags = kRst, .seq = 5});
  EXPECT_EQ(t.FlowState(), State::kClosed);
}

// Our own segments sent back to us, for ten seconds: no storm.
TEST(Attack, ReflectedOutputDecays) {
  Trace t;
  t.AcceptFromPeer();
  t.Send("data");
  const uint32_t shift = t.host_isn().Since(SeqNum(t.options().peer_isn));
  size_t sent = 0;
  for (int ms = 0; ms < 10'000; ++ms) {
    t.Advance(Duration::Milliseconds(1));
    for (Seg seg : t.AllSent()) {
      ++sent;
      seg.seq += shift;
      seg.ack -= shift;
      t.Receives(seg);
    }
  }
  EXPECT_LE(sent, 40u);  // retransmissions, and two challenges a second
  EXPECT_EQ(t.state(), State::kEstablished);
}

// SegmentSmack (CVE-2018-5390): octets in random order with a hole before them.
TEST(Attack, RandomOrderOctetsAreHeldWithinBounds) {
  Trace t;
  t.AcceptFromPeer();
  Prng dice(1);
  for (int i = 0; i < 20'000; ++i) {
    const uint32_t at = 3 + 2 * static_cast<uint32_t>(dice.Below(30'000));
    t.Receives({.flags = kAck, .seq = at, .ack = 1, .data = "x"});
    ASSERT_LE(t.port().live(), 100u);
    t.ForgetSent();
  }
  EXPECT_GT(t.counters().ofo_drop, 10'000u);
  // The hole is filled; what the peer has not been told is lost is still taken.
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "ab"});
  EXPECT_EQ(t.app().received.substr(0, 2), "ab");
}

// CVE-2019-11479: a peer that asks for one octet per segment.
TEST(Attack, TinyMssIsNotBelieved) {
  for (const uint16_t mss : std::initializer_list<uint16_t>{0, 1, 8, 48, 64, 215}) {
    Trace t;
    t.AcceptFromPeer({.mss = mss});
    t.Send(Octets(2160));
    EXPECT_EQ(t.AllSent().size(), 10u) << mss;
  }
}

// Optimistic ACK: octets acknowledged before they were sent open no window.
TEST(Attack, OptimisticAckGainsNothing) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(100'000));
  const uint32_t cwnd = t.tcb()->congestion.cwnd;
  t.ForgetSent();
  for (uint32_t i = 1; i <= 1000; ++i) {
    t.Receives({.flags = kAck, .seq = 1, .ack = 1 + cwnd + i * 1000});
  }
  EXPECT_EQ(t.counters().ack_invalid, 1000u);
  EXPECT_EQ(t.tcb()->congestion.cwnd, cwnd);
  for (const Seg& seg : t.AllSent()) EXPECT_TRUE(seg.data.empty()) << seg;
}

// Repeated for ten seconds: each is counted, two a second are answered, nothing goes out early.
TEST(Attack, RepeatedOptimisticAcksAreAnsweredTwiceASecond) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(100'000));
  const uint32_t end = 1 + t.tcb()->congestion.cwnd;
  t.ForgetSent();
  size_t answers = 0;
  for (uint32_t i = 1; i <= 1000; ++i) {
    t.Advance(Duration::Milliseconds(10));
    t.Receives({.flags = kAck, .seq = 1, .ack = end + i});
    for (const Seg& seg : t.AllSent()) {
      answers += seg.data.empty();
      EXPECT_LE(seg.seq + seg.data.size(), end);
    }
  }
  EXPECT_EQ(t.counters().ack_invalid, 1000u);
  EXPECT_LE(answers, 21u);
  t.Receives({.flags = kAck, .seq = 1, .ack = end});
  EXPECT_FALSE(t.SentNothing()) << "the true one counts";
}

// 1,000 forged duplicate ACKs while nothing is in flight, and with other windows, do nothing.
TEST(Attack, SpoofedDuplicateAcksInflateNothing) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  const uint32_t cwnd = t.tcb()->congestion.cwnd;
  for (int i = 0; i < 1000; ++i) t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_EQ(t.tcb()->congestion.cwnd, cwnd);
  EXPECT_TRUE(t.SentNothing());
}

// With data in flight, of a peer without SACK: no more than the segments that may have left the
// network are replaced (RFC 5681 3.2). A round trip later it is those that went out meanwhile.
TEST(Attack, SpoofedDuplicateAcksReplaceNoMoreThanWasInFlight) {
  Trace t(NewReno());
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(100'000));
  const auto spoof = [&](uint32_t ack) {
    size_t end = 0;
    for (int i = 0; i < 1000; ++i) t.Receives({.flags = kAck, .seq = 1, .ack = ack});
    for (const Seg& seg : t.AllSent()) end = std::max(end, seg.seq + seg.data.size());
    return end;
  };
  EXPECT_LE(spoof(1), 18'001u);  // by limited transmit 12 in flight, so ssthresh 6
  t.Receives({.flags = kAck, .seq = 1, .ack = 1001});
  EXPECT_LE(spoof(1001), 24'001u);  // ssthresh 6, flight 17
}

// A window of a few octets: no more segments than the override time-out lets go.
TEST(Attack, OneOctetWindowsDoNotMakeAStreamOfTinySegments) {
  for (const uint16_t window : std::initializer_list<uint16_t>{1, 2, 5, 10}) {
    SCOPED_TRACE(window);
    Trace t;
    t.AcceptFromPeer({.mss = 1000});
    t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = window});
    t.Send(Octets(10'000));
    uint32_t ack = 1;
    size_t segments = 0;
    for (int i = 0; i < 1000; ++i) {
      t.Advance(Duration::Milliseconds(10));
      for (const Seg& seg : t.AllSent()) {
        ++segments;
        ack = std::max(ack, seg.seq + static_cast<uint32_t>(seg.data.size()));
        t.Receives({.flags = kAck, .seq = 1, .ack = ack, .window = window});
      }
    }
    EXPECT_LE(segments, 55u);  // five a second at most: the least RTO is 200 ms
  }
}

// sockstress: as many connections as there is room for sit behind closed windows. With a user
// time-out they go, and others are served.
TEST(Attack, ConnectionsBehindClosedWindowsGoByUserTimeout) {
  TraceOptions options;
  options.config.tcp.liveness.user_timeout = Duration::Seconds(20);
  Trace t(options);
  t.Listen(64);
  t.app().in_open = [](stack::Socket s) {
    constexpr std::byte kAnswer[100] = {};
    s.Send(kAnswer);
  };
  for (uint16_t port = 1; port <= 64; ++port) {
    t.ForgetIsn();
    t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kSyn, .seq = 0});
    t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kAck, .seq = 1, .ack = 1, .window = 0});
  }
  EXPECT_EQ(t.engine().connections().used(), 64u);
  t.Advance(Duration::Seconds(21));
  EXPECT_EQ(t.engine().connections().used(), 0u);
  EXPECT_EQ(t.counters().abort_on_timeout, 63u);
  EXPECT_EQ(t.counters().abort_on_memory, 1u) << "there was no room: see the next test";
  t.ForgetIsn();
  t.ForgetSent();
  t.TakeLog();
  t.Receives({.flags = kSyn, .seq = 0});
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open"));
}

// sockstress without any limit of time: there is hardly any room left, so those that are stuck make
// some, one for each that comes, those that have been stuck for longest first; nobody else goes.
TEST(Attack, ClosedWindowsMakeRoomTheOldestFirst) {
  Trace t;
  t.Listen(64);
  t.app().in_open = [](stack::Socket s) {
    constexpr std::byte kAnswer[100] = {};
    s.Send(kAnswer);
  };
  std::vector<uint16_t> gone;
  t.app().in_close = [&](stack::Socket s) { gone.push_back(s.remote().port); };
  const auto open = [&](uint16_t first, uint16_t last, bool stuck) {
    for (uint16_t port = first; port <= last; ++port) {
      t.ForgetIsn();
      const uint16_t window = stuck ? 0 : 65'535;
      t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kSyn, .seq = 0});
      t.ReceivesFrom(Trace::kPeerAddress, port, 80,
                     {.flags = kAck, .seq = 1, .ack = 1, .window = window});
      if (!stuck) {
        t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kAck, .seq = 1, .ack = 101});
      }
      for (int ms = 0; ms < 3; ++ms) t.Advance(Duration::Milliseconds(1));  // two walks
    }
  };
  open(1, 20, true);
  t.Advance(Duration::Seconds(20));
  open(21, 40, true);
  open(41, 63, false);
  t.Advance(Duration::Seconds(3));
  EXPECT_THAT(gone, IsEmpty()) << "there is room for one more";
  open(64, 83, false);
  EXPECT_EQ(t.engine().tcp_counters().connections_full, 0u);
  ASSERT_EQ(gone.size(), 20u);
  EXPECT_TRUE(std::all_of(gone.begin(), gone.end(), [](uint16_t port) { return port <= 20; }));
  gone.clear();
  open(84, 103, false);
  EXPECT_TRUE(
      std::all_of(gone.begin(), gone.end(), [](uint16_t port) { return port > 20 && port <= 40; }));
  EXPECT_EQ(t.counters().abort_on_memory, 40u);
  // All that are left are served: there is no room for more, and it stays so.
  gone.clear();
  open(104, 104, false);
  t.Advance(Duration::Seconds(1));
  EXPECT_THAT(gone, IsEmpty());
  EXPECT_EQ(t.engine().connections().used(), 64u);
}

// The same peers towards an application that has closed: nobody is left to wait for what they do
// not take, so answers to probes are no sign of life, and R2 ends it; of a window that opens and
// closes neither.
TEST(Attack, ClosedWindowsHoldNoConnectionThatTheApplicationHasClosed) {
  TraceOptions options;
  options.config.tcp.r2 = Duration::Seconds(10);
  for (const State state : {State::kFinWait1, State::kClosing, State::kLastAck}) {
    for (const bool blinking : {false, true}) {
      SCOPED_TRACE(std::string(ToString(state)) + (blinking ? " blinking" : ""));
      Trace t(options);
      const Trace::Place at = t.Reach(state);
      t.Close();
      for (int i = 0; i < 400 && t.FlowState() != State::kClosed; ++i) {
        t.Receives({.flags = kAck, .seq = at.rcv_nxt, .ack = at.snd_una, .window = 0});
        if (blinking) t.Receives({.flags = kAck, .seq = at.rcv_nxt, .ack = at.snd_una});
        t.Advance(Duration::Milliseconds(100));
      }
      EXPECT_EQ(t.FlowState(), State::kClosed);
      EXPECT_EQ(t.counters().abort_on_timeout, 1u);
      t.ExpectNothingHeld();
    }
  }
}

// And when the window was closed before anything went out.
TEST(Attack, ClosedWindowHoldsNoUnsentDataOfAnApplicationThatHasClosed) {
  TraceOptions options;
  options.config.tcp.r2 = Duration::Seconds(10);
  for (const uint16_t opening : std::initializer_list<uint16_t>{0, 1}) {
    SCOPED_TRACE(opening);
    Trace t(options);
    t.AcceptFromPeer();
    t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 0});
    t.Send("never taken");
    t.Close();
    for (int i = 0; i < 400 && t.FlowState() != State::kClosed; ++i) {
      t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = opening});
      t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = 0});
      t.Advance(Duration::Milliseconds(100));
    }
    EXPECT_EQ(t.FlowState(), State::kClosed);
    t.ExpectNothingHeld();
  }
}

// Opens and closes a connection from each of the peer's ports 1 to `count`.
void CloseMany(Trace& t, uint16_t count) {
  t.Listen(64);
  t.app().in_open = [](stack::Socket s) { s.Close(); };
  for (uint16_t port = 1; port <= count; ++port) {
    t.ForgetIsn();
    t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kSyn, .seq = 0});
    t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kAck, .seq = 1, .ack = 1});
    t.ReceivesFrom(Trace::kPeerAddress, port, 80, {.flags = kFin | kAck, .seq = 1, .ack = 2});
    t.Advance(Duration::Milliseconds(1));
  }
}

// TIME-WAIT exhaustion: twice as many closes as there are records.
TEST(Attack, TimeWaitsBeyondTheirBoundGoOldestFirst) {
  Trace t;
  CloseMany(t, 128);
  EXPECT_EQ(t.engine().time_waits().used(), 64u);
  EXPECT_EQ(t.counters().time_wait_evicted, 64u);
  EXPECT_EQ(t.engine().connections().used(), 0u);
}

// A large pool makes room for several at once: one in 1024 of it, and never more than 32.
TEST(Attack, TimeWaitsOfALargePoolGoInBatches) {
  TraceOptions options;
  options.config.limits.time_wait = 3 * 1024;
  Trace t(options);
  CloseMany(t, 3 * 1024 + 1);
  EXPECT_EQ(t.counters().time_wait_evicted, 3u);
  EXPECT_EQ(t.engine().time_waits().used(), 3u * 1024 - 2);
  t.Receives({.flags = kSyn, .seq = 0});  // and the table is in order
  EXPECT_EQ(t.FlowState(), State::kSynReceived);
}

// LAND: source and destination the same.
TEST(Attack, LandIsDropped) {
  Trace t;
  t.Listen();
  t.ReceivesFrom(Trace::kHostAddress, 80, 80, {.flags = kSyn, .seq = 0});
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.engine().half_opens().used(), 0u);
  if (t.v6()) return;  // has its own names for the same drop
  const stack::Counters& c = t.engine().counters();
  EXPECT_EQ(c.dropped(wire::DropReason::kLand) + c.dropped(wire::DropReason::kIpSource), 1u);
}

}  // namespace
}  // namespace millrace::testing
