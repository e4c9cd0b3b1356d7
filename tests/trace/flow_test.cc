// Windows in both directions, zero-window probes, when ACKs and small segments go out (group FLW;
// RFC 9293 3.7.4 and 3.8.6).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

uint32_t EndOf(const Seg& seg) { return seg.seq + static_cast<uint32_t>(seg.data.size()); }

Seg WindowUpdate(uint32_t ack, uint16_t window) {
  return {.flags = kAck, .seq = 1, .ack = ack, .window = window};
}

// FLW-01: whatever the peer offers, nothing is sent beyond it.
TEST(Flow, NothingIsSentBeyondTheOfferedWindow) {
  constexpr uint16_t kWindows[] = {3000, 0, 700, 10'000, 999, 1000, 1, 2500, 60'000, 1999};
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Receives(WindowUpdate(1, 0));
  t.Send(Octets(200'000));
  uint32_t ack = 1, edge = 1;
  for (int i = 0; i < 500; ++i) {
    const uint16_t window = kWindows[(i * 7 + i / 10) % 10];
    if (ack + window < edge) continue;  // the peer does not shrink its window either
    edge = ack + window;
    t.Receives(WindowUpdate(ack, window));
    while (const std::optional<Seg> seg = t.Sent()) {
      EXPECT_LE(EndOf(*seg), edge) << *seg;
      EXPECT_EQ(seg->data, Octets(seg->data.size(), seg->seq - 1)) << *seg;
      if (seg->seq == ack) ack = EndOf(*seg);
    }
  }
  EXPECT_EQ(ack, 200'001u);
}

// FLW-02 (SHLD-14): the right edge that is advertised never moves left, with scaling neither.
TEST(Flow, OwnRightEdgeNeverMovesLeft) {
  for (const bool scaling : {false, true}) {
    SCOPED_TRACE(scaling);
    Trace t;
    Seg syn{.mss = 1460};
    if (scaling) syn.window_scale = 0;
    t.AcceptFromPeer(syn);
    t.app().log_data = false;
    const int shift = scaling ? 3 : 0;
    uint32_t ack = 1, edge = 1 + 65'535;
    for (uint32_t i = 0; i < 1500; ++i) {
      t.app().read_budget = i % 97 == 0 ? 200'000 : i % 3 == 0 ? 1460 : 100 + i % 41;
      if (i % 5 == 0) t.app().socket.Resume();
      const uint32_t length = std::min<uint32_t>(edge - ack, i % 4 == 0 ? 77 : 1460);
      t.Receives({.flags = kAck, .seq = ack, .ack = 1, .data = Octets(length, ack - 1)});
      t.Advance(Duration::Milliseconds(50));
      while (const std::optional<Seg> seg = t.Sent()) {
        const uint32_t next = seg->ack + (uint32_t{*seg->window} << shift);
        EXPECT_GE(next, edge) << *seg;
        edge = std::max(edge, next);
        ack = std::max(ack, seg->ack);
      }
    }
    EXPECT_GT(ack, 200'000u);
    EXPECT_EQ(t.app().received, Octets(t.app().received.size()));
  }
}

// FLW-03 (MUST-34): "a sending TCP peer MUST be robust against window shrinking".
TEST(Flow, PeerThatShrinksItsWindowGetsTheRestInsideIt) {
  constexpr uint32_t kBytes = 8000;
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(kBytes));
  EXPECT_EQ(t.AllSent().size(), 8u);
  uint32_t ack = 1;
  t.Receives(WindowUpdate(ack, 2000));
  EXPECT_TRUE(t.SentNothing());
  for (int i = 0; i < 50 && ack <= kBytes; ++i) {
    t.Advance(Duration::Milliseconds(500));
    const uint32_t edge = ack + 2000;
    while (const std::optional<Seg> seg = t.Sent()) {
      EXPECT_LE(EndOf(*seg), edge) << *seg;
      EXPECT_EQ(seg->data, Octets(seg->data.size(), seg->seq - 1));
      if (seg->seq <= ack) ack = std::max(ack, EndOf(*seg));
    }
    t.Receives(WindowUpdate(ack, 2000));
  }
  EXPECT_EQ(ack, 1 + kBytes);
  EXPECT_EQ(t.state(), State::kEstablished);
}

// FLW-03: down to nothing: probed, not aborted, also after a long time.
TEST(Flow, PeerThatClosesItsWindowUnderDataInFlightIsProbed) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Send(Octets(3000));
  EXPECT_EQ(t.AllSent().size(), 3u);
  t.Receives(WindowUpdate(1, 0));
  for (int i = 0; i < 300; ++i) {
    t.Advance(Duration::Seconds(1));
    while (const std::optional<Seg> seg = t.Sent()) {
      EXPECT_THAT(seg, IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1)}));
      t.Receives(WindowUpdate(1, 0));
    }
  }
  EXPECT_EQ(t.state(), State::kEstablished);
  t.Receives(WindowUpdate(1, 5000));
  t.Advance(Duration::Milliseconds(500));
  uint32_t end = 1;
  for (const Seg& seg : t.AllSent()) end = std::max(end, EndOf(seg));
  EXPECT_GT(end, 1000u);
}

