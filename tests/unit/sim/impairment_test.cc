// tests/unit/sim/impairment_test.cc - the fates of frames follow the settings and the seed.
#include "millrace/sim/impairment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "test_frames.h"

namespace millrace::sim {
namespace {

constexpr uint32_t kLength = 1000;

std::vector<Fate> Fates(ImpairmentModel& model, int count, int64_t gap_us = 10) {
  std::vector<Fate> fates;
  for (int i = 0; i < count; ++i) fates.push_back(model.Decide(At(i * gap_us), kLength));
  return fates;
}

std::vector<Fate> Fates(const Impairment& impairment, int count) {
  ImpairmentModel model(impairment);
  return Fates(model, count);
}

Impairment Everything() {
  return {.loss = 0.05,
          .burst_loss = 0.01,
          .reorder = 0.1,
          .duplicate = 0.1,
          .corrupt = 0.1,
          .delay = Duration::Milliseconds(5),
          .jitter = Duration::Milliseconds(1),
          .rate_bps = 500'000'000,
          .queue_packets_max = 20,
          .seed = 7};
}

TEST(ImpairmentModel, CleanLinkPassesEveryFrameAtOnce) {
  for (const Fate& fate : Fates(Impairment{}, 100)) {
    EXPECT_EQ(fate.drop, DropCause::kNone);
    EXPECT_EQ(fate.copies, 1);
    EXPECT_EQ(fate.corrupt_bit, Fate::kNoBit);
  }
  ImpairmentModel model{Impairment{}};
  EXPECT_EQ(model.Decide(At(3), kLength).arrival[0], At(3));
  EXPECT_TRUE(Impairment{}.IsClean());
  EXPECT_FALSE(Everything().IsClean());
}

TEST(ImpairmentModel, SameSeedGivesTheSameFates) {
  EXPECT_EQ(Fates(Everything(), 5000), Fates(Everything(), 5000));
}

TEST(ImpairmentModel, OtherSeedGivesOtherFates) {
  Impairment other = Everything();
  other.seed = 8;
  EXPECT_NE(Fates(Everything(), 5000), Fates(other, 5000));
}

TEST(ImpairmentModel, TurningOneCauseOffDoesNotMoveTheLosses) {
  Impairment only_loss = {.loss = 0.05, .seed = 7};
  Impairment more = only_loss;
  more.duplicate = more.corrupt = more.reorder = 0.3;
  more.jitter = Duration::Milliseconds(1);
  const std::vector<Fate> a = Fates(only_loss, 2000), b = Fates(more, 2000);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].drop, b[i].drop) << i;
}

TEST(ImpairmentModel, LossRateIsWithinFiveSigmaForManySeeds) {
  constexpr int kFrames = 20'000;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    ImpairmentModel model({.loss = 0.02, .seed = seed});
    Fates(model, kFrames);
    // Mean 400, standard deviation 19.8.
    EXPECT_NEAR(static_cast<double>(model.counters().lost), 400, 100) << seed;
  }
}

TEST(ImpairmentModel, CertainLossDropsAll) {
  ImpairmentModel model({.loss = 1});
  Fates(model, 1000);
  EXPECT_EQ(model.counters().lost, 1000u);
}

