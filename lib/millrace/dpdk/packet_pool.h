// dpdk/packet_pool.h - a pool of packets (an rte_mempool of mbufs) with an owner.
//
// Threads that registered with EAL have a cache of up to kCache packets each in front of the
// shared ring, so a take and a give cost about 2 ns; other threads pay for the ring every time.
#ifndef MILLRACE_DPDK_PACKET_POOL_H_
#define MILLRACE_DPDK_PACKET_POOL_H_

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

namespace millrace::dpdk {

class PacketPool {
 public:
  static constexpr uint32_t kCache = 256;
  static constexpr uint32_t kPacketsMin = 2 * kCache;  // DPDK wants more than 1.5 caches

  // `packets`: at least kPacketsMin; 2^n - 1 uses memory best. `room_octets`: of frame data in one
  // packet, headroom not counted, at most kRoomMax. `numa_node`: -1 for any.
  static absl::StatusOr<std::unique_ptr<PacketPool>> Create(uint32_t packets, uint32_t room_octets,
                                                            int numa_node = -1);
  static constexpr uint32_t kRoomMax = 65'535 - RTE_PKTMBUF_HEADROOM;
  ~PacketPool();  // REQUIRES: in_use() == 0, no device receives into it
  PacketPool(const PacketPool&) = delete;
  PacketPool& operator=(const PacketPool&) = delete;

  rte_mempool* mempool() const { return mempool_; }
  uint32_t capacity() const { return mempool_->size; }
  uint32_t in_use() const { return rte_mempool_in_use_count(mempool_); }  // slow: walks the caches
  uint32_t room_octets() const { return room_octets_; }
  // Bytes of packet memory that a pool needs, for sizing EalOptions::memory_mb.
  static uint64_t MemoryBytes(uint32_t packets, uint32_t room_octets);

 private:
  PacketPool(rte_mempool* mempool, uint32_t room_octets)
      : mempool_(mempool), room_octets_(room_octets) {}

  rte_mempool* mempool_;
  uint32_t room_octets_;
};

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_PACKET_POOL_H_
