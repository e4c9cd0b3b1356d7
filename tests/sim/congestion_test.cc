// BBR and DCTCP between two shipped stacks: how much of a link they use, how long a queue they keep
// before it, and how they share it.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "millrace/tcp/bbr.h"
#include "testing/transfer.h"

namespace millrace::testing {
namespace {

constexpr uint32_t kFrame = 1514;  // octets of a full frame
constexpr double kTextShare = 1448.0 / kFrame;

// A transfer without end over a bottleneck.
class Flow {
 public:
  struct Options {
    tcp::CongestionKind kind = tcp::CongestionKind::kBbr;
    int64_t rate_bps = 50'000'000;
    int delay_ms = 20;  // one way
    double loss = 0;
    uint32_t mark_packets = 0;
    uint32_t queue_packets = 1000;
  };

  explicit Flow(const Options& options) : options_(options), transfer_(OptionsOf(options)) {}

  Transfer& transfer() { return transfer_; }
  void Open() { transfer_.Open(); }
  // Runs, looking at the queue every 5 ms.
  void Run(double seconds) {
    const uint64_t before = Received();
    const double packets_in_the_pipe =
        static_cast<double>(options_.rate_bps) / 8 / kFrame * options_.delay_ms * 1e-3;
    double sum = 0;
    const int looks = static_cast<int>(seconds * 200);
    longest_queue_ = 0;
    for (int i = 0; i < looks; ++i) {
      (void)transfer_.world().RunFor(Duration::Milliseconds(5));
      const double in_flight = static_cast<double>(transfer_.cable().forward.in_flight());
      const double queue = std::max(0.0, in_flight - packets_in_the_pipe);
      sum += queue;
      longest_queue_ = std::max(longest_queue_, queue);
      states_.insert(Model().state());
    }
    mean_queue_ = sum / looks;
    // Of the link's text, how much was used.
    used_ = static_cast<double>(Received() - before) * 8 / seconds / kTextShare /
            static_cast<double>(options_.rate_bps);
  }

  double mean_queue() const { return mean_queue_; }  // packets
  double longest_queue() const { return longest_queue_; }
  double used() const { return used_; }  // 1: all of the link
  const std::set<tcp::Bbr::State>& states() const { return states_; }
  uint64_t Received() {
    uint64_t sum = 0;
    for (const uint64_t octets : transfer_.receiver().received) sum += octets;
    return sum;
  }

 private:
  static Transfer::Options OptionsOf(const Options& options) {
    Transfer::Options t;
    t.octets = uint64_t{1} << 40;
    t.there.delay = t.back.delay = Duration::Milliseconds(options.delay_ms);
    t.there.rate_bps = options.rate_bps;
    t.there.queue_packets_max = options.queue_packets;
    t.there.loss = options.loss;
    t.there.mark_packets = options.mark_packets;
    t.tcp.congestion = options.kind;
    if (options.mark_packets > 0) t.tcp.ecn = tcp::Ecn::kActive;
    return t;
  }
  tcp::Bbr Model() {
    const tcp::RecoveryPool& pool = transfer_.sender_engine().env().recovery_pool;
    if (pool.bbrs.touched() > 0) return pool.bbrs[0];
    return tcp::Bbr(1, 1, 1, 1, 1);
  }

