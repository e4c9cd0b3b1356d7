// TIME-WAIT: 2MSL, retransmitted FINs, resets (RFC 1337) and reuse of the tuple (RFC 6191); the
// second half of group CLS.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kLastTsval = 5000;  // of the peer's FIN

// Leads to TIME-WAIT by our close: what we sent ends at 2, what the peer sent ends at 2.
void EnterTimeWait(Trace& t, bool timestamps = false) {
  Seg syn{.mss = 1460};
  if (timestamps) {
    syn.tsval = kLastTsval - 10;
    syn.tsecr = 0;
  }
  t.AcceptFromPeer(syn);
  t.Close();
  t.ForgetSent();
  Seg fin{.flags = kFin | kAck, .seq = 1, .ack = 2};
  if (timestamps) {
    fin.tsval = kLastTsval;
    fin.tsecr = 0;
  }
  t.Receives(fin);
  ASSERT_THAT(t.Sent(), IsSegment({.flags = kAck, .seq = 2, .ack = 2}));
  ASSERT_EQ(t.FlowState(), State::kTimeWait);
  t.TakeLog();
}

// CLS-15 (MUST-13): never early, late by at most a tick of the 2MSL wheel (67 ms).
TEST(TimeWait, LastsTwoMslAndATickAtMost) {
  for (int phase_ms : {0, 20, 41, 66}) {
    SCOPED_TRACE(phase_ms);
    Trace t;
    t.Advance(Duration::Milliseconds(phase_ms));
    EnterTimeWait(t);
    t.Advance(Duration::Milliseconds(59'999));
    EXPECT_EQ(t.FlowState(), State::kTimeWait);
    t.Advance(Duration::Milliseconds(1 + 68));
    EXPECT_EQ(t.FlowState(), State::kClosed);
    EXPECT_TRUE(t.SentNothing());
    t.ExpectNothingHeld();
  }
}

TEST(TimeWait, LastsAsLongAsConfigured) {
  TraceOptions options;
  options.config.tcp.time_wait = Duration::Seconds(240);
  Trace t(options);
  EnterTimeWait(t);
  t.Advance(Duration::Seconds(239));
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  t.Advance(Duration::Seconds(2));
  EXPECT_EQ(t.FlowState(), State::kClosed);
}

// CLS-14: "Acknowledge it, and restart the 2 MSL timeout."
TEST(TimeWait, RetransmittedFinIsAcknowledgedAndRestartsTwoMsl) {
  for (uint32_t peer_isn : {1'000'000u, 0xFFFF'FFFEu, 0xFFFF'FFFDu}) {
    SCOPED_TRACE(peer_isn);
    TraceOptions options;
    options.peer_isn = peer_isn;
    Trace t(options);
    EnterTimeWait(t);
    for (int again = 0; again < 3; ++again) {
      t.Advance(Duration::Seconds(50));
      t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 2});
      EXPECT_THAT(t.AllSent(), ElementsAre(SegmentIs({.flags = kAck, .seq = 2, .ack = 2})));
    }
    t.Advance(Duration::Milliseconds(59'999));
    EXPECT_EQ(t.FlowState(), State::kTimeWait);
    t.Advance(Duration::Milliseconds(100));
    EXPECT_EQ(t.FlowState(), State::kClosed);
  }
}

// CLS-14: a FIN that comes again with its data is the same FIN.
TEST(TimeWait, RetransmittedFinWithItsDataRestartsTwoMslToo) {
  Trace t;
  t.AcceptFromPeer();
  t.Shutdown();
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 2, .data = "bye"});
  ASSERT_EQ(t.FlowState(), State::kTimeWait);
  t.ForgetSent();
  t.Advance(Duration::Seconds(50));
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = 2, .data = "bye"});
  EXPECT_THAT(t.AllSent(), ElementsAre(SegmentIs({.flags = kAck, .seq = 2, .ack = 5})));
  t.Advance(Duration::Seconds(50));
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  EXPECT_EQ(t.app().received, "bye");
}