// FLW-04 (MUST-36, SHLD-29, SHLD-30): the first probe after the retransmission time-out, then twice
// as long each time, to a limit. The times between them, in ms, for answered probes.
TEST(Flow, ZeroWindowIsProbedAfterTheTimeoutAndThenLessAndLess) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Receives(WindowUpdate(1, 0));
  t.Send(Octets(3000));
  EXPECT_TRUE(t.SentNothing());
  int64_t expected_ms = 200;
  Instant last = t.now();
  for (int probes = 0; probes < 12;) {
    t.Advance(Duration::Milliseconds(1));
    const std::optional<Seg> probe = t.Sent();
    const int64_t passed_ms = (t.now() - last).ns() / 1'000'000;
    ASSERT_LE(passed_ms, expected_ms + 2) << "probe " << probes;
    if (!probe.has_value()) continue;
    ++probes;
    EXPECT_THAT(probe, IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1)}));
    EXPECT_GE(passed_ms, expected_ms) << "probe " << probes;
    expected_ms = std::min<int64_t>(2 * expected_ms, 60'000);
    last = t.now();
    t.Receives(WindowUpdate(1, 0));
  }
}

// FLW-05 (MUST-37): "As long as the receiving TCP peer continues to send acknowledgments in
// response to the probe segments, the sending TCP peer MUST allow the connection to stay open."
TEST(Flow, ZeroWindowIsProbedForEverWhileItIsAnswered) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  t.Receives(WindowUpdate(1, 0));
  t.Send(Octets(3000));
  for (int minute = 0; minute < 24 * 60; ++minute) {
    t.Advance(Duration::Seconds(60));
    if (t.SentNothing()) continue;
    t.ForgetSent();
    t.Receives(WindowUpdate(1, 0));
  }
  EXPECT_EQ(t.state(), State::kEstablished);
  t.Receives(WindowUpdate(1, 5000));
  uint32_t end = 1;
  for (const Seg& seg : t.AllSent()) end = std::max(end, EndOf(seg));
  EXPECT_EQ(end, 3001u);
}

// FLW-06 (MUST-20, SHLD-11): R2 is at least 100 s.
TEST(Flow, UnansweredProbesEndTheConnectionAfterR2) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives(WindowUpdate(1, 0));
  t.Send("data");
  t.Advance(Duration::Seconds(100));
  EXPECT_EQ(t.state(), State::kEstablished);
  t.Advance(Duration::Seconds(150));
  EXPECT_THAT(t.TakeLog(), ElementsAre("close timed out"));
  t.ExpectNothingHeld();
}

// FLW-07: RFC 2525 2.12: the update that opened the window was lost; the answer to a probe says it
// again, with the probe's octet taken or refused.
TEST(Flow, ProbeRecoversALostWindowUpdate) {
  for (const uint32_t ack : {1u, 2u}) {
    SCOPED_TRACE(ack);
    Trace t;
    t.AcceptFromPeer({.mss = 1000});
    t.Receives(WindowUpdate(1, 0));
    t.Send(Octets(3000));
    t.Advance(Duration::Milliseconds(250));
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1)}));
    t.Receives(WindowUpdate(ack, 5000));
    EXPECT_THAT(t.Sent(),
                IsSegment({.flags = kAck, .seq = ack, .ack = 1, .data = Octets(1000, ack - 1)}));
    uint32_t end = 0;
    for (const Seg& seg : t.AllSent()) end = std::max(end, EndOf(seg));
    // With ack 2 the last 999 octets wait for Nagle.
    EXPECT_EQ(end, ack == 1 ? 3001u : 2002u);
    t.Receives(WindowUpdate(end, 5000));
    t.Receives(WindowUpdate(3001, 5000));
    EXPECT_EQ(t.tcb()->flight(), 0u);
  }
}

