#include "apps/common/flight_recorder.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "millrace/base/prng.h"
#include "unit/wire/ipv6_builder.h"

namespace millrace::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::testing::Build;
using wire::testing::BuildV6;
using wire::testing::Bytes;
using wire::testing::FrameSpec;
using wire::testing::FrameSpecV6;
using wire::testing::kOurIp;
using wire::testing::kOurV6;
using wire::testing::kPeerIp;
using wire::testing::kPeerV6;

constexpr uint16_t kServerPort = 80;

Instant At(int64_t ns) { return Instant::FromNanoseconds(ns); }

Endpoint Ours(uint16_t port) { return {IpAddress::V4(kOurIp), port}; }
const Endpoint kServer{IpAddress::V4(kPeerIp), kServerPort};

// A segment between our port and the server, marked by its sequence number.
Bytes Segment(uint16_t our_port, FrameWay way, uint32_t mark, size_t payload_bytes = 0) {
  FrameSpec spec;
  const bool sent = way == FrameWay::kSent;
  spec.source = sent ? kOurIp : kPeerIp;
  spec.destination = sent ? kPeerIp : kOurIp;
  spec.tcp.source_port = sent ? our_port : kServerPort;
  spec.tcp.destination_port = sent ? kServerPort : our_port;
  spec.tcp.seq = SeqNum(mark);
  spec.payload.resize(payload_bytes);
  return Build(spec);
}

std::vector<uint32_t> MarksOf(const FlightRecorder& recorder, const FlightRecorder::Kept& kept) {
  std::vector<uint32_t> marks;
  for (const FlightRecorder::Slot& slot : recorder.frames_of(kept)) {
    const size_t at = wire::testing::kTcpAt + wire::kTcpSeqAt;
    marks.push_back(LoadBe32(slot.octets.data() + at));
  }
  return marks;
}

class FlightRecorderTest : public ::testing::Test {
 protected:
  void Record(uint16_t port, FrameWay way, uint32_t mark, size_t payload_bytes = 0) {
    recorder_.Record(At(mark), way, Segment(port, way, mark, payload_bytes));
  }
  void Fail(uint16_t port, int64_t since_ns = 0) {
    recorder_.OnFailure(Ours(port), kServer, At(since_ns), "reason", "meaning");
  }

  static constexpr uint32_t kSlots = 64;
  FlightRecorder recorder_{{.ring_bytes = kSlots * sizeof(FlightRecorder::Slot),
                            .kept_bytes = 16 * sizeof(FlightRecorder::Slot)}};
};

TEST_F(FlightRecorderTest, TakesOutTheFramesOfOneConnectionInOrder) {
  for (uint32_t i = 0; i < 4; ++i) {
    Record(1000, FrameWay::kSent, 10 * i);
    Record(2000, FrameWay::kSent, 10 * i + 1);
    Record(1000, FrameWay::kReceived, 10 * i + 2);
  }
  Fail(1000);
  EXPECT_THAT(recorder_.kept(), IsEmpty());
  Record(1000, FrameWay::kSent, 99);  // the reset, sent by the same poll
  recorder_.Settle();
  ASSERT_THAT(recorder_.kept(), SizeIs(1));
  EXPECT_THAT(MarksOf(recorder_, recorder_.kept()[0]),
              ElementsAre(0, 2, 10, 12, 20, 22, 30, 32, 99));
  EXPECT_EQ(recorder_.kept()[0].reason, "reason");
  EXPECT_EQ(recorder_.missed(), 0u);
}

// 65536 hashes: what agrees with ours in the hash alone stands between our frames.
TEST_F(FlightRecorderTest, OthersOfTheSameHashAreLeftOut) {
  Record(0x1234, FrameWay::kSent, 1);
  FrameSpec other;
  other.source = kOurIp ^ 0x0F00'0000;
  other.destination = kPeerIp;
  other.tcp.source_port = 0x1234 ^ 0x0F00;
  other.tcp.destination_port = kServerPort;
  recorder_.Record(At(2), FrameWay::kSent, Build(other));
  Record(0x1234, FrameWay::kReceived, 3);
  Fail(0x1234);
  recorder_.Settle();
  ASSERT_THAT(recorder_.kept(), SizeIs(1));
  EXPECT_THAT(MarksOf(recorder_, recorder_.kept()[0]), ElementsAre(1, 3));
}

