// tests/dpdk/port_test.cc - DpdkPort over a ring pair, with real mbufs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "millrace/dpdk/dpdk_port.h"
#include "millrace/dpdk/ring_pair.h"

namespace millrace::dpdk {
namespace {

using ::testing::HasSubstr;
using Bytes = std::vector<std::byte>;
using Frames = std::vector<Bytes>;

constexpr Instant kNow = Instant::FromNanoseconds(1);

Bytes Pattern(size_t octets, unsigned seed) {
  Bytes bytes(octets);
  for (size_t i = 0; i < octets; ++i) bytes[i] = static_cast<std::byte>((i * 7 + seed) & 0xFF);
  return bytes;
}

class PortTest : public ::testing::Test {
 protected:
  void SetUp() override { Open({}); }
  void TearDown() override { Close(); }

  static RingPairOptions Small() {
    RingPairOptions options;
    options.ring_packets = 64;
    options.port.packets = 1023;
    return options;
  }

  void Open(const RingPairOptions& wish) {
    Close();
    RingPairOptions options = Small();
    options.shared_pool = wish.shared_pool;
    options.port.rx_checksum = wish.port.rx_checksum;
    options.port.mtu = wish.port.mtu;
    auto pair = RingPair::Create(options);
    ASSERT_TRUE(pair.ok()) << pair.status();
    pair_ = *std::move(pair);
    pools_ = {a().pool(), b().pool()};
  }

  // Every test ends with full pools.
  void Close() {
    pair_.reset();
    for (const auto& pool : pools_) {
      EXPECT_EQ(pool->in_use(), 0u);
    }
    pools_.clear();
  }

  DpdkPort& a() { return pair_->first(); }
  DpdkPort& b() { return pair_->second(); }

  static wire::PacketHandle Build(DpdkPort& port, const Bytes& bytes) {
    const wire::PacketHandle packet = port.Allocate();
    EXPECT_NE(packet, wire::PacketHandle::kNone);
    std::memcpy(port.Data(packet), bytes.data(), bytes.size());
    port.Finish(packet, static_cast<uint32_t>(bytes.size()), {});
    return packet;
  }

  static size_t Send(DpdkPort& port, wire::PacketHandle packet) {
    return port.TxBurst(kNow, std::span(&packet, 1));
  }

  // Receives up to 32 frames, checks nothing, frees them, returns their bytes.
  static Frames Receive(DpdkPort& port) {
    stack::RxFrame frames[stack::kBurst];
    const size_t count = port.RxBurst(kNow, frames);
    Frames received;
    for (size_t i = 0; i < count; ++i) {
      received.emplace_back(frames[i].data, frames[i].data + frames[i].length);
      port.Free(std::span(&frames[i].packet, 1));
    }
    return received;
  }

  // `bytes` as a chain of mbufs split at the given offset(s), sent below the port.
  void SendChain(const Bytes& bytes, std::vector<size_t> splits, uint16_t headroom = 128,
                 uint64_t ol_flags = 0) {
    splits.push_back(bytes.size());
    rte_mbuf* head = nullptr;
    size_t from = 0;
    for (size_t to : splits) {
      rte_mbuf* part = rte_pktmbuf_alloc(a().pool()->mempool());
      ASSERT_NE(part, nullptr);
      part->data_off = headroom;
      const size_t length = to - from;
      std::memcpy(rte_pktmbuf_append(part, static_cast<uint16_t>(length)), &bytes[from], length);
      from = to;
      if (head == nullptr) {
        head = part;
      } else {
        ASSERT_EQ(rte_pktmbuf_chain(head, part), 0);
      }
    }
    head->ol_flags |= ol_flags;
    ASSERT_EQ(rte_eth_tx_burst(a().port_id(), 0, &head, 1), 1);
  }

