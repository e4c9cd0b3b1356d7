// Connections that were silent for long: Env::us wraps after 71 minutes, and what was noted half an
// hour ago must not be taken for what is to come (groups RAC and CC).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

constexpr int kSilencesMin[] = {20, 36, 40, 60, 71, 80};
constexpr Duration kRoundTrip = Duration::Milliseconds(20);

// A peer that acknowledges all that it was sent after each round trip.
class Sender {
 public:
  explicit Sender(const TraceOptions& options) : t(options) {
    t.Listen();
    t.Receives({.flags = kSyn, .mss = 1000, .sack_permitted = true});
    t.Advance(kRoundTrip);
    t.Receives({.flags = kAck, .seq = 1, .ack = 1});
    t.ForgetSent();
  }
  // Returns after how many round trips all of it was acknowledged.
  int Transfer(uint32_t bytes) {
    t.Send(Octets(bytes));
    const uint32_t end = una + bytes;
    int rounds = 0;
    for (; una < end && rounds < 10'000; ++rounds) {
      uint32_t highest = una;
      for (const Seg& seg : t.AllSent()) {
        highest = std::max(highest, seg.seq + static_cast<uint32_t>(seg.data.size()));
      }
      t.Advance(kRoundTrip);
      if (highest > una) t.Receives({.flags = kAck, .seq = 1, .ack = una = highest});
    }
    return rounds;
  }
  void IsSilent(int minutes) {
    for (int i = 0; i < minutes; ++i) t.Advance(Duration::Seconds(60));
    t.ForgetSent();
  }

  Trace t;
  uint32_t una = 1;
};

// RFC 8985 6.2: "RACK.segment ... the most recently sent segment that has been delivered": one of
// before the silence was not sent later than those of after it.
TEST(LongSilence, SegmentsThatAreAcknowledgedSlowlyAreNotLost) {
  for (const int minutes : kSilencesMin) {
    SCOPED_TRACE(minutes);
    Sender s{TraceOptions()};
    for (int i = 0; i < 6; ++i) s.Transfer(20'000);
    ASSERT_TRUE(s.t.tcb()->Has(tcp::kRecord));  // its window has grown, so it keeps the record
    s.IsSilent(minutes);
    const uint32_t ssthresh = s.t.tcb()->congestion.ssthresh;
    s.t.Send(Octets(10'000));
    EXPECT_EQ(s.t.AllSent().size(), 10u);
    s.t.Advance(kRoundTrip);
    for (uint32_t i = 1; i <= 10; ++i) {
      s.t.Receives({.flags = kAck, .seq = 1, .ack = s.una + 1000 * i});
      s.t.Advance(Duration::Milliseconds(8));
    }
    EXPECT_TRUE(s.t.SentNothing());
    EXPECT_EQ(s.t.counters().fast_retrans, 0u);
    EXPECT_EQ(s.t.tcb()->congestion.ssthresh, ssthresh);
  }
}

// What paces a flight does not wait for a gate that was set before the silence.
TEST(LongSilence, PacingGoesOnAtOnce) {
  for (const bool bbr : {false, true}) {
    TraceOptions options;
    options.config.tcp.pacing = true;
    if (bbr) options.config.tcp.congestion = tcp::CongestionKind::kBbr;
    for (const int minutes : kSilencesMin) {
      SCOPED_TRACE(::testing::Message() << (bbr ? "BBR " : "CUBIC ") << minutes);
      Sender s(options);
      for (int i = 0; i < 6; ++i) s.Transfer(20'000);
      s.IsSilent(minutes);
      EXPECT_LE(s.Transfer(100'000), 20);
      EXPECT_EQ(s.t.counters().loss_probes, 0u);
    }
  }
}

}  // namespace
}  // namespace millrace::testing