// CLS-16, RFC 1337 figure 1: the old duplicate (5.1) is acknowledged (5.2); the peer, which knows
// nothing any more, answers with a reset (5.3) that must not end TIME-WAIT.
TEST(TimeWait, Rfc1337Figure1DoesNotAssassinate) {
  Trace t;
  EnterTimeWait(t);
  t.Receives({.flags = kAck, .seq = 0u - 45, .ack = 0u - 67, .data = "old duplicate"});
  EXPECT_THAT(t.AllSent(), ElementsAre(SegmentIs({.flags = kAck, .seq = 2, .ack = 2})));
  t.Receives({.flags = kRst, .seq = 2});  // "<SEQ=SEG.ACK><CTL=RST>"
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.counters().time_wait_rst_ignored, 1u);
  t.Advance(Duration::Milliseconds(59'900));
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
}

// RFC 1337 figures 2 to 4 begin with the reset of figure 1 and a new connection of the same tuple
// right after it. With TIME-WAIT alive our side does not open one (H1, H2 and H3 cannot begin).
TEST(TimeWait, Rfc1337Figures2To4CannotBegin) {
  Trace t;
  EnterTimeWait(t);
  t.Receives({.flags = kRst, .seq = 2});
  stack::Socket socket;
  const Endpoint local{t.AddressOf(Trace::kHostAddress), t.options().local_port};
  const Endpoint remote{t.AddressOf(Trace::kPeerAddress), t.options().peer_port};
  EXPECT_EQ(t.engine().ConnectFrom(local, remote, 0, &socket), stack::ConnectResult::kNoPorts);
  t.Poll();
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
}

// RFC 1337 figure 3 (H2): two ends that acknowledge each other's unacceptable ACK stop doing so.
TEST(TimeWait, Rfc1337Figure3IsNoEndlessLoop) {
  Trace t;
  t.AcceptFromPeer();
  size_t answers = 0;
  for (int round = 0; round < 1000; ++round) {
    t.Receives({.flags = kAck, .seq = 1, .ack = 500});  // of something never sent
    answers += t.AllSent().size();
    t.Advance(Duration::Milliseconds(1));
  }
  EXPECT_LE(answers, 2u);
  EXPECT_GE(answers, 1u);
  EXPECT_EQ(t.state(), State::kEstablished);
}

// RFC 1337 figure 4 (H3): an old ACK draws a reset out of SYN-SENT and leaves the opening alone.
TEST(TimeWait, Rfc1337Figure4OldAckDoesNotEndAnOpening) {
  Trace t;
  t.Connect();
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 300, .ack = 300});
  EXPECT_THAT(t.AllSent(), ElementsAre(SegmentIs({.flags = kRst, .seq = 300})));
  EXPECT_EQ(t.state(), State::kSynSent);
}

TEST(TimeWait, HonoursAResetOnlyWhenConfiguredAndOnlyAnExactOne) {
  TraceOptions options;
  options.config.tcp.time_wait_honours_rst = true;
  Trace t(options);
  EnterTimeWait(t);
  t.Receives({.flags = kRst, .seq = 3});
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  t.Receives({.flags = kRst, .seq = 2});
  EXPECT_EQ(t.FlowState(), State::kClosed);
}

// CLS-17
TEST(TimeWait, OldDataIsAcknowledgedAtALimitedRate) {
  Trace t;
  EnterTimeWait(t);
  size_t acks = 0;
  for (int i = 0; i < 2000; ++i) {
    t.Receives({.flags = kAck, .seq = 0u - 100, .ack = 1, .data = "old"});
    for (const Seg& sent : t.AllSent()) {
      EXPECT_THAT(sent, SegmentIs({.flags = kAck, .seq = 2, .ack = 2}));
      ++acks;
    }
    t.Advance(Duration::Milliseconds(1));
  }
  EXPECT_GE(acks, 3u);
  EXPECT_LE(acks, 5u);  // 2 s, one per 500 ms
  t.Advance(Duration::Seconds(58) + Duration::Milliseconds(100));
  EXPECT_EQ(t.FlowState(), State::kClosed) << "old data must not prolong TIME-WAIT";
}

// CLS-18: RFC 6191 section 2, in its order: A with timestamps before, B without.
struct Reuse {
  const char* name;
  bool old_timestamps;
  int tsval_offset;  // to the last one seen; kNone: no TSopt in the SYN
  int32_t seq;       // the last sequence number seen is 1, the FIN
  bool accepted;
};
constexpr int kNone = 1 << 30;
constexpr Reuse kReuse[] = {
    {"A1 later timestamp, older sequence", true, 1, -5000, true},
    {"A1 later timestamp, later sequence", true, 1, 5000, true},
    {"A2 equal timestamp, later sequence", true, 0, 2, true},
    {"A3 no timestamp, later sequence", true, kNone, 2, true},
    {"A4 equal timestamp, last sequence", true, 0, 1, false},
    {"A4 earlier timestamp, later sequence", true, -1, 5000, false},
    {"A4 no timestamp, last sequence", true, kNone, 1, false},
    {"B1 timestamp now, older sequence", false, 0, -5000, true},
    {"B2 no timestamp, later sequence", false, kNone, 2, true},
    {"B3 no timestamp, last sequence", false, kNone, 1, false},
};

Seg SynOf(const Reuse& row) {
  Seg syn{.flags = kSyn, .seq = static_cast<uint32_t>(row.seq), .mss = 1460};
  if (row.tsval_offset != kNone) {
    syn.tsval = kLastTsval + static_cast<uint32_t>(row.tsval_offset);
    syn.tsecr = 0;
  }
  return syn;
}

class TimeWaitReuse : public ::testing::TestWithParam<uint32_t> {};

