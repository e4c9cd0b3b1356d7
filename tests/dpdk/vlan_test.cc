// tests/dpdk/vlan_test.cc - VlanPort over a ring pair, with real mbufs: the tags in software, and
// what a device that does them would see and say.
#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <cstring>
#include <optional>
#include <vector>

#include "millrace/base/endian.h"
#include "millrace/dpdk/ring_pair.h"
#include "millrace/dpdk/vlan_port.h"

namespace millrace::dpdk {
namespace {

using Bytes = std::vector<std::byte>;
using Frames = std::vector<Bytes>;

constexpr Instant kNow = Instant::FromNanoseconds(1);
constexpr uint16_t kId = 42;

// Addresses of 12 octets, EtherType IPv4, and a counter.
Bytes Untagged(size_t octets = 60) {
  Bytes bytes(octets);
  for (size_t i = 0; i < octets; ++i) bytes[i] = static_cast<std::byte>(i);
  StoreBe16(&bytes[12], 0x0800);
  return bytes;
}

Bytes Tagged(uint16_t tci, Bytes bytes = Untagged()) {
  const std::byte tag[] = {std::byte{0x81}, std::byte{0x00}, static_cast<std::byte>(tci >> 8),
                           static_cast<std::byte>(tci & 0xFF)};
  bytes.insert(bytes.begin() + 12, std::begin(tag), std::end(tag));
  return bytes;
}

class VlanTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(kId); }
  void TearDown() override {
    const auto pool = pair_->first().pool();
    vlan_.reset();
    pair_.reset();
    EXPECT_EQ(pool->in_use(), 0u);
  }
  void Open(uint16_t id) {
    vlan_.reset();
    pair_.reset();
    RingPairOptions options;
    options.ring_packets = 64;
    options.port.packets = 1023;
    options.port.vlan = true;
    auto pair = RingPair::Create(options);
    ASSERT_TRUE(pair.ok()) << pair.status();
    pair_ = *std::move(pair);
    vlan_.emplace(pair_->first(), id);
  }
  DpdkPort& wire() { return pair_->second(); }  // what the network sees

  template <class P>
  static wire::PacketHandle Build(P& port, const Bytes& bytes) {
    const wire::PacketHandle packet = port.Allocate();
    std::memcpy(port.Data(packet), bytes.data(), bytes.size());
    port.Finish(packet, static_cast<uint32_t>(bytes.size()), {});
    return packet;
  }
  template <class P>
  static Frames Receive(P& port) {
    stack::RxFrame frames[stack::kBurst];
    const size_t count = port.RxBurst(kNow, frames);
    Frames received;
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(frames[i].data, port.Data(frames[i].packet));
      received.emplace_back(frames[i].data, frames[i].data + frames[i].length);
      port.Free(std::span(&frames[i].packet, 1));
    }
    return received;
  }
  void Arrives(const Bytes& bytes) {
    const wire::PacketHandle packet = Build(wire(), bytes);
    ASSERT_EQ(wire().TxBurst(kNow, std::span(&packet, 1)), 1u);
  }

  std::unique_ptr<RingPair> pair_;
  std::optional<VlanPort> vlan_;
};

TEST_F(VlanTest, WhatIsSentHasTheTag) {
  for (const size_t octets : {size_t{14}, size_t{60}, size_t{1514}}) {
    const wire::PacketHandle packet = Build(*vlan_, Untagged(octets));
    EXPECT_EQ(vlan_->TxBurst(kNow, std::span(&packet, 1)), 1u);
    EXPECT_EQ(Receive(wire()), Frames{Tagged(kId, Untagged(octets))});
  }
}

// IPL-12: whatever the priority; every other tag, a missing one and a runt have a counter.
TEST_F(VlanTest, OnlyOurTagIsTakenOff) {
  Arrives(Tagged(kId));
  Arrives(Tagged(0xE000 | kId));
  Arrives(Tagged(kId + 1));
  Arrives(Tagged(0x1000 | kId | 0x800));
  Arrives(Untagged());
  Arrives(Tagged(0));
  Arrives(Tagged(0x6000));
  Bytes cut = Tagged(kId);
  cut.resize(17);  // ends in the tag
  Arrives(cut);
  EXPECT_EQ(Receive(*vlan_), (Frames{Untagged(), Untagged()}));
  EXPECT_EQ(vlan_->counters().rx_other_vlan, 2u);
  EXPECT_EQ(vlan_->counters().rx_untagged, 4u);
}