// FLW-07, RFC 9293 A.2: a peer with a closed window takes the ACK of a segment at its RCV.NXT
// only, so the octet of a refused probe must not count in the ACKs that follow it.
TEST(Flow, AckBetweenProbesIsAcceptableToAPeerWithAClosedWindow) {
  Trace t;
  t.AcceptFromPeer();
  t.Receives(WindowUpdate(1, 0));
  t.Send(Octets(3000));
  t.Advance(Duration::Milliseconds(250));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1)}));
  t.Receives(WindowUpdate(1, 0));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "text", .window = 0});
  t.Advance(Duration::Milliseconds(60));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 5}));
}

// FLW-08 (MUST-39): RCV.BUFF - RCV.USER - RCV.WND >= min(Fr * RCV.BUFF, Eff.snd.MSS).
TEST(Flow, WindowOfASlowReaderOpensBySegmentsNotByOctets) {
  TraceOptions options;
  options.config.tcp.receive_buffer_bytes = 4000;
  Trace t(options);
  t.AcceptFromPeer({.mss = 1460});
  t.app().reading = false;
  for (uint32_t i = 0; i < 4; ++i) {
    t.Receives({.flags = kAck, .seq = 1 + 1000 * i, .ack = 1, .data = Octets(1000, 1000 * i)});
  }
  t.Advance(Duration::Milliseconds(100));
  EXPECT_THAT(t.AllSent().back(), SegmentIs({.flags = kAck, .seq = 1, .ack = 4001, .window = 0}));
  t.app().reading = true;
  for (int i = 1; i <= 15; ++i) {
    t.app().read_budget = 100;
    t.app().socket.Resume();
    t.Poll();
    t.Advance(Duration::Milliseconds(100));
    if (i < 15) {
      EXPECT_TRUE(t.SentNothing()) << 100 * i;
    } else {
      EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 4001, .window = 1500}));
    }
  }
}

// A handshake with a peer that never offers more than `window`.
void AcceptWithWindow(Trace& t, uint16_t window) {
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0, .window = window, .mss = 1000});
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .window = window});
  t.ForgetSent();
  t.TakeLog();
}

// FLW-09 (MUST-38): a window that is small against the segment size and against the largest that
// was offered is left alone until the override time-out, 0.1 to 1 s.
TEST(Flow, SmallWindowIsNotFilledBeforeTheOverrideTimeout) {
  Trace t;
  AcceptWithWindow(t, 800);
  t.Receives(WindowUpdate(1, 399));
  t.Send(Octets(5000));
  t.Advance(Duration::Milliseconds(99));
  EXPECT_TRUE(t.SentNothing());
  t.Advance(Duration::Milliseconds(901));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(399)}));
}

// FLW-09: "if at least a fraction Fs of the maximum window can be sent", Fs = 1/2.
TEST(Flow, HalfOfTheLargestWindowIsSentAtOnce) {
  Trace t;
  AcceptWithWindow(t, 800);
  t.Receives(WindowUpdate(1, 400));
  t.Send(Octets(5000));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(400)}));
  EXPECT_TRUE(t.SentNothing());
}

// FLW-10, FLW-15 (SHLD-7): "If there is unacknowledged data ... then the sending TCP endpoint
// buffers all user data ... until the outstanding data has been acknowledged or until the TCP
// endpoint can send a full-sized segment".
TEST(Flow, NagleGathersSmallWritesWhileDataIsUnacknowledged) {
  Trace t;
  t.AcceptFromPeer({.mss = 1000});
  for (uint32_t i = 0; i < 100; ++i) t.Send(Octets(1, i));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1, .data = Octets(1)}));
  EXPECT_TRUE(t.SentNothing());
  t.Receives(WindowUpdate(2, 65'535));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 1, .data = Octets(99, 1)}));
  t.Send(Octets(1000, 100));  // a full segment need not wait
  EXPECT_THAT(t.Sent(),
              IsSegment({.flags = kAck, .seq = 101, .ack = 1, .data = Octets(1000, 100)}));
}

// FLW-10 (MUST-17): "a way for an application to disable the Nagle algorithm".
TEST(Flow, WithoutNagleEachWriteGoesAtOnce) {
  Trace t;
  t.AcceptFromPeer();
  t.app().socket.SetNoDelay(true);
  for (uint32_t i = 0; i < 5; ++i) {
    t.Send(Octets(1, i));
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1 + i, .ack = 1, .data = Octets(1, i)}));
  }
  t.app().socket.SetNoDelay(false);
  t.Send("x");
  EXPECT_TRUE(t.SentNothing());
}

