#include "millrace/stack/steered_port.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/base/endian.h"
#include "millrace/sim/sim_port.h"
#include "millrace/wire/arp.h"
#include "unit/wire/frame_builder.h"

namespace millrace::stack {
namespace {

using sim::SimPort;
using ::testing::Each;
using wire::testing::Build;
using wire::testing::Bytes;
using wire::testing::FrameSpec;
using wire::testing::kOurIp;
using wire::testing::kPeerIp;

constexpr Instant kNow = Instant::FromNanoseconds(1);

// Workers over one device, which is received from by those that have a queue.
class SteeredPortTest : public ::testing::Test {
 protected:
  void Open(uint32_t workers, uint32_t queues, uint32_t ring_frames = HandOver::kRingFramesMin) {
    steering_.emplace(Steering::DrawPattern(42, 128), 128, workers);
    hand_over_ = std::make_unique<HandOver>(workers, ring_frames);
    for (uint32_t i = 0; i < workers; ++i) {
      ports_.emplace_back(device_, *steering_, *hand_over_, i, queues);
    }
  }
  // All packets come back, those in rings too.
  void TearDown() override {
    ports_.clear();
    EXPECT_EQ(device_.live(), 0u);
  }

  uint32_t OwnerOf(uint16_t port) const {
    return steering_->OwnerOf(
        static_cast<Fold>(FoldOf(kPeerIp) ^ FoldOf(kOurIp) ^ port ^ uint16_t{80}));
  }
  // A port of the peer whose segments belong to the worker.
  uint16_t PortOwnedBy(uint32_t worker, uint16_t from = 1024) const {
    while (OwnerOf(from) != worker) ++from;
    return from;
  }
  void Deliver(uint16_t peer_port, wire::Flags flags = wire::kAck) {
    FrameSpec spec;
    spec.tcp.source_port = peer_port;
    spec.tcp.flags = flags;
    Deliver(Build(spec));
  }
  void Deliver(const Bytes& frame) {
    sim::Frame copy(static_cast<uint32_t>(frame.size()));
    std::copy(frame.begin(), frame.end(), copy.data());
    device_.Deliver(std::move(copy));
  }
  // Ports of the peer in the segments that a worker gets in one burst, which it frees.
  std::vector<uint16_t> Receive(uint32_t worker) {
    std::array<RxFrame, kBurst> frames;
    const size_t count = ports_[worker].RxBurst(kNow, frames);
    std::vector<uint16_t> peer_ports;
    for (size_t i = 0; i < count; ++i) {
      peer_ports.push_back(LoadBe16(frames[i].data + wire::testing::kTcpAt));
      ports_[worker].Free({&frames[i].packet, 1});
    }
    return peer_ports;
  }
  wire::PacketHandle FrameToSend(uint32_t worker, unsigned mark) {
    const wire::PacketHandle packet = ports_[worker].Allocate();
    StoreU8(ports_[worker].Data(packet), mark);
    ports_[worker].Finish(packet, 60, {});
    return packet;
  }