// A second tag is payload of the first: the parser has no such EtherType.
TEST_F(VlanTest, OnlyOneTagIsTakenOff) {
  Arrives(Tagged(kId, Tagged(7)));
  EXPECT_EQ(Receive(*vlan_), Frames{Tagged(7)});
}

TEST_F(VlanTest, VlanZeroTakesPriorityTagsOffAndPutsNothingOn) {
  Open(0);
  Arrives(Tagged(0xA000));
  Arrives(Untagged());
  Arrives(Tagged(1));
  EXPECT_EQ(Receive(*vlan_), (Frames{Untagged(), Untagged()}));
  EXPECT_EQ(vlan_->counters().rx_other_vlan, 1u);
  const wire::PacketHandle packet = Build(*vlan_, Untagged());
  EXPECT_EQ(vlan_->TxBurst(kNow, std::span(&packet, 1)), 1u);
  EXPECT_EQ(Receive(wire()), Frames{Untagged()});
}

// What the device refuses belongs to the engine again, which may write to it: it has no tag.
TEST_F(VlanTest, RefusedPacketsComeBackWithoutTheTag) {
  std::vector<wire::PacketHandle> packets;
  for (int i = 0; i < 100; ++i) packets.push_back(Build(*vlan_, Untagged()));
  const size_t sent = vlan_->TxBurst(kNow, packets);
  ASSERT_LT(sent, packets.size());  // the ring holds fewer
  ASSERT_GT(sent, 32u);
  for (size_t i = sent; i < packets.size(); ++i) {
    const std::byte* const data = vlan_->Data(packets[i]);
    EXPECT_EQ(Bytes(data, data + 60), Untagged());
  }
  size_t received = 0;
  for (int i = 0; i < 10; ++i) {
    for (const Bytes& frame : Receive(wire())) {
      EXPECT_EQ(frame, Tagged(kId));
      ++received;
    }
  }
  EXPECT_EQ(received, sent);
  const auto rest = std::span(packets).subspan(sent);
  EXPECT_EQ(vlan_->TxBurst(kNow, rest), rest.size());
  for (int i = 0; i < 10; ++i) {
    for (const Bytes& frame : Receive(wire())) EXPECT_EQ(frame, Tagged(kId));
  }
}

// A packet that was received goes out again (an ICMP echo is answered in place).
TEST_F(VlanTest, ReceivedPacketCanBeSent) {
  Arrives(Tagged(kId));
  stack::RxFrame frames[stack::kBurst];
  ASSERT_EQ(vlan_->RxBurst(kNow, frames), 1u);
  vlan_->Finish(frames[0].packet, frames[0].length, {});
  EXPECT_EQ(vlan_->TxBurst(kNow, std::span(&frames[0].packet, 1)), 1u);
  EXPECT_EQ(Receive(wire()), Frames{Tagged(kId)});
}

TEST(VlanOffload, IsAskedForOnlyWithAVlan) {
  rte_eth_dev_info info{};
  info.rx_offload_capa = RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
  info.tx_offload_capa = RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
  const auto plan = [&info](bool vlan) {
    return PlanOffloads(info, true, ChecksumPolicy::kAuto, ChecksumPolicy::kAuto, true, vlan);
  };
  EXPECT_FALSE(plan(false).vlan_strip || plan(false).vlan_insert);
  EXPECT_EQ(plan(false).rx_offloads | plan(false).tx_offloads, 0u);
  EXPECT_TRUE(plan(true).vlan_strip && plan(true).vlan_insert);
  EXPECT_EQ(plan(true).rx_offloads, RTE_ETH_RX_OFFLOAD_VLAN_STRIP);
  EXPECT_EQ(plan(true).tx_offloads, RTE_ETH_TX_OFFLOAD_VLAN_INSERT);
  info = {};
  EXPECT_FALSE(plan(true).vlan_strip || plan(true).vlan_insert);
}

}  // namespace
}  // namespace millrace::dpdk
