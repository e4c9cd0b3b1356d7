// Path MTU (group PMT): what routers say is believed within bounds, and what they do not say is
// found out. Over both families.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "testing/too_big.h"

namespace millrace::testing {
namespace {

// Ten full segments are in flight.
void Load(Trace& t) {
  t.AcceptFromPeer({.mss = 1460});
  t.Send(Octets(14'600));
  EXPECT_EQ(t.AllSent().size(), 10u);
}

size_t LongestSent(Trace& t) {
  size_t longest = 0;
  for (const Seg& seg : t.AllSent()) longest = std::max(longest, seg.data.size());
  return longest;
}

// PMT-05: shorter segments at once, and no smaller window.
TEST(PathMtu, TooBigLowersTheMssAndRetransmitsAtOnce) {
  Trace t;
  Load(t);
  const uint32_t cwnd = t.tcb()->congestion.cwnd;
  t.ReceivesFrame(TooBig(t, 1400, 1));
  const std::vector<Seg> sent = t.AllSent();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent[0].seq, 1u);
  EXPECT_EQ(sent[0].data, Octets(1400u - Headers(t)));
  EXPECT_EQ(t.tcb()->congestion.cwnd, cwnd);
  EXPECT_EQ(t.counters().path_mtu_lowered, 1u);
}

// RFC 5927 4.1: nothing is in flight of a flow that is not there, and of an opening no text.
TEST(PathMtu, TooBigAboutNoConnectionIsIgnored) {
  Trace t;
  t.Connect();
  t.ReceivesFrame(TooBig(t, 1300, 0));
  EXPECT_EQ(t.state(), tcp::State::kSynSent);
  t.Abort();
  t.ReceivesFrame(TooBig(t, 1300, 0));
  EXPECT_EQ(t.engine().counters().icmp_errors_ignored, 2u);
  EXPECT_EQ(t.counters().path_mtu_lowered, 0u);
}

// PMT-05 with a scoreboard: what it knew of the longer segments does not count, none of it says
// which router dropped what, so all of it goes again; the peer's SACKs of it do no harm.
TEST(PathMtu, ScoreboardIsForgottenWithTheLongSegments) {
  Trace t;
  t.AcceptFromPeer({.mss = 1460, .sack_permitted = true});
  t.app().socket.SetNoDelay(true);
  t.Send(Octets(13'500));  // the last segment is short
  t.ForgetSent();
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .sack = {{13'141, 13'501}}});
  t.ForgetSent();
  t.ReceivesFrame(TooBig(t, 1400, 1));
  const uint32_t shorter = 1400u - Headers(t);
  const std::vector<Seg> sent = t.AllSent();
  ASSERT_GE(sent.size(), 3u);
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(sent[i].seq, 1 + i * shorter);
    EXPECT_EQ(sent[i].data, Octets(shorter, i * shorter));
  }
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .sack = {{13'141, 13'501}}});
  t.Receives({.flags = kAck, .seq = 1, .ack = 13'501});
  EXPECT_EQ(t.tcb()->flight(), 0u);
  EXPECT_EQ(t.counters().timeouts, 0u);
}

// PMT-04: and the whole stream arrives.
TEST(PathMtu, EverythingBehindItIsSentAgainWithinTheWindow) {
  Trace t;
  Load(t);
  t.ReceivesFrame(TooBig(t, 1400, 1));
  std::string stream(14'600, '\0');
  uint32_t ack = 1;
  for (int round = 0; round < 50 && ack < 14'601; ++round) {
    for (const Seg& seg : t.AllSent()) {
      EXPECT_LE(seg.data.size(), 1400u - Headers(t));
      std::copy(seg.data.begin(), seg.data.end(), stream.begin() + seg.seq - 1);
      const uint32_t end = seg.seq + static_cast<uint32_t>(seg.data.size());
      if (seg.seq <= ack) ack = std::max(ack, end);
    }
    t.Receives({.flags = kAck, .seq = 1, .ack = ack});
  }
  EXPECT_EQ(stream, Octets(14'600));
  EXPECT_EQ(t.counters().timeouts, 0u);
}

// PMT-06 (RFC 5927 4.1)
TEST(PathMtu, TooBigAboutWhatIsNotInFlightIsIgnored) {
  Trace t;
  Load(t);
  for (const uint32_t seq : {0u, 14'601u, 0x8000'0000u}) t.ReceivesFrame(TooBig(t, 1400, seq));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.tcb()->snd_mss, 1460);
  EXPECT_EQ(t.engine().counters().icmp_errors_ignored, 3u);
}

// PMT-06 (RFC 5927 7.2, maxsizesent): no router drops for its length what was not that long.
TEST(PathMtu, TooBigAboutWhatWasNoLongerIsIgnored) {
  Trace t;
  t.AcceptFromPeer({.mss = 1460});
  const uint32_t passes = 1400u - Headers(t);
  t.Send(Octets(passes));
  t.ForgetSent();
  t.ReceivesFrame(TooBig(t, 1400, 1));
  EXPECT_EQ(t.tcb()->snd_mss, 1460);
  EXPECT_EQ(t.engine().counters().icmp_errors_ignored, 1u);
  t.Receives({.flags = kAck, .seq = 1, .ack = 1 + passes});
  t.Send(Octets(passes + 1, passes));
  t.ReceivesFrame(TooBig(t, 1400, 1 + passes));
  EXPECT_EQ(t.tcb()->snd_mss, passes);
}

// RFC 1191 7: a router that gives no MTU means the next smaller one than that of the packet, whose
// options count.
TEST(PathMtu, PlateauIsBelowTheWholePacket) {
  Trace t;
  if (t.v6()) return;
  t.AcceptFromPeer({.mss = 1460, .tsval = 1, .tsecr = 0});
  t.Send(Octets(1448));
  t.ReceivesFrame(TooBig(t, 0, 1));
  EXPECT_EQ(t.tcb()->snd_mss, 1492 - 40 - 12);
}

// PMT-07: 68 and 0 of IPv4 are 552 and a plateau; below 1280 IPv6 has nothing (RFC 8201 4).
TEST(PathMtu, ImpossiblySmallOnesStopAtTheFloor) {
  Trace t;
  Load(t);
  if (t.v6()) {
    t.ReceivesFrame(TooBig(t, 1279, 1));
    EXPECT_EQ(t.tcb()->snd_mss, 1460);
    t.ReceivesFrame(TooBig(t, 1280, 1));
    EXPECT_EQ(t.tcb()->snd_mss, 1220);
    return;
  }
  t.ReceivesFrame(TooBig(t, 0, 1));
  EXPECT_EQ(t.tcb()->snd_mss, 1492 - 40);
  t.ReceivesFrame(TooBig(t, 68, 1));
  EXPECT_EQ(t.tcb()->snd_mss, 512);
}

// PMT-08
TEST(PathMtu, LargerThanNowIsIgnored) {
  Trace t;
  Load(t);
  t.ReceivesFrame(TooBig(t, 9000, 1));
  EXPECT_TRUE(t.SentNothing());
  EXPECT_EQ(t.tcb()->snd_mss, 1460);
}

// RFC 1191 6.3: the next connection knows, until the entry is ten minutes old.
TEST(PathMtu, IsRememberedForTenMinutes) {
  for (const int64_t seconds : {590, 610}) {
    SCOPED_TRACE(seconds);
    Trace t;
    Load(t);
    t.ReceivesFrame(TooBig(t, 1400, 1));
    t.Receives({.flags = kRst | kAck, .seq = 1, .ack = 1});
    t.ForgetSent();
    t.ForgetIsn();
    t.Advance(Duration::Seconds(seconds));
    t.Receives({.flags = kSyn, .seq = 0, .mss = 1460});
    t.ForgetSent();
    t.Receives({.flags = kAck, .seq = 1, .ack = 1});
    t.Send(Octets(3000));
    EXPECT_EQ(LongestSent(t), seconds < 600 ? 1400u - Headers(t) : 1460u);
  }
}

// PMT-09: nobody says anything.
TEST(PathMtu, BlackHoleIsLeftByShorterSegments) {
  Trace t;
  Load(t);
  size_t longest = 1460;
  for (int i = 0; i < 600 && longest > 512; ++i) {
    t.Advance(Duration::Milliseconds(100));
    for (const Seg& seg : t.AllSent()) longest = std::min(longest, seg.data.size());
    if (longest < 1460) {
      EXPECT_GE(t.counters().timeouts, 3u);
    }
  }
  EXPECT_EQ(longest, 512u);
}

TEST(PathMtu, BlackHoleDetectionCanBeOff) {
  TraceOptions options;
  options.config.tcp.black_hole_timeouts = 0;
  Trace t(options);
  Load(t);
  t.Advance(Duration::Seconds(60));
  EXPECT_EQ(t.tcb()->snd_mss, 1460);
}

}  // namespace
}  // namespace millrace::testing
