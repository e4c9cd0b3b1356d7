// tests/unit/sim/impaired_port_test.cc - a bad network around a port.
#include "millrace/sim/impaired_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <utility>
#include <vector>

#include "test_frames.h"

namespace millrace::sim {
namespace {

using ::testing::ElementsAre;
using wire::PacketHandle;

constexpr Duration kMs = Duration::Milliseconds(1);

// An impaired SimPort whose sent frames are collected.
struct Rig {
  explicit Rig(const Impairment& tx, const Impairment& rx, const SimPortOptions& options = {},
               size_t held_packets_max = 1000)
      : inner(options), port(inner, tx, rx, held_packets_max) {
    inner.SetSink([this](Instant now, Frame frame) {
      sent.emplace_back(now, IdOf(frame));
      sent_frames.push_back(std::move(frame));
    });
  }
  PacketHandle Build(uint32_t id) {
    const Frame frame = TcpFrame(id);
    const PacketHandle packet = port.Allocate();
    std::memcpy(port.Data(packet), frame.data(), frame.length());
    port.Finish(packet, frame.length(), {});
    return packet;
  }
  size_t Send(Instant now, uint32_t id) {
    const PacketHandle packet = Build(id);
    return port.TxBurst(now, {&packet, 1});
  }
  // Ids received now; their packets are freed.
  std::vector<uint32_t> Receive(Instant now) {
    std::array<stack::RxFrame, stack::kBurst> frames;
    const size_t count = port.RxBurst(now, frames);
    std::vector<uint32_t> ids;
    for (const stack::RxFrame& frame : std::span(frames).first(count)) {
      EXPECT_EQ(frame.l4_checksum, wire::ChecksumState::kUnknown);
      ids.push_back(IdOf(frame));
      port.Free({&frame.packet, 1});
    }
    return ids;
  }