  SimPort device_{sim::SimPortOptions()};
  std::optional<Steering> steering_;
  std::unique_ptr<HandOver> hand_over_;
  std::deque<SteeredPort<SimPort>> ports_;
};

TEST_F(SteeredPortTest, EveryFrameReachesItsOwnerInOrder) {
  Open(3, 1);
  std::vector<std::vector<uint16_t>> expected(3), got(3);
  for (uint16_t port = 1024; port < 1324; ++port) {
    Deliver(port);
    expected[OwnerOf(port)].push_back(port);
    if (port % 20 != 0) continue;
    for (uint32_t worker = 0; worker < 3; ++worker) {
      const std::vector<uint16_t> ports = Receive(worker);
      got[worker].insert(got[worker].end(), ports.begin(), ports.end());
    }
  }
  for (int round = 0; round < 20; ++round) {
    for (uint32_t worker = 0; worker < 3; ++worker) {
      const std::vector<uint16_t> ports = Receive(worker);
      got[worker].insert(got[worker].end(), ports.begin(), ports.end());
    }
  }
  EXPECT_EQ(got, expected);
  const HandOverCounters& c = ports_[0].counters();
  EXPECT_EQ(c.steered_here, expected[0].size());
  EXPECT_EQ(c.handed_over, expected[1].size() + expected[2].size());
  EXPECT_EQ(ports_[1].counters().taken, expected[1].size());
  EXPECT_EQ(c.dropped + c.dropped_openings, 0u);
}

TEST_F(SteeredPortTest, OwnFramesAreNotCountedAsPassedOn) {
  Open(2, 1);
  Deliver(PortOwnedBy(0));
  EXPECT_EQ(Receive(0).size(), 1u);
  EXPECT_EQ(ports_[0].TakePassedOn(), 0u);
  Deliver(PortOwnedBy(1));
  EXPECT_TRUE(Receive(0).empty());
  EXPECT_EQ(ports_[0].TakePassedOn(), 1u);
  EXPECT_EQ(ports_[0].TakePassedOn(), 0u);
}

// A worker that does not poll: its ring fills, SYNs stop first, and nothing else is touched.
TEST_F(SteeredPortTest, FullRingDropsOpeningsBeforeOtherSegments) {
  Open(2, 1);
  const uint16_t there = PortOwnedBy(1), here = PortOwnedBy(0);
  for (int i = 0; i < 100; ++i) Deliver(there, wire::kSyn);
  for (int i = 0; i < 7; ++i) Receive(0);
  const HandOverCounters& c = ports_[0].counters();
  EXPECT_EQ(c.handed_over, 48u);  // three quarters of 64
  EXPECT_EQ(c.dropped_openings, 52u);
  for (int i = 0; i < 20; ++i) Deliver(there, i % 2 == 0 ? wire::kAck : wire::kSyn);
  Receive(0);
  EXPECT_EQ(c.handed_over, 58u);
  EXPECT_EQ(c.dropped_openings, 62u);
  for (int i = 0; i < 20; ++i) Deliver(there);
  Deliver(here);
  EXPECT_EQ(Receive(0).size(), 1u);
  EXPECT_EQ(c.handed_over, 64u);
  EXPECT_EQ(c.dropped, 14u);
}

TEST_F(SteeredPortTest, OthersFramesTakeHalfABurst) {
  Open(2, 2);
  const uint16_t of_1 = PortOwnedBy(1);
  for (int i = 0; i < 30; ++i) Deliver(of_1);
  EXPECT_TRUE(Receive(0).empty());
  for (int i = 0; i < 30; ++i) Deliver(of_1);
  EXPECT_EQ(Receive(1).size(), kBurst);  // 16 from the ring, 16 from the queue
  EXPECT_EQ(Receive(1).size(), 14u + 14u);
}

Bytes ArpReply() {
  Bytes arp(wire::kEthernetHeaderBytes + wire::kArpBytes);
  wire::EmitEthernet(arp.data(), wire::testing::kOurMac, wire::testing::kPeerMac,
                     wire::kEtherTypeArp);
  StoreBe16(arp.data() + wire::kEthernetHeaderBytes + wire::kArpOperationAt, wire::kArpReply);
  return arp;
}

TEST_F(SteeredPortTest, NeighbourRepliesReachEveryTable) {
  Open(4, 1);
  Bytes request = ArpReply();
  StoreBe16(request.data() + wire::kEthernetHeaderBytes + wire::kArpOperationAt, wire::kArpRequest);
  Deliver(request);
  EXPECT_EQ(Receive(0).size(), 1u) << "whoever receives it answers it";
  Deliver(ArpReply());
  for (uint32_t worker = 0; worker < 4; ++worker) EXPECT_EQ(Receive(worker).size(), 1u);
  EXPECT_EQ(ports_[0].counters().copied, 3u);
  EXPECT_EQ(ports_[0].counters().copies_failed, 0u);
}

// A copy that cannot be made, or finds no room, is one worker's loss: it will ask again.
TEST_F(SteeredPortTest, NeighbourRepliesThatFindNoRoomAreCounted) {
  Open(2, 1);
  device_.SetFaults({.allocate_fail_every = 1});
  Deliver(ArpReply());
  EXPECT_EQ(Receive(0).size(), 1u);
  EXPECT_EQ(ports_[0].counters().copies_failed, 1u);
  device_.SetFaults({});
  for (int i = 0; i < 60; ++i) {
    Deliver(ArpReply());
    EXPECT_EQ(Receive(0).size(), 1u);
  }
  EXPECT_EQ(ports_[0].counters().copied, 60u);
  EXPECT_EQ(ports_[0].counters().copies_failed, 1u + 60 - 48) << "three quarters of the ring";
  EXPECT_EQ(Receive(1).size(), 32u);
}

TEST_F(SteeredPortTest, WorkersWithoutAQueueSendByTheirRelay) {
  Open(5, 2);
  std::vector<unsigned> sent;
  device_.SetSink([&sent](Instant, const sim::Frame& frame) {
    sent.push_back(static_cast<unsigned>(frame.data()[0]));
  });
  for (uint32_t worker = 0; worker < 5; ++worker) {
    const wire::PacketHandle packet = FrameToSend(worker, worker);
    EXPECT_EQ(ports_[worker].TxBurst(kNow, {&packet, 1}), 1u);
  }
  EXPECT_THAT(sent, ::testing::ElementsAre(0, 1));
  Receive(0);
  EXPECT_THAT(sent, ::testing::ElementsAre(0, 1, 2, 4));
  Receive(1);
  EXPECT_THAT(sent, ::testing::ElementsAre(0, 1, 2, 4, 3));
  EXPECT_EQ(ports_[0].counters().relayed, 2u);
}

// What a worker without a queue has sent, and its relay has not fetched, is freed with it: TearDown
// counts.
TEST_F(SteeredPortTest, WhatNoRelayFetchedIsFreed) {
  Open(2, 1);
  for (unsigned i = 0; i < 40; ++i) {
    const wire::PacketHandle packet = FrameToSend(1, i);
    ASSERT_EQ(ports_[1].TxBurst(kNow, {&packet, 1}), 1u);
  }
  EXPECT_EQ(device_.live(), 40u);
}

TEST_F(SteeredPortTest, RelayKeepsWhatTheDeviceRefuses) {
  Open(2, 1);
  std::vector<unsigned> sent;
  device_.SetSink([&sent](Instant, const sim::Frame& frame) {
    sent.push_back(static_cast<unsigned>(frame.data()[0]));
  });
  device_.SetFaults({.transmit_packets_max = 3});
  std::vector<wire::PacketHandle> packets;
  for (unsigned i = 0; i < 100; ++i) packets.push_back(FrameToSend(1, i));
  const size_t accepted = ports_[1].TxBurst(kNow, packets);
  EXPECT_EQ(accepted, 64u);  // the rest stays with the worker, as with a full device
  ports_[1].Free(std::span(packets).subspan(accepted));
  for (int i = 0; i < 12; ++i) Receive(0);
  ASSERT_EQ(sent.size(), 32u + 3u);  // bursts of 32, three at a time
  for (unsigned i = 0; i < sent.size(); ++i) EXPECT_EQ(sent[i], i);
  // What is left on the way is freed with the ports: TearDown counts.
}

TEST(HandOver, RingsHoldAtMostHalfOfThePackets) {
  EXPECT_EQ(HandOver::RingFramesFor(2, 16'383), HandOver::kRingFrames);
  EXPECT_EQ(HandOver::RingFramesFor(4, 8'191), 128u);
  EXPECT_EQ(HandOver::RingFramesFor(64, 8'191), HandOver::kRingFramesMin);
}

}  // namespace
}  // namespace millrace::stack