  Options options_;
  Transfer transfer_;
  std::set<tcp::Bbr::State> states_;
  double mean_queue_ = 0, longest_queue_ = 0, used_ = 0;
};

// 165 packets are a BDP. The link is full, and the queue is a quarter of that at most.
TEST(BbrSim, FillsALinkAndKeepsTheQueueShort) {
  Flow flow({});
  flow.Open();
  flow.Run(2);  // Startup makes a queue and Drain takes it away
  EXPECT_GT(flow.longest_queue(), 50);
  flow.Run(28);
  EXPECT_GT(flow.used(), 0.93);
  EXPECT_LT(flow.mean_queue(), 165.0 / 4);
  EXPECT_EQ(flow.transfer().counters().retrans_segs, 0u);
}

TEST(BbrSim, GoesThroughAllStatesInTwelveSeconds) {
  Flow flow({});
  flow.Open();
  flow.Run(12);
  EXPECT_EQ(flow.states().size(), 7u);
  EXPECT_TRUE(flow.states().contains(tcp::Bbr::State::kProbeRtt));
}

// Random loss below 2 % is no reason to slow down.
TEST(BbrSim, KeepsItsGoodputAtOnePercentLoss) {
  double used[2];
  int i = 0;
  for (const auto kind : {tcp::CongestionKind::kBbr, tcp::CongestionKind::kCubic}) {
    Flow flow({.kind = kind, .loss = 0.01});
    flow.Open();
    flow.Run(20);
    used[i++] = flow.used();
  }
  EXPECT_GT(used[0], 0.75);
  EXPECT_GT(used[0], 4 * used[1]) << "CUBIC";
}

// A queue of a fifth of the BDP: what BBR sends beyond is lost, and it learns how much that is.
TEST(BbrSim, LearnsTheBoundOfAShortQueue) {
  Flow flow({.queue_packets = 33});
  flow.Open();
  flow.Run(3);
  const uint64_t before = flow.transfer().counters().retrans_segs;
  flow.Run(27);
  EXPECT_GT(flow.used(), 0.85);
  const double sent = static_cast<double>(flow.Received()) / 1448;
  EXPECT_LT(static_cast<double>(flow.transfer().counters().retrans_segs - before), 0.02 * sent);
}

TEST(BbrSim, TwoFlowsShareABottleneck) {
  Flow flow({.rate_bps = 20'000'000, .delay_ms = 10});
  flow.Open();
  flow.Run(1);
  flow.Open();
  flow.Run(60);
  EXPECT_GT(flow.used(), 0.93);
  const auto& received = flow.transfer().receiver().received;
  ASSERT_EQ(received.size(), 2u);
  const double first = static_cast<double>(received[0]), second = static_cast<double>(received[1]);
  EXPECT_NEAR(first / (first + second), 0.5, 0.1);
}

// CE is answered: the queue stays below what it would be without marks.
TEST(BbrSim, AnswersMarks) {
  double mean[2];
  int i = 0;
  for (const uint32_t mark_packets : {0u, 10u}) {
    Flow flow({.mark_packets = mark_packets});
    flow.Open();
    flow.Run(15);
    mean[i++] = flow.mean_queue();
    EXPECT_GT(flow.used(), 0.8);
  }
  EXPECT_LT(mean[1], mean[0]);
}

// RFC 8257: "DCTCP ... maintains low queueing": about the threshold, and nothing is lost.
TEST(DctcpSim, KeepsTheQueueNearTheThreshold) {
  for (const uint32_t threshold : {20u, 65u}) {
    SCOPED_TRACE(threshold);
    Flow flow({.kind = tcp::CongestionKind::kDctcp,
               .rate_bps = 200'000'000,
               .delay_ms = 1,
               .mark_packets = threshold});
    flow.Open();
    flow.Run(1);
    flow.Run(10);
    EXPECT_GT(flow.used(), 0.95);
    EXPECT_NEAR(flow.mean_queue(), threshold, 0.5 * threshold);
    EXPECT_LT(flow.longest_queue(), 2 * threshold);
    EXPECT_EQ(flow.transfer().counters().retrans_segs, 0u);
    EXPECT_GT(flow.transfer().cable().forward.counters().marked, 100u);
  }
}

TEST(DctcpSim, TwoFlowsShareABottleneck) {
  Flow flow({.kind = tcp::CongestionKind::kDctcp,
             .rate_bps = 100'000'000,
             .delay_ms = 1,
             .mark_packets = 20});
  flow.Open();
  flow.Open();
  flow.Run(20);
  EXPECT_GT(flow.used(), 0.95);
  const auto& received = flow.transfer().receiver().received;
  ASSERT_EQ(received.size(), 2u);
  const double first = static_cast<double>(received[0]), second = static_cast<double>(received[1]);
  EXPECT_NEAR(first / (first + second), 0.5, 0.1);
}

}  // namespace
}  // namespace millrace::testing