// FLW-11 (MUST-40, SHLD-18): "an ACK ... MUST be delayed less than 0.5 seconds".
TEST(Flow, AckOfASmallSegmentIsDelayedLessThanHalfASecond) {
  Trace t;
  t.AcceptFromPeer({.mss = 1460});
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "text"});
  t.Advance(Duration::Milliseconds(30));
  EXPECT_TRUE(t.SentNothing());
  t.Advance(Duration::Milliseconds(469));
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 5}));
  EXPECT_TRUE(t.SentNothing());
}

// FLW-11: the answer carries the ACK.
TEST(Flow, AckRidesOnTheAnswer) {
  Trace t;
  t.AcceptFromPeer();
  t.app().reply_on_data = "answer";
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "text"});
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 5, .data = "answer"}));
  t.Receives(Seg{.flags = kAck, .seq = 5, .ack = 7});
  t.Advance(Duration::Seconds(1));
  EXPECT_TRUE(t.SentNothing());
}

// FLW-11 (SHLD-19): "for at least every second full-sized segment", with and without options.
TEST(Flow, EverySecondFullSegmentIsAcknowledgedAtOnce) {
  for (const bool timestamps : {false, true}) {
    SCOPED_TRACE(timestamps);
    const uint32_t length = timestamps ? 1448 : 1460;
    Trace t;
    Seg segment{.mss = 1460};
    if (timestamps) segment.tsval = 10, segment.tsecr = 0;
    t.AcceptFromPeer(segment);
    segment.mss.reset();
    segment.flags = kAck;
    segment.ack = 1;
    for (uint32_t i = 0; i < 6; ++i) {
      segment.seq = 1 + i * length;
      segment.data = Octets(length, i * length);
      t.Receives(segment);
      if (i % 2 == 0) {
        EXPECT_TRUE(t.SentNothing()) << i;
      } else {
        EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1 + (i + 1) * length}));
      }
    }
  }
}

// FLW-12: RFC 5681 4.2: at once when a gap appears, and when a segment fills all or part of one.
TEST(Flow, GapAndItsFillingAreAcknowledgedAtOnce) {
  Trace t;
  t.AcceptFromPeer();
  for (const uint32_t seq : {11u, 31u, 1u, 21u}) {
    t.Receives({.flags = kAck, .seq = seq, .ack = 1, .data = Octets(10, seq - 1)});
    const uint32_t ack = seq == 1 ? 21 : seq == 21 ? 41 : 1;
    EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = ack})) << seq;
    EXPECT_TRUE(t.SentNothing()) << seq;
  }
}

// FLW-13 (MUST-58, MUST-59): "a TCP implementation MUST process each segment and then ACK once".
TEST(Flow, BurstIsAcknowledgedOnce) {
  Trace t;
  t.AcceptFromPeer({.mss = 1460});
  std::vector<Seg> burst;
  for (uint32_t i = 0; i < 16; ++i) {
    burst.push_back({.flags = kAck, .seq = 1 + i * 1460, .ack = 1, .data = Octets(1460, i * 1460)});
  }
  t.ReceivesBurst(burst);
  EXPECT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1 + 16 * 1460}));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.app().received, Octets(16 * 1460));
}

// FLW-16 (REC-1): 65535 << 14 octets, and sequence numbers that wrap inside of them.
TEST(Flow, LargestWindowKeepsItsArithmetic) {
  constexpr uint32_t kLargest = 65'535u << 14;
  Trace t;
  t.AwaitIsnBelowWrap(5000);
  t.AcceptFromPeer({.mss = 1000, .window_scale = 14});
  EXPECT_EQ(t.tcb()->snd_wnd, kLargest);
  t.Send(Octets(100'000));
  uint32_t ack = 1;
  for (int i = 0; i < 200 && ack < 100'001; ++i) {
    while (const std::optional<Seg> seg = t.Sent()) {
      EXPECT_EQ(seg->seq, ack);
      EXPECT_EQ(seg->data, Octets(seg->data.size(), ack - 1));
      ack = EndOf(*seg);
    }
    t.Receives(WindowUpdate(ack, 65'535));
  }
  EXPECT_EQ(ack, 100'001u);
  // RFC 5961 5.2 with this MAX.SND.WND.
  t.Receives({.flags = kAck, .seq = 1, .ack = ack - kLargest - 1, .data = "older"});
  EXPECT_THAT(t.TakeLog(), IsEmpty());
  t.Receives({.flags = kAck, .seq = 1, .ack = ack - kLargest, .data = "old"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("data old"));
}

}  // namespace
}  // namespace millrace::testing
