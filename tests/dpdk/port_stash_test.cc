// Packets that wait in a port to be sent again.
#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "millrace/dpdk/dpdk_port.h"
#include "millrace/dpdk/ring_pair.h"

namespace millrace::dpdk {
namespace {

class PortStash : public ::testing::Test {
 protected:
  void SetUp() override {
    RingPairOptions options;
    options.ring_packets = 64;
    options.port.packets = 1023;
    auto pair = RingPair::Create(options);
    ASSERT_TRUE(pair.ok()) << pair.status();
    pair_ = *std::move(pair);
    pool_ = port().pool();
  }
  void TearDown() override {
    pair_.reset();
    EXPECT_EQ(pool_->in_use(), 0u);
  }
  DpdkPort& port() { return pair_->first(); }
  DpdkPort& other() { return pair_->second(); }

  std::unique_ptr<RingPair> pair_;
  std::shared_ptr<PacketPool> pool_;
};

// What is freed is sent again, without the pool; more than a port keeps goes back to it.
TEST_F(PortStash, FreedPacketsWaitInThePortAndNoMoreThanItKeeps) {
  ASSERT_EQ(port().pool()->in_use(), port().stash() + other().stash());
  std::vector<wire::PacketHandle> packets;
  for (int i = 0; i < 100; ++i) packets.push_back(port().Allocate());
  port().Free(packets);
  EXPECT_EQ(port().stash(), 2 * stack::kBurst);
  EXPECT_EQ(port().pool()->in_use(), port().stash() + other().stash());
  const uint32_t before = port().pool()->in_use();
  const wire::PacketHandle again = port().Allocate();
  EXPECT_NE(std::find(packets.begin(), packets.end(), again), packets.end());
  EXPECT_EQ(port().pool()->in_use(), before);
  port().Free({&again, 1});
}

// Nobody's but its own: one that others refer to must not be written.
TEST_F(PortStash, FreedPacketThatOthersReferToIsNotSentAgain) {
  const wire::PacketHandle packet = port().Allocate();
  const size_t stash = port().stash();
  auto* const mbuf = reinterpret_cast<rte_mbuf*>(packet);
  rte_mbuf_refcnt_update(mbuf, 1);
  port().Free({&packet, 1});
  EXPECT_EQ(port().stash(), stash);
  EXPECT_EQ(rte_mbuf_refcnt_read(mbuf), 1);
  port().Free({&packet, 1});
  EXPECT_EQ(port().stash(), stash + 1);
}

}  // namespace
}  // namespace millrace::dpdk
