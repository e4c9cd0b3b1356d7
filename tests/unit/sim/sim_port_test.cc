// tests/unit/sim/sim_port_test.cc - the port without a device.
#include "millrace/sim/sim_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "millrace/sim/device_checksum.h"
#include "millrace/sim/impairment.h"
#include "test_frames.h"

namespace millrace::sim {
namespace {

using wire::ChecksumState;
using wire::PacketHandle;

constexpr Instant kNow = At(5);

PacketHandle Build(SimPort& port, const Frame& frame, const stack::TxOffload& offload = {}) {
  const PacketHandle packet = port.Allocate();
  EXPECT_NE(packet, PacketHandle::kNone);
  std::memcpy(port.Data(packet), frame.data(), frame.length());
  port.Finish(packet, frame.length(), offload);
  return packet;
}

size_t Send(SimPort& port, PacketHandle packet) { return port.TxBurst(kNow, {&packet, 1}); }
void Free(SimPort& port, PacketHandle packet) { port.Free({&packet, 1}); }

stack::RxFrame ReceiveOne(SimPort& port) {
  std::array<stack::RxFrame, stack::kBurst> frames;
  EXPECT_EQ(port.RxBurst(kNow, frames), 1u);
  return frames[0];
}

// Collects what a port sends.
struct Wire {
  explicit Wire(SimPort& port) {
    port.SetSink([this](Instant, Frame frame) { frames.push_back(std::move(frame)); });
  }
  std::vector<Frame> frames;
};

TEST(SimPort, SendsWhatWasBuilt) {
  SimPort port({});
  Wire wire(port);
  const Frame frame = TcpFrame(42);
  EXPECT_EQ(Send(port, Build(port, frame)), 1u);
  ASSERT_EQ(wire.frames.size(), 1u);
  EXPECT_TRUE(std::ranges::equal(wire.frames[0].octets(), frame.octets()));
  EXPECT_EQ(port.live(), 0u);
}

TEST(SimPort, ReceivesWhatWasDeliveredInOrder) {
  SimPort port({});
  for (uint32_t id = 0; id < 3; ++id) port.Deliver(TcpFrame(id));
  EXPECT_EQ(port.rx_queued(), 3u);
  std::array<stack::RxFrame, 2> frames;
  ASSERT_EQ(port.RxBurst(kNow, frames), 2u);
  EXPECT_EQ(IdOf(frames[0]), 0u);
  EXPECT_EQ(IdOf(frames[1]), 1u);
  EXPECT_EQ(frames[0].data, port.Data(frames[0].packet));
  EXPECT_EQ(frames[0].length, kTestPayloadAt + 4);
  EXPECT_EQ(frames[0].ip_checksum, ChecksumState::kUnknown);
  EXPECT_EQ(port.live(), 2u);
  Free(port, frames[0].packet);
  Free(port, frames[1].packet);
}

TEST(SimPort, LeakedPacketStaysLive) {
  SimPort port({});
  port.Deliver(TcpFrame(1));
  ReceiveOne(port);
  port.Allocate();
  EXPECT_EQ(port.live(), 2u);
}

TEST(SimPort, AllocateHasRoomForTheMtuAndFinishShrinks) {
  SimPort port({.capabilities = {.mtu = 900}});
  const PacketHandle packet = port.Allocate();
  EXPECT_EQ(port.Length(packet), 918u);
  port.Data(packet)[59] = std::byte{7};
  port.Finish(packet, 60, {});
  EXPECT_EQ(port.Length(packet), 60u);
  EXPECT_EQ(port.Data(packet)[59], std::byte{7});
  Free(port, packet);
}

TEST(SimPort, ReceivedPacketMayBeSentBack) {
  SimPort port({});
  Wire wire(port);
  port.Deliver(TcpFrame(9));
  const stack::RxFrame frame = ReceiveOne(port);
  port.Finish(frame.packet, frame.length, {});
  EXPECT_EQ(Send(port, frame.packet), 1u);
  EXPECT_EQ(IdOf(wire.frames.at(0)), 9u);
  EXPECT_EQ(port.live(), 0u);
}

TEST(SimPort, PacketLimitCountsLiveAndQueuedOnes) {
  SimPort port({.packets_max = 2});
  port.Deliver(TcpFrame(0));
  const PacketHandle packet = port.Allocate();
  EXPECT_NE(packet, PacketHandle::kNone);
  EXPECT_EQ(port.Allocate(), PacketHandle::kNone);
  port.Deliver(TcpFrame(1));
  EXPECT_EQ(port.counters().allocate_no_packet, 1u);
  EXPECT_EQ(port.counters().rx_no_packet, 1u);
  EXPECT_EQ(port.rx_queued(), 1u);
  Free(port, packet);
  EXPECT_NE(port.Allocate(), PacketHandle::kNone);
}

TEST(SimPort, FullReceiveQueueDropsTheNewest) {
  SimPort port({.rx_queue_packets_max = 1});
  port.Deliver(TcpFrame(0));
  port.Deliver(TcpFrame(1));
  EXPECT_EQ(port.counters().rx_queue_full, 1u);
  EXPECT_EQ(IdOf(ReceiveOne(port)), 0u);
}

TEST(SimPort, EveryNthAllocateFails) {
  SimPort port({.faults = {.allocate_fail_every = 3}});
  std::vector<bool> got;
  for (int i = 0; i < 6; ++i) got.push_back(port.Allocate() != PacketHandle::kNone);
  EXPECT_THAT(got, testing::ElementsAre(true, true, false, true, true, false));
  EXPECT_EQ(port.counters().allocate_refused, 2u);
}

TEST(SimPort, RandomAllocateFailuresRepeatWithTheSeed) {
  const auto run = [] {
    SimPort port({.faults = {.allocate_fail = 0.5, .seed = 4}});
    std::vector<bool> got;
    for (int i = 0; i < 200; ++i) got.push_back(port.Allocate() != PacketHandle::kNone);
    return got;
  };
  EXPECT_EQ(run(), run());
  const std::vector<bool> got = run();
  EXPECT_NEAR(static_cast<double>(std::count(got.begin(), got.end(), true)), 100, 40);
}

TEST(SimPort, PartialTransmitLeavesTheRestWithTheCaller) {
  SimPort port({.faults = {.transmit_packets_max = 2}});
  Wire wire(port);
  std::vector<PacketHandle> packets;
  for (uint32_t id = 0; id < 3; ++id) packets.push_back(Build(port, TcpFrame(id)));
  EXPECT_EQ(port.TxBurst(kNow, packets), 2u);
  EXPECT_EQ(port.live(), 1u);
  EXPECT_EQ(IdOf({port.Data(packets[2]), port.Length(packets[2])}), 2u);
  EXPECT_EQ(port.counters().tx_refused, 1u);
  port.SetFaults({});
  EXPECT_EQ(Send(port, packets[2]), 1u);
  EXPECT_EQ(wire.frames.size(), 3u);
}

TEST(SimPort, RandomPartialTransmitAcceptsFewer) {
  SimPort port({.faults = {.transmit_partial = 1}});
  const PacketHandle packet = Build(port, TcpFrame(0));
  EXPECT_EQ(Send(port, packet), 0u);
  Free(port, packet);
  EXPECT_EQ(port.live(), 0u);
}

TEST(SimPort, PadsShortFramesWhenAsked) {
  SimPort port({.pad_short_frames = true});
  Wire wire(port);
  Send(port, Build(port, ArpFrame()));
  ASSERT_EQ(wire.frames.at(0).length(), 60u);
  EXPECT_EQ(wire.frames[0].data()[59], std::byte{0});
}

// PAR-03: what the device completes, the device at the other end finds good.
TEST(SimPort, CompletesOffloadedChecksumsAndVerifiesReceivedOnes) {
  SimPort sender({.capabilities = {.tx_ipv4_checksum = true, .tx_tcp_checksum = true}});
  SimPort receiver({.capabilities = {.rx_checksum = true}});
  sender.SetSink([&](Instant, Frame frame) { receiver.Deliver(std::move(frame)); });
  for (const uint32_t payload_bytes : {4u, 5u, 1400u}) {
    const Frame expected = TcpFrame(8, payload_bytes);
    const Frame bare = TcpFrame(8, payload_bytes, TestChecksums::kLeftToPort);
    Send(sender, Build(sender, bare, {.ipv4_checksum = true, .tcp_checksum = true}));
    const stack::RxFrame frame = ReceiveOne(receiver);
    EXPECT_EQ(frame.ip_checksum, ChecksumState::kGood);
    EXPECT_EQ(frame.l4_checksum, ChecksumState::kGood);
    EXPECT_EQ(std::memcmp(frame.data, expected.data(), frame.length), 0);
  }
}

TEST(VerifyChecksums, EveryFlippedBitBehindEthernetIsNoticed) {
  const Frame good = TcpFrame(7, 9);
  for (uint32_t bit = kTestIpAt * 8; bit < good.length() * 8; ++bit) {
    Frame bad = Frame::CopyOf(good.octets());
    ASSERT_TRUE(FlipBit(bad.data(), bad.length(), bit));
    const ReceivedChecksums checksums = VerifyChecksums(bad.octets());
    EXPECT_FALSE(checksums.ip == ChecksumState::kGood && checksums.l4 == ChecksumState::kGood)
        << bit;
  }
}

TEST(VerifyChecksums, NeverReadsBeyondTheFrame) {
  const Frame whole = TcpFrame(7, 9);
  for (uint32_t length = 0; length < whole.length(); ++length) {
    const Frame cut = Frame::CopyOf(whole.octets().first(length));
    EXPECT_NE(VerifyChecksums(cut.octets()).l4, ChecksumState::kGood) << length;
  }
}

TEST(VerifyChecksums, SaysNothingOfOtherProtocols) {
  EXPECT_EQ(VerifyChecksums(ArpFrame().octets()).ip, ChecksumState::kUnknown);
}

using SimPortDeathTest = testing::Test;

TEST(SimPortDeathTest, StaleHandleEndsTheProcess) {
  SimPort port({});
  const PacketHandle packet = port.Allocate();
  Free(port, packet);
  EXPECT_DEATH(Free(port, packet), "check failed");
  port.Allocate();  // takes the same slot, with another generation
  EXPECT_DEATH(port.Data(packet), "check failed");
}

TEST(SimPortDeathTest, SendingAnUnfinishedPacketEndsTheProcess) {
  SimPort port({});
  const PacketHandle packet = port.Allocate();
  EXPECT_DEATH(Send(port, packet), "finished");
}

TEST(SimPortDeathTest, AskingForAnOffloadThatIsNotOfferedEndsTheProcess) {
  SimPort port({});
  const PacketHandle packet = port.Allocate();
  EXPECT_DEATH(port.Finish(packet, 60, {.tcp_checksum = true}), "check failed");
}

}  // namespace
}  // namespace millrace::sim