  std::unique_ptr<RingPair> pair_;
  std::vector<std::shared_ptr<PacketPool>> pools_;
};

TEST_F(PortTest, FramesArriveUnchangedAndInOrder) {
  Frames sent;
  for (size_t octets : {14u, 54u, 60u, 1514u, 1518u}) {
    sent.push_back(Pattern(octets, static_cast<unsigned>(octets)));
    ASSERT_EQ(Send(a(), Build(a(), sent.back())), 1u);
  }
  EXPECT_EQ(Receive(b()), sent);
  EXPECT_TRUE(Receive(b()).empty());
  EXPECT_TRUE(Receive(a()).empty());  // nothing comes back to the sender
}

TEST_F(PortTest, BothDirectionsWork) {
  ASSERT_EQ(Send(a(), Build(a(), Pattern(60, 1))), 1u);
  ASSERT_EQ(Send(b(), Build(b(), Pattern(60, 2))), 1u);
  EXPECT_EQ(Receive(a()), Frames{Pattern(60, 2)});
  EXPECT_EQ(Receive(b()), Frames{Pattern(60, 1)});
}

TEST_F(PortTest, SeparatePoolsGetTheirOwnPacketsBack) {
  RingPairOptions options;
  options.shared_pool = false;
  Open(options);
  ASSERT_NE(a().pool(), b().pool());
  std::vector<wire::PacketHandle> mixed;
  ASSERT_EQ(Send(a(), Build(a(), Pattern(60, 1))), 1u);
  stack::RxFrame frame[1];
  ASSERT_EQ(b().RxBurst(kNow, frame), 1u);
  // One burst of packets of either pool; TearDown counts both pools.
  for (int i = 0; i < 40; ++i) mixed.push_back(b().Allocate());
  mixed.insert(mixed.begin() + 20, frame[0].packet);
  b().Free(mixed);
}

TEST_F(PortTest, ReceivedPacketIsAnsweredInPlace) {
  ASSERT_EQ(Send(a(), Build(a(), Pattern(64, 5))), 1u);
  stack::RxFrame frame[1];
  ASSERT_EQ(b().RxBurst(kNow, frame), 1u);
  frame[0].data[0] = std::byte{0xEE};
  b().Finish(frame[0].packet, 60, {});
  ASSERT_EQ(Send(b(), frame[0].packet), 1u);
  Bytes expected = Pattern(64, 5);
  expected.resize(60);
  expected[0] = std::byte{0xEE};
  EXPECT_EQ(Receive(a()), Frames{expected});
}

TEST_F(PortTest, PacketAllocatedAfterShorteningAtTheFrontStartsAfresh) {
  const wire::PacketHandle packet = Build(a(), Pattern(100, 1));
  rte_pktmbuf_adj(reinterpret_cast<rte_mbuf*>(packet), 50);
  a().Free(std::span(&packet, 1));
  for (int i = 0; i < 600; ++i) {  // more than stash and cache hold: the packet comes round again
    const wire::PacketHandle again = a().Allocate();
    const auto* mbuf = reinterpret_cast<const rte_mbuf*>(again);
    ASSERT_EQ(mbuf->data_off, RTE_PKTMBUF_HEADROOM + 2);  // so that IP begins at a word
    a().Free(std::span(&again, 1));
  }
}

TEST_F(PortTest, EmptyPoolGivesNoneAndRecovers) {
  std::vector<wire::PacketHandle> all;
  for (wire::PacketHandle packet = a().Allocate(); packet != wire::PacketHandle::kNone;
       packet = a().Allocate()) {
    all.push_back(packet);
    ASSERT_LE(all.size(), a().pool()->capacity());
  }
  EXPECT_EQ(all.size(), a().pool()->capacity());
  a().Free(all);
  const wire::PacketHandle packet = a().Allocate();
  EXPECT_NE(packet, wire::PacketHandle::kNone);
  a().Free(std::span(&packet, 1));
}

TEST_F(PortTest, FullRingLeavesPacketsWithTheCallerAndCountsThem) {
  std::vector<wire::PacketHandle> packets;
  for (int i = 0; i < 100; ++i) packets.push_back(Build(a(), Pattern(60, 0)));
  const size_t sent = a().TxBurst(kNow, packets);
  EXPECT_EQ(sent, 63u);  // a ring of 64 holds 63
  EXPECT_EQ(a().ReadCounters().tx_rejected, 37u);
  EXPECT_EQ(a().ReadCounters().tx_packets, 63u);
  a().Free(std::span(packets).subspan(sent));
  EXPECT_EQ(Receive(b()).size(), 32u);
  EXPECT_EQ(b().ReadCounters().rx_packets, 32u);
  // The other 31 are under way when the pair closes; TearDown finds the pools full all the same.
}

TEST_F(PortTest, RxBurstFillsNoMoreThanTheSpanTakes) {
  for (int i = 0; i < 5; ++i) ASSERT_EQ(Send(a(), Build(a(), Pattern(60, 0))), 1u);
  stack::RxFrame frames[3];
  ASSERT_EQ(b().RxBurst(kNow, frames), 3u);
  for (const stack::RxFrame& frame : frames) b().Free(std::span(&frame.packet, 1));
  EXPECT_EQ(Receive(b()).size(), 2u);
}

// PAR-13
TEST_F(PortTest, HeaderSplitAtEveryOffsetArrivesAsOneSpan) {
  const Bytes frame = Pattern(14 + 20 + 60 + 10, 3);  // Ethernet, IPv4, TCP with options, data
  for (size_t split = 1; split < frame.size(); ++split) {
    SendChain(frame, {split});
    ASSERT_EQ(Receive(b()), Frames{frame}) << "split at " << split;
  }
  EXPECT_EQ(b().ReadCounters().rx_linearize_failed, 0u);
}

// PAR-13
TEST_F(PortTest, ChainOfManyPartsArrivesAsOneSpan) {
  const Bytes frame = Pattern(40, 9);
  std::vector<size_t> splits;
  for (size_t i = 1; i < frame.size(); ++i) splits.push_back(i);
  SendChain(frame, splits);
  EXPECT_EQ(Receive(b()), Frames{frame});
}

// PAR-13
TEST_F(PortTest, ChainIsCopiedWhenTheFirstPartHasNoRoomBehindIt) {
  const Bytes frame = Pattern(200, 4);
  for (size_t split : {1u, 14u, 53u, 199u}) {
    constexpr uint16_t headroom = 2176 - 199;  // one octet short of holding all
    SendChain(frame, {split}, headroom);
    ASSERT_EQ(Receive(b()), Frames{frame}) << "split at " << split;
  }
}

// PAR-13
TEST_F(PortTest, ChainLargerThanAPacketIsDroppedAndCounted) {
  SendChain(Pattern(3000, 1), {1500});
  ASSERT_EQ(Send(a(), Build(a(), Pattern(60, 2))), 1u);
  EXPECT_EQ(Receive(b()), Frames{Pattern(60, 2)});  // the next one is not hurt
  EXPECT_EQ(b().ReadCounters().rx_linearize_failed, 1u);
}

// PAR-03
TEST_F(PortTest, VerdictOfAVirtualDeviceIsUnknown) {
  constexpr uint64_t kFlags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
  SendChain(Pattern(60, 1), {}, 128, kFlags);
  stack::RxFrame frame[1];
  ASSERT_EQ(b().RxBurst(kNow, frame), 1u);
  EXPECT_EQ(frame[0].ip_checksum, wire::ChecksumState::kUnknown);
  EXPECT_EQ(frame[0].l4_checksum, wire::ChecksumState::kUnknown);
  EXPECT_FALSE(b().capabilities().rx_checksum);
  b().Free(std::span(&frame[0].packet, 1));
}

TEST_F(PortTest, TrustedReceiveTakesTcpChecksumsForGoodAndLeavesIpToTheEngine) {
  RingPairOptions options;
  options.port.rx_checksum = ChecksumPolicy::kTrusted;
  Open(options);
  SendChain(Pattern(60, 1), {}, 128, RTE_MBUF_F_RX_L4_CKSUM_BAD);
  stack::RxFrame frame[1];
  ASSERT_EQ(b().RxBurst(kNow, frame), 1u);
  EXPECT_EQ(frame[0].ip_checksum, wire::ChecksumState::kUnknown);
  EXPECT_EQ(frame[0].l4_checksum, wire::ChecksumState::kGood);
  b().Free(std::span(&frame[0].packet, 1));
}

TEST_F(PortTest, EndsHaveDifferentUnicastAddresses) {
  EXPECT_NE(a().capabilities().mac, b().capabilities().mac);
  EXPECT_FALSE(a().capabilities().mac.IsGroup());
  EXPECT_FALSE(b().capabilities().mac.IsGroup());
}

TEST_F(PortTest, LargeMtuGetsLargePackets) {
  RingPairOptions options;
  options.port.mtu = 9000;
  Open(options);
  EXPECT_EQ(a().capabilities().mtu, 9000);
  EXPECT_GE(a().pool()->room_octets(), 9018u);
  ASSERT_EQ(Send(a(), Build(a(), Pattern(9014, 1))), 1u);
  EXPECT_EQ(Receive(b()), Frames{Pattern(9014, 1)});
}

TEST_F(PortTest, DescribesItselfInOneLine) {
  const std::string text = a().Describe();
  EXPECT_THAT(text, HasSubstr("net_ring"));
  EXPECT_THAT(text, HasSubstr("mtu 1500, checksums rx software tx software"));
  EXPECT_EQ(text.find('\n'), std::string::npos);
}

TEST_F(PortTest, ManyPairsOneAfterTheOtherLeaveNoDeviceBehind) {
  Close();
  for (int i = 0; i < 40; ++i) {  // more than RTE_MAX_ETHPORTS ports
    Open({});
    ASSERT_EQ(Send(a(), Build(a(), Pattern(60, 0))), 1u);
  }
  Close();
  EXPECT_EQ(rte_eth_dev_count_avail(), 0);
}

TEST(RingPair, OddRingSizeIsRefused) {
  RingPairOptions options;
  options.ring_packets = 1000;
  const auto pair = RingPair::Create(options);
  ASSERT_FALSE(pair.ok());
  EXPECT_THAT(std::string(pair.status().message()), HasSubstr("no power of two"));
}

TEST(RingPair, TooFewPacketsAreRefused) {
  RingPairOptions options;
  options.port.packets = 10;
  const auto pair = RingPair::Create(options);
  ASSERT_FALSE(pair.ok());
  EXPECT_THAT(std::string(pair.status().message()), HasSubstr("give at least 512"));
}

TEST(RingPair, TooManyPacketsSayHowMuchMemoryTheyNeed) {
  RingPairOptions options;
  options.port.packets = 1'000'000;
  const auto pair = RingPair::Create(options);
  ASSERT_FALSE(pair.ok());
  EXPECT_THAT(std::string(pair.status().message()), HasSubstr("no memory for 2000001 packets"));
  EXPECT_EQ(rte_eth_dev_count_avail(), 0);
}

TEST(RingPair, ImpossibleMtuIsRefused) {
  RingPairOptions options;
  options.port.mtu = 60;
  const auto pair = RingPair::Create(options);
  ASSERT_FALSE(pair.ok());
  EXPECT_THAT(std::string(pair.status().message()), HasSubstr("outside of 68 to 9216"));
}

TEST(PacketPool, MemoryEstimateIsNotBelowWhatAPoolTakes) {
  auto pool = PacketPool::Create(1023, 2048);
  ASSERT_TRUE(pool.ok()) << pool.status();
  const rte_mempool* raw = (*pool)->mempool();
  const uint64_t taken =
      uint64_t{raw->size} * (raw->elt_size + raw->header_size + raw->trailer_size);
  EXPECT_GE(PacketPool::MemoryBytes(1023, 2048), taken);
}

// Packets side by side: a stride of 4096 would put all headers into one set of the L1 cache.
TEST(PacketPool, PacketsLieSideBySideWithoutHugePages) {
  auto pool = PacketPool::Create(1023, 2048);
  ASSERT_TRUE(pool.ok()) << pool.status();
  void* packets[64];
  ASSERT_EQ(rte_mempool_get_bulk((*pool)->mempool(), packets, 64), 0);
  auto [low, high] = std::minmax_element(std::begin(packets), std::end(packets));
  EXPECT_LT(static_cast<char*>(*high) - static_cast<char*>(*low), 64 * 2600);
  rte_mempool_put_bulk((*pool)->mempool(), packets, 64);
}

}  // namespace
}  // namespace millrace::dpdk