TEST_F(FlightRecorderTest, AnEarlierConnectionOfTheTupleIsLeftOut) {
  Record(1000, FrameWay::kSent, 10);
  Record(1000, FrameWay::kSent, 20);
  Fail(1000, 15);
  recorder_.Settle();
  EXPECT_THAT(MarksOf(recorder_, recorder_.kept()[0]), ElementsAre(20));
}

TEST_F(FlightRecorderTest, WhatWasOverwrittenIsMissing) {
  Record(1000, FrameWay::kSent, 1);
  for (uint32_t i = 0; i < kSlots - 1; ++i) Record(2000, FrameWay::kSent, 2 + i);
  Record(1000, FrameWay::kSent, 500);
  Fail(1000);
  Fail(3000);
  recorder_.Settle();
  ASSERT_THAT(recorder_.kept(), SizeIs(1));
  EXPECT_THAT(MarksOf(recorder_, recorder_.kept()[0]), ElementsAre(500));
  EXPECT_EQ(recorder_.missed(), 1u);
}

TEST_F(FlightRecorderTest, KeepsNoMoreThanItsBytes) {
  for (uint16_t port = 1; port <= 10; ++port) {
    Record(port, FrameWay::kSent, 1);
    Record(port, FrameWay::kReceived, 2);
    Fail(port);
  }
  recorder_.Settle();
  EXPECT_THAT(recorder_.kept(), SizeIs(8));
  EXPECT_EQ(recorder_.missed(), 2u);
}

TEST_F(FlightRecorderTest, LongFramesAreCutAndTheirLengthIsKnown) {
  Record(1000, FrameWay::kReceived, 1, 1000);
  Fail(1000);
  recorder_.Settle();
  const FlightRecorder::Slot& slot = recorder_.frames_of(recorder_.kept()[0])[0];
  EXPECT_EQ(slot.captured, FlightRecorder::kSnapBytes);
  EXPECT_EQ(slot.length, Segment(1000, FrameWay::kReceived, 1, 1000).size());
}

TEST_F(FlightRecorderTest, Ipv6ConnectionsToo) {
  FrameSpecV6 spec;
  spec.source = kPeerV6;
  spec.destination = kOurV6;
  spec.tcp.source_port = kServerPort;
  spec.tcp.destination_port = 1000;
  recorder_.Record(At(1), FrameWay::kReceived, BuildV6(spec));
  recorder_.OnFailure({kOurV6, 1000}, {kPeerV6, kServerPort}, At(0), "r", "m");
  recorder_.OnFailure({kOurV6, 1001}, {kPeerV6, kServerPort}, At(0), "r", "m");
  recorder_.Settle();
  EXPECT_THAT(recorder_.kept(), SizeIs(1));
  EXPECT_EQ(recorder_.missed(), 1u);
}

// Random traffic and failures: what is taken out is what was recorded of the connection, newest
// first missing nothing, and memory stays as it was.
TEST_F(FlightRecorderTest, TakesOutASuffixOfWhatTheConnectionHad) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    FlightRecorder recorder({.ring_bytes = kSlots * sizeof(FlightRecorder::Slot),
                             .kept_bytes = 4096 * sizeof(FlightRecorder::Slot)});
    Prng dice(seed);
    std::vector<std::vector<uint32_t>> recorded(5);
    for (uint32_t mark = 1; mark < 1000; ++mark) {
      const auto port = static_cast<uint16_t>(dice.Below(5));
      recorder.Record(At(mark), FrameWay::kSent,
                      Segment(static_cast<uint16_t>(port + 1), FrameWay::kSent, mark));
      recorded[port].push_back(mark);
      if (!dice.Chance(0.02)) continue;
      const size_t kept = recorder.kept().size();
      recorder.OnFailure(Ours(static_cast<uint16_t>(port + 1)), kServer, At(0), "r", "m");
      recorder.Settle();
      ASSERT_EQ(recorder.kept().size(), kept + 1) << seed;
      const auto marks = MarksOf(recorder, recorder.kept().back());
      const auto expected = std::count_if(recorded[port].begin(), recorded[port].end(),
                                          [&](uint32_t m) { return m + kSlots > mark; });
      ASSERT_EQ(static_cast<std::ptrdiff_t>(marks.size()), expected) << seed;
      EXPECT_TRUE(std::equal(marks.rbegin(), marks.rend(), recorded[port].rbegin())) << seed;
    }
  }
}

}  // namespace
}  // namespace millrace::apps
