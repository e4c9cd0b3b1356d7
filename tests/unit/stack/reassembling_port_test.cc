#include "millrace/stack/reassembling_port.h"

#include <gtest/gtest.h>

#include "millrace/sim/sim_port.h"
#include "testing/fragments.h"
#include "unit/wire/frame_builder.h"

namespace millrace::stack {
namespace {

using sim::Frame;
using sim::SimPort;
using wire::testing::Bytes;

constexpr Instant kNow = Instant::FromNanoseconds(1'000'000'000);

static_assert(Port<ReassemblingPort<SimPort>>);

class ReassemblingPortTest : public ::testing::Test {
 protected:
  ReassemblingPortTest() {
    sim::SimPortOptions options;
    options.capabilities.mac = wire::testing::kOurMac;
    options.packets_max = 64;
    inner_.emplace(options);
    port_.emplace(*inner_, ReassemblyConfig{.datagrams_max = 4});
  }
  void Deliver(const Bytes& frame) { inner_->Deliver(Frame::CopyOf(frame)); }
  std::vector<RxFrame> Receive(Instant now = kNow) {
    std::vector<RxFrame> frames(kBurst);
    frames.resize(port_->RxBurst(now, frames));
    return frames;
  }

  Bytes whole_ = wire::testing::Build({.payload = wire::testing::Counting(1400)});
  std::optional<SimPort> inner_;
  std::optional<ReassemblingPort<SimPort>> port_;
};

TEST_F(ReassemblingPortTest, FragmentsBecomeOneFrameAmongOthers) {
  const auto fragments = millrace::testing::SplitFrame(whole_, 504, 1);
  ASSERT_EQ(fragments.size(), 3u);
  const Bytes other = wire::testing::Build({.payload = wire::testing::Counting(10)});
  Deliver(fragments[2]);
  Deliver(other);
  Deliver(fragments[0]);
  Deliver(fragments[1]);
  Deliver(other);
  const std::vector<RxFrame> frames = Receive();
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].length, other.size());
  EXPECT_EQ(frames[1].length, whole_.size());
  EXPECT_EQ(frames[1].l4_checksum, wire::ChecksumState::kUnknown);
  const Bytes got(frames[1].data, frames[1].data + frames[1].length);
  EXPECT_EQ(wire::testing::Parse(got).Payload(), wire::testing::Counting(1400));
  EXPECT_EQ(frames[2].length, other.size());
  EXPECT_EQ(inner_->live(), 3u);
  for (const RxFrame& f : frames) port_->Free({&f.packet, 1});
  EXPECT_EQ(inner_->live(), 0u);
}

// What is no fragment that could ever be put together reaches the engine, which has a name for it.
TEST_F(ReassemblingPortTest, ImpossibleFragmentIsPassedOn) {
  Bytes frame = millrace::testing::FragmentOf(whole_, 0, 63, true, 1);
  Deliver(frame);
  const std::vector<RxFrame> frames = Receive();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(wire::testing::Parse(Bytes(frames[0].data, frames[0].data + frames[0].length)).drop,
            wire::DropReason::kIpFragment);
  EXPECT_EQ(port_->reassembler().counters().fragments, 0u);
  port_->Free({&frames[0].packet, 1});
}

TEST_F(ReassemblingPortTest, WithoutAPacketTheDatagramIsCountedAndForgotten) {
  inner_->SetFaults({.allocate_fail_every = 1});
  for (const Bytes& f : millrace::testing::SplitFrame(whole_, 800, 1)) Deliver(f);
  EXPECT_TRUE(Receive().empty());
  EXPECT_EQ(port_->reassembler().counters().no_packet, 1u);
  EXPECT_EQ(port_->reassembler().waiting(), 0u);
  EXPECT_EQ(inner_->live(), 0u);
}

// Halves hold no packet of the port, and polling alone ends them.
TEST_F(ReassemblingPortTest, HalvesHoldNoPacketAndEndByPolling) {
  for (uint32_t id = 0; id < 40; ++id) {
    Deliver(millrace::testing::FragmentOf(whole_, 0, 504, true, id));
  }
  EXPECT_TRUE(Receive().empty());
  EXPECT_TRUE(Receive().empty());
  EXPECT_EQ(inner_->live(), 0u);
  EXPECT_EQ(port_->reassembler().waiting(), 4u);
  EXPECT_TRUE(Receive(kNow + Duration::Seconds(30)).empty());
  EXPECT_EQ(port_->reassembler().waiting(), 0u);
}

}  // namespace
}  // namespace millrace::stack