TEST(ImpairmentModel, BurstsHaveTheGivenMeanLength) {
  ImpairmentModel model({.burst_loss = 0.01, .burst_frames = 4, .seed = 3});
  int bursts = 0, lost = 0;
  bool in_burst = false;
  for (const Fate& fate : Fates(model, 200'000)) {
    const bool is_lost = fate.drop == DropCause::kBurst;
    lost += is_lost;
    bursts += is_lost && !in_burst;
    in_burst = is_lost;
  }
  EXPECT_NEAR(static_cast<double>(lost) / bursts, 4, 0.4);
  // A good period has 100 frames on average, so a burst begins every 104.
  EXPECT_NEAR(bursts, 200'000 / 104, 200);
  EXPECT_EQ(model.counters().burst_lost, static_cast<uint64_t>(lost));
}

TEST(ImpairmentModel, DelayAndJitterBoundTheArrival) {
  ImpairmentModel model(
      {.delay = Duration::Milliseconds(20), .jitter = Duration::Milliseconds(2), .seed = 1});
  bool early = false, late = false;
  for (int i = 0; i < 1000; ++i) {
    const Instant now = At(i * 10'000);  // far apart: keeping the order does not matter
    const Duration took = model.Decide(now, kLength).arrival[0] - now;
    EXPECT_GE(took, Duration::Milliseconds(18));
    EXPECT_LE(took, Duration::Milliseconds(22));
    early |= took < Duration::Milliseconds(19);
    late |= took > Duration::Milliseconds(21);
  }
  EXPECT_TRUE(early);
  EXPECT_TRUE(late);
}

TEST(ImpairmentModel, JitterAloneDoesNotReorder) {
  Instant latest = At(0);
  for (const Fate& fate :
       Fates({.delay = Duration::Milliseconds(1), .jitter = Duration::Milliseconds(1)}, 5000)) {
    EXPECT_GE(fate.arrival[0], latest);
    latest = fate.arrival[0];
  }
}

TEST(ImpairmentModel, ReorderedFramesAreOvertaken) {
  ImpairmentModel model({.reorder = 0.1, .seed = 5});
  int overtaken = 0;
  const std::vector<Fate> fates = Fates(model, 10'000);
  for (size_t i = 0; i + 1 < fates.size(); ++i) {
    overtaken += fates[i].arrival[0] > fates[i + 1].arrival[0];
    EXPECT_LE(fates[i].arrival[0] - At(static_cast<int64_t>(i) * 10), Duration::Milliseconds(1));
  }
  EXPECT_NEAR(static_cast<double>(model.counters().reordered), 1000, 150);
  EXPECT_GT(overtaken, 500);
}

TEST(ImpairmentModel, DuplicatesArriveWithTheFirstCopyOrLater) {
  ImpairmentModel model({.duplicate = 0.25, .seed = 5});
  uint64_t copies = 0;
  for (const Fate& fate : Fates(model, 10'000)) {
    copies += fate.copies;
    if (fate.copies < 2) continue;
    EXPECT_GE(fate.arrival[1], fate.arrival[0]);
  }
  EXPECT_EQ(copies, 10'000 + model.counters().duplicated);
  EXPECT_NEAR(static_cast<double>(model.counters().duplicated), 2500, 220);
}

TEST(ImpairmentModel, CorruptBitsLieBehindTheEthernetHeader) {
  ImpairmentModel model({.corrupt = 1});
  bool in_first_octet = false, in_last_octet = false;
  for (int i = 0; i < 5000; ++i) {
    const uint32_t bit = model.Decide(At(i), 60).corrupt_bit;
    ASSERT_GE(bit, 14u * 8);
    ASSERT_LT(bit, 60u * 8);
    in_first_octet |= bit / 8 == 14;
    in_last_octet |= bit / 8 == 59;
  }
  EXPECT_TRUE(in_first_octet && in_last_octet);
  EXPECT_EQ(model.Decide(At(9999), 14).corrupt_bit, Fate::kNoBit);
}

TEST(ImpairmentModel, RateSpacesFramesByTheirTransmissionTime) {
  ImpairmentModel model({.rate_bps = 8'000'000});  // 1000 octets take 1 ms
  EXPECT_EQ(model.Decide(At(0), 1000).arrival[0], At(1000));
  EXPECT_EQ(model.Decide(At(0), 500).arrival[0], At(1500));
  EXPECT_EQ(model.Decide(At(9000), 1000).arrival[0], At(10'000));  // idle before
}

TEST(ImpairmentModel, FullQueueDropsFromTheTail) {
  ImpairmentModel model({.rate_bps = 8'000'000, .queue_packets_max = 2});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(model.Decide(At(0), 1000).copies, 1);  // one is being sent
  EXPECT_EQ(model.Decide(At(0), 1000).drop, DropCause::kQueue);
  EXPECT_EQ(model.Decide(At(1000), 1000).arrival[0], At(4000));  // one has left
  EXPECT_EQ(model.counters().queue_dropped, 1u);
}

TEST(ImpairmentModel, MarksWhatFindsTheQueueAboveTheThreshold) {
  ImpairmentModel model({.rate_bps = 8'000'000, .mark_packets = 2});
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(model.Decide(At(0), 1000).congested);
  EXPECT_TRUE(model.Decide(At(0), 1000).congested);
  EXPECT_TRUE(model.Decide(At(500), 1000).congested);
  EXPECT_FALSE(model.Decide(At(3000), 1000).congested) << "one is being sent";
  ImpairmentModel never({.rate_bps = 8'000'000});
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(never.Decide(At(0), 1000).congested);
}

TEST(MarkCe, SetsTheFieldAndTheChecksumOfCapableFrames) {
  for (uint8_t ecn = 0; ecn < 4; ++ecn) {
    Frame frame = TcpFrame(1);
    wire::EmitIpv4(frame.data() + kTestIpAt,
                   {.total_length = 44,
                    .ttl = 64,
                    .protocol = wire::kIpProtocolTcp,
                    .tos = ecn,
                    .source = kTestSource,
                    .destination = kTestDestination},
                   true);
    EXPECT_EQ(MarkCe(frame.data(), frame.length()), ecn != 0);
    EXPECT_EQ(LoadU8(frame.data() + kTestIpAt + 1), ecn == 0 ? 0 : 3);
    EXPECT_EQ(wire::OnesComplementFold(
                  wire::ChecksumAdd(frame.data() + kTestIpAt, wire::kIpv4HeaderBytes, 0)),
              wire::kChecksumValid);
  }
  Frame arp = ArpFrame();
  EXPECT_FALSE(MarkCe(arp.data(), arp.length()));
}

TEST(MarkCe, SetsTheFieldOfTheTrafficClass) {
  Frame frame(60);
  wire::EmitEthernet(frame.data(), {}, {}, wire::kEtherTypeIpv6);
  StoreBe32(frame.data() + kTestIpAt, 0x6000'1234);
  EXPECT_FALSE(MarkCe(frame.data(), frame.length()));
  StoreBe32(frame.data() + kTestIpAt, 0x6B91'2345);  // class 0xB9: ECT(1)
  EXPECT_TRUE(MarkCe(frame.data(), frame.length()));
  EXPECT_EQ(LoadBe32(frame.data() + kTestIpAt), 0x6BB1'2345u);
}

TEST(ImpairmentModel, CountersAddUp) {
  ImpairmentModel model(Everything());
  Fates(model, 20'000);
  const ImpairmentCounters& c = model.counters();
  EXPECT_EQ(c.offered, 20'000u);
  EXPECT_EQ(c.offered, c.queue_dropped + c.lost + c.burst_lost + c.passed);
  EXPECT_GT(c.queue_dropped, 0u);
  EXPECT_GT(c.lost, 0u);
  EXPECT_GT(c.burst_lost, 0u);
}

TEST(ImpairmentModel, HealedLinkIsCleanFromTheNextFrameOn) {
  ImpairmentModel model({.burst_loss = 1, .burst_frames = 1e6, .delay = Duration::Seconds(1)});
  EXPECT_EQ(model.Decide(At(0), kLength).copies, 0);
  model.SetImpairment({});
  const Fate fate = model.Decide(At(1), kLength);
  EXPECT_EQ(fate.copies, 1);
  EXPECT_EQ(fate.arrival[0], At(1));
}

TEST(FlipBit, ChangesOneBitOfAnIpv4FrameAndRefusesOthers) {
  Frame tcp = TcpFrame(0);
  const Frame before = Frame::CopyOf(tcp.octets());
  EXPECT_TRUE(FlipBit(tcp.data(), tcp.length(), 14 * 8 + 3));
  for (uint32_t i = 0; i < tcp.length(); ++i) {
    const std::byte expected = i == 14 ? std::byte{8} : std::byte{0};
    EXPECT_EQ(tcp.data()[i] ^ before.data()[i], expected) << i;
  }
  Frame arp = ArpFrame();
  EXPECT_FALSE(FlipBit(arp.data(), arp.length(), 14 * 8));
}

}  // namespace
}  // namespace millrace::sim