TEST_P(TimeWaitReuse, FollowsRfc6191) {
  for (const Reuse& row : kReuse) {
    SCOPED_TRACE(row.name);
    TraceOptions options;
    options.peer_isn = GetParam();
    Trace t(options);
    EnterTimeWait(t, row.old_timestamps);
    t.Advance(Duration::Milliseconds(100));
    const Seg syn = SynOf(row);
    t.Receives(syn);
    const std::vector<Seg> sent = t.AllSent();
    ASSERT_EQ(sent.size(), 1u);
    if (!row.accepted) {
      // Departs from RFC 6191 2: an ACK at a limited rate, as RFC 9293 has it, not silence.
      EXPECT_THAT(sent[0], SegmentIs({.flags = kAck, .seq = 2, .ack = 2}));
      EXPECT_EQ(t.FlowState(), State::kTimeWait);
      t.Receives(syn);
      EXPECT_TRUE(t.SentNothing());
      continue;
    }
    EXPECT_EQ(sent[0].flags, kSyn | kAck);
    EXPECT_EQ(sent[0].ack, syn.seq + 1);
    EXPECT_EQ(t.FlowState(), State::kSynReceived);
    EXPECT_EQ(t.engine().time_waits().used(), 0u);
    // CLS-19 (MAY-2): the old SND.NXT is 2; Trace counts from the old ISN.
    EXPECT_GT(static_cast<int32_t>(sent[0].seq), 2);
    t.Receives({.flags = kAck,
                .seq = syn.seq + 1,
                .ack = sent[0].seq + 1,
                .tsval = syn.tsval,
                .tsecr = sent[0].tsval});
    EXPECT_EQ(t.state(), State::kEstablished);
  }
}
INSTANTIATE_TEST_SUITE_P(PeerIsn, TimeWaitReuse,
                         ::testing::Values(1'000'000u, 0xFFFF'FFFEu, 0x8000'0000u));

// CLS-18, RFC 6191: "if TCP Timestamps would not be enabled for the new incarnation" the sequence
// number decides, whatever the SYN offers.
TEST(TimeWait, TimestampOfTheSynDoesNotCountWhenWeUseNone) {
  TraceOptions options;
  options.config.tcp.timestamps = false;
  Trace t(options);
  EnterTimeWait(t);
  t.Receives({.flags = kSyn, .seq = 0u - 5000, .mss = 1460, .tsval = 1, .tsecr = 0});
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  t.ForgetSent();
  t.Receives({.flags = kSyn, .seq = 2, .mss = 1460, .tsval = 1, .tsecr = 0});
  EXPECT_EQ(t.FlowState(), State::kSynReceived);
}

// CLS-19 after much data: the ISN clock alone (244 octets a millisecond) would fall behind.
TEST(TimeWait, NewIssIsAboveWhatTheOldConnectionSent) {
  Trace t;
  t.AcceptFromPeer({.mss = 1460});
  const std::string data = Octets(200'000);
  t.Send(data);
  uint32_t acked = 1;
  for (int round = 0; round < 1000 && acked < data.size() + 1; ++round) {
    for (const Seg& s : t.AllSent()) {
      acked = std::max(acked, s.seq + static_cast<uint32_t>(s.data.size()));
    }
    t.Receives({.flags = kAck, .seq = 1, .ack = acked});
  }
  ASSERT_EQ(acked, data.size() + 1);
  t.Close();
  t.Receives({.flags = kFin | kAck, .seq = 1, .ack = acked + 1});
  ASSERT_EQ(t.FlowState(), State::kTimeWait);
  t.ForgetSent();
  t.Receives({.flags = kSyn, .seq = 100, .mss = 1460});
  const auto syn_ack = t.Sent();
  ASSERT_THAT(syn_ack, ::testing::Ne(std::nullopt));
  EXPECT_EQ(syn_ack->flags, kSyn | kAck);
  EXPECT_GT(syn_ack->seq, acked + 1);
  EXPECT_LT(syn_ack->seq, 1u << 31);
}

// A listener that cannot take the SYN now must not cost the old connection its TIME-WAIT.
TEST(TimeWait, AcceptableSynWithoutListenerLeavesTimeWaitAlone) {
  Trace t;
  EnterTimeWait(t);
  t.engine().CloseListener({t.AddressOf(0), t.options().local_port});
  t.Receives({.flags = kSyn, .seq = 100, .mss = 1460});
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
  EXPECT_EQ(t.engine().half_opens().used(), 0u);
}

TEST(TimeWait, SynWithFullBacklogLeavesTimeWaitAlone) {
  Trace t;
  EnterTimeWait(t);
  for (uint16_t port = 1; port <= 16; ++port) {
    t.ReceivesFrom(Trace::kPeerAddress, port, t.options().local_port, {.flags = kSyn, .mss = 1460});
  }
  t.ForgetSent();
  t.Receives({.flags = kSyn, .seq = 100, .mss = 1460});
  EXPECT_THAT(t.AllSent(), IsEmpty());
  EXPECT_EQ(t.FlowState(), State::kTimeWait);
}

}  // namespace
}  // namespace millrace::testing