  SimPort inner;
  ImpairedPort<SimPort> port;
  std::vector<std::pair<Instant, uint32_t>> sent;
  std::vector<Frame> sent_frames;
};

TEST(ImpairedPort, CleanDirectionsPassThrough) {
  Rig rig({}, {});
  EXPECT_EQ(rig.Send(At(1), 5), 1u);
  EXPECT_THAT(rig.sent, ElementsAre(std::pair(At(1), 5u)));
  rig.inner.Deliver(TcpFrame(6));
  EXPECT_THAT(rig.Receive(At(2)), ElementsAre(6u));
  EXPECT_EQ(rig.inner.live(), 0u);
}

TEST(ImpairedPort, CleanDirectionPassesBackPressureOn) {
  Rig rig({}, {}, {.faults = {.transmit_partial = 1}});
  const PacketHandle packet = rig.Build(1);
  EXPECT_EQ(rig.port.TxBurst(At(1), {&packet, 1}), 0u);
  rig.port.Free({&packet, 1});
  EXPECT_EQ(rig.inner.live(), 0u);
}

TEST(ImpairedPort, HidesChecksumOffload) {
  Rig rig(
      {}, {},
      {.capabilities = {
           .mtu = 900, .tx_ipv4_checksum = true, .tx_tcp_checksum = true, .rx_checksum = true}});
  EXPECT_FALSE(rig.port.capabilities().tx_ipv4_checksum);
  EXPECT_FALSE(rig.port.capabilities().tx_tcp_checksum);
  EXPECT_FALSE(rig.port.capabilities().rx_checksum);
  EXPECT_EQ(rig.port.capabilities().mtu, 900);
  rig.inner.Deliver(TcpFrame(6));
  EXPECT_THAT(rig.Receive(At(2)), ElementsAre(6u));  // with kUnknown, see Receive
}

TEST(ImpairedPort, HoldsSentFramesAndReleasesThemFromReceiveToo) {
  Rig rig({.delay = kMs}, {});
  rig.Send(At(0), 1);
  EXPECT_TRUE(rig.sent.empty());
  EXPECT_EQ(rig.port.NextDue(), At(1000));
  rig.Receive(At(999));
  EXPECT_TRUE(rig.sent.empty());
  rig.Receive(At(1000));
  EXPECT_THAT(rig.sent, ElementsAre(std::pair(At(1000), 1u)));
  EXPECT_EQ(rig.inner.live(), 0u);
  EXPECT_TRUE(rig.port.NextDue().IsNever());
}

TEST(ImpairedPort, HoldsReceivedFramesUntilTheyAreDue) {
  Rig rig({}, {.delay = kMs});
  rig.inner.Deliver(TcpFrame(1));
  EXPECT_TRUE(rig.Receive(At(0)).empty());
  rig.inner.Deliver(TcpFrame(2));
  EXPECT_TRUE(rig.Receive(At(500)).empty());
  EXPECT_THAT(rig.Receive(At(1000)), ElementsAre(1u));
  EXPECT_THAT(rig.Receive(At(2000)), ElementsAre(2u));
}

TEST(ImpairedPort, KeepsTheOrderOfWhatTheInnerPortRefuses) {
  Rig rig({.delay = kMs}, {}, {.faults = {.transmit_packets_max = 1, .transmit_partial = 0.5}});
  for (uint32_t id = 0; id < 100; ++id) rig.Send(At(0), id);
  for (int us = 1000; us < 2000 && rig.port.held() > 0; ++us) rig.Receive(At(us));
  ASSERT_EQ(rig.sent.size(), 100u);
  for (uint32_t id = 0; id < 100; ++id) EXPECT_EQ(rig.sent[id].second, id);
}

TEST(ImpairedPort, FramesSentAfterHealingDoNotJumpHeldOnesOfTheSameInstant) {
  Rig rig({.delay = kMs}, {});
  rig.Send(At(0), 1);
  rig.port.SetImpairment({}, {});
  rig.Send(At(500), 2);
  EXPECT_THAT(rig.sent, ElementsAre(std::pair(At(500), 2u)));
  rig.Send(At(1000), 3);
  EXPECT_THAT(rig.sent, ElementsAre(std::pair(At(500), 2u), std::pair(At(1000), 1u),
                                    std::pair(At(1000), 3u)));
}

TEST(ImpairedPort, FramesSentAfterHealingDoNotOvertakeRefusedOnes) {
  Rig rig({.delay = kMs}, {}, {.faults = {.transmit_partial = 1}});
  rig.Send(At(0), 1);
  rig.Receive(At(1000));  // due, and refused by the inner port
  rig.port.SetImpairment({}, {});
  rig.inner.SetFaults({});
  rig.Send(At(2000), 2);
  EXPECT_THAT(rig.sent, ElementsAre(std::pair(At(2000), 1u), std::pair(At(2000), 2u)));
}

TEST(ImpairedPort, DrainFreesRefusedFramesToo) {
  Rig rig({.delay = kMs}, {}, {.faults = {.transmit_partial = 1}});
  rig.Send(At(0), 1);
  rig.Receive(At(1000));
  EXPECT_EQ(rig.port.held(), 1u);
  EXPECT_LE(rig.port.NextDue(), At(1000));
  rig.port.Drain();
  EXPECT_EQ(rig.port.held(), 0u);
  EXPECT_EQ(rig.inner.live(), 0u);
}

TEST(ImpairedPort, FullHeapDropsWithACounter) {
  Rig rig({.delay = kMs}, {}, {}, 2);
  for (uint32_t id = 0; id < 5; ++id) EXPECT_EQ(rig.Send(At(0), id), 1u);
  EXPECT_EQ(rig.port.counters().held_full, 3u);
  EXPECT_EQ(rig.inner.live(), 2u);
}

TEST(ImpairedPort, DuplicatesAreEqualAndOfExactSize) {
  Rig rig({.duplicate = 1}, {.duplicate = 1});
  rig.Send(At(0), 7);
  rig.Receive(At(1000));
  ASSERT_EQ(rig.sent_frames.size(), 2u);
  EXPECT_TRUE(std::ranges::equal(rig.sent_frames[0].octets(), rig.sent_frames[1].octets()));
  rig.inner.Deliver(TcpFrame(8));
  std::vector<uint32_t> ids = rig.Receive(At(2000));
  for (const uint32_t id : rig.Receive(At(3000))) ids.push_back(id);
  EXPECT_THAT(ids, ElementsAre(8u, 8u));
  EXPECT_EQ(rig.inner.live(), 0u);
}

TEST(ImpairedPort, EmptyPoolMeansNoDuplicate) {
  Rig rig({.duplicate = 1}, {}, {.packets_max = 1});
  rig.Send(At(0), 7);
  rig.Receive(At(5000));
  EXPECT_EQ(rig.sent.size(), 1u);
  EXPECT_EQ(rig.port.counters().duplicate_no_packet, 1u);
}

TEST(ImpairedPort, CorruptsOneBitOfIpv4AndDropsCorruptArp) {
  Rig rig({.corrupt = 1}, {.corrupt = 1});
  rig.Send(At(0), 7);
  ASSERT_EQ(rig.sent_frames.size(), 1u);
  int bits = 0;
  const Frame original = TcpFrame(7);
  for (uint32_t i = 0; i < original.length(); ++i) {
    const std::byte difference = original.data()[i] ^ rig.sent_frames[0].data()[i];
    bits += std::popcount(std::to_integer<unsigned>(difference));
  }
  EXPECT_EQ(bits, 1);
  rig.inner.Deliver(ArpFrame());
  EXPECT_TRUE(rig.Receive(At(1)).empty());
  EXPECT_EQ(rig.port.counters().stopped_by_fcs, 1u);
  EXPECT_EQ(rig.inner.live(), 0u);
}

TEST(ImpairedPort, FreeingAFinishedPacketForgetsIt) {
  Rig rig({.delay = kMs}, {});
  const PacketHandle packet = rig.Build(1);
  EXPECT_EQ(rig.port.FinishedForTest(), 1u);
  rig.port.Free({&packet, 1});
  EXPECT_EQ(rig.port.FinishedForTest(), 0u);
  rig.Send(At(0), 2);
  rig.Receive(At(1000));
  EXPECT_THAT(rig.sent, ElementsAre(std::pair(At(1000), 2u)));
}

TEST(ImpairedPort, ReceivedPacketMayBeSentBack) {
  Rig rig({.delay = kMs}, {.delay = kMs});
  rig.inner.Deliver(TcpFrame(4));
  rig.Receive(At(0));
  std::array<stack::RxFrame, 1> frames;
  ASSERT_EQ(rig.port.RxBurst(At(1000), frames), 1u);
  rig.port.Finish(frames[0].packet, frames[0].length, {});
  EXPECT_EQ(rig.port.TxBurst(At(1000), {&frames[0].packet, 1}), 1u);
  rig.Receive(At(2000));
  EXPECT_THAT(rig.sent, ElementsAre(std::pair(At(2000), 4u)));
}

TEST(ImpairedPort, DestructorFreesWhatIsHeld) {
  SimPort inner({});
  {
    ImpairedPort<SimPort> port(inner, {.delay = kMs}, {.delay = kMs});
    inner.Deliver(TcpFrame(1));
    std::array<stack::RxFrame, 4> frames;
    EXPECT_EQ(port.RxBurst(At(0), frames), 0u);
    EXPECT_EQ(inner.live(), 1u);
  }
  EXPECT_EQ(inner.live(), 0u);
}

TEST(ImpairedPort, ConservesPacketsUnderEveryImpairmentAndFault) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Impairment bad{.loss = 0.05,
                         .burst_loss = 0.01,
                         .reorder = 0.2,
                         .duplicate = 0.2,
                         .corrupt = 0.1,
                         .delay = kMs,
                         .jitter = kMs / 2,
                         .rate_bps = 1'000'000'000,
                         .queue_packets_max = 50,
                         .seed = seed};
    Rig rig(bad, bad, {.faults = {.transmit_partial = 0.3, .seed = seed}}, 150);
    uint64_t received = 0;
    for (uint32_t i = 0; i < 4000; ++i) {
      if (i < 3000) {
        rig.Send(At(i * 5), i);
        rig.inner.Deliver(TcpFrame(i));
      }
      received += rig.Receive(At(i * 5)).size();
    }
    const ImpairmentCounters &tx = rig.port.tx_counters(), &rx = rig.port.rx_counters();
    const ImpairedPortCounters& c = rig.port.counters();
    EXPECT_EQ(rig.port.held(), 0u);
    EXPECT_EQ(rig.inner.live(), 0u);
    EXPECT_EQ(tx.offered + rx.offered, 6000u);
    EXPECT_EQ(rig.sent.size() + received, tx.passed + tx.duplicated + rx.passed + rx.duplicated -
                                              c.held_full - c.duplicate_no_packet);
    EXPECT_NE(tx.lost, rx.lost);  // not the same dice
    EXPECT_GT(c.held_full, 0u);
  }
}

}  // namespace
}  // namespace millrace::sim
