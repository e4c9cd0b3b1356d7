// What an engine does with many half-open connections, and with a clock that leaps.

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "millrace/stack/engine.h"
#include "unit/wire/frame_builder.h"

namespace millrace::stack {
namespace {

using wire::testing::Bytes;

constexpr size_t kRepliesMax = 32 + 256;  // of one poll: a burst of frames and the timers' bound

// An engine alone, which listens; polls of it are made by hand.
class HalfOpenEngine : public ::testing::Test {
 protected:
  HalfOpenEngine() : engine_(Config(), Capabilities(), EngineSecrets{}, now_) {
    EXPECT_TRUE(engine_.ok());
    EXPECT_EQ(engine_.Listen({IpAddress::V4(wire::testing::kOurIp), 80}, 4096), ListenResult::kOk);
  }
  static EngineConfig Config() {
    EngineConfig config;
    config.address = {IpAddress::V4(wire::testing::kOurIp), 24};
    config.gateway_v4 = wire::testing::kPeerIp;  // the sources are behind it
    config.pages = Region::Pages::kPlain;
    config.limits = {.connections = 64, .half_open = 8192, .time_wait = 64};
    config.tcp.syn_ack_retransmits_max = 5;
    return config;
  }
  static PortCapabilities Capabilities() {
    PortCapabilities capabilities;
    capabilities.mac = wire::testing::kOurMac;
    return capabilities;
  }

  // As many SYNs, each from an address of its own, in one burst.
  void ReceiveSyns(uint32_t count) {
    std::vector<Bytes> frames;
    for (uint32_t i = 0; i < count; ++i) {
      wire::testing::FrameSpec syn{.source = next_source_++};
      syn.tcp.flags = wire::kSyn;
      syn.tcp.ack = SeqNum();
      frames.push_back(wire::testing::Build(syn));
    }
    std::vector<RxFrame> received;
    for (Bytes& frame : frames) {
      RxFrame rx;
      rx.data = frame.data();
      rx.length = static_cast<uint32_t>(frame.size());
      received.push_back(rx);
    }
    engine_.BeginPoll(now_);
    engine_.Input(received);
    EndPoll();
  }
  // Replies of a poll that receives nothing.
  size_t Poll() {
    engine_.BeginPoll(now_);
    return EndPoll();
  }
  size_t EndPoll() {
    engine_.RunTimers();
    const size_t replies = engine_.replies().size();
    engine_.ClearReplies();
    engine_.released().Clear();
    return replies;
  }
  void PollUntil(double seconds) {
    const Instant end = Instant::FromNanoseconds(static_cast<int64_t>(seconds * 1e9));
    while (now_ < end) {
      now_ = now_ + Duration::Milliseconds(1);
      EXPECT_LE(Poll(), kRepliesMax);
    }
  }

  Instant now_ = Instant::FromNanoseconds(1'000'000'000);
  Engine engine_;
  uint32_t next_source_ = 0x0A01'0000;
};

// O6: what one poll does is bounded, also when SYN-ACKs of every age are due in it; the rest comes
// in the polls that follow, and none is forgotten.
TEST_F(HalfOpenEngine, SynAcksOfAllAgesTogetherStayWithinAPollsBound) {
  // Sent for the first, second, ... fifth time when they are due at 40 s.
  for (const double at_s : {9.0, 25.0, 33.0, 37.0, 39.0}) {
    PollUntil(at_s);
    for (int i = 0; i < 20; ++i) ReceiveSyns(32);
  }
  ASSERT_EQ(engine_.half_opens().used(), 5 * 640u);
  PollUntil(39.99);
  const uint64_t before = engine_.env().counters.retrans_segs;
  now_ = now_ + Duration::Milliseconds(30);  // nobody polled meanwhile
  for (int polls = 0; polls < 13; ++polls) {
    const size_t replies = Poll();
    EXPECT_LE(replies, kRepliesMax);
    EXPECT_GT(replies, 0u) << "after " << polls;
  }
  EXPECT_EQ(engine_.env().counters.retrans_segs - before, 5 * 640u);
  EXPECT_EQ(Poll(), 0u);
}

// O14: "one tick storm": after a pause of the machine, of whatever length, what is overdue is due
// at once, and the next wait is the usual one.
TEST_F(HalfOpenEngine, LeapOfTheClockMakesWhatIsOverdueDueAtOnce) {
  for (const int64_t pause_min : {10, 36, 60, 71}) {
    SCOPED_TRACE(pause_min);
    ReceiveSyns(1);
    now_ = now_ + Duration::Seconds(60 * pause_min);
    EXPECT_EQ(Poll(), 1u);
    EXPECT_LE(engine_.NextDeadline(), now_ + Duration::Seconds(2) + Duration::Milliseconds(1));
    while (engine_.half_opens().used() > 0) {
      now_ = now_ + Duration::Seconds(60);
      Poll();
    }
  }
}

// What a SYN-ACK has promised of the receive window is kept (RFC 7323 2.2).
TEST_F(HalfOpenEngine, WindowsAreNotChangedBesideFlows) {
  tcp::Config config = engine_.config().tcp;
  config.receive_buffer_max_bytes = 64 * 1024;
  ReceiveSyns(1);
  EXPECT_FALSE(engine_.SetTcpConfig(config));
  config = engine_.config().tcp;
  config.mss = 1000;
  EXPECT_TRUE(engine_.SetTcpConfig(config));
  EXPECT_EQ(engine_.env().config.mss, 1000);
  PollUntil(200);
  ASSERT_EQ(engine_.half_opens().used(), 0u);
  config.receive_buffer_max_bytes = 64 * 1024;
  EXPECT_TRUE(engine_.SetTcpConfig(config));
}

}  // namespace
}  // namespace millrace::stack
