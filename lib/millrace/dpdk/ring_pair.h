// dpdk/ring_pair.h - two ports joined in the process: what one sends, the other receives.
//
// The default of every subcommand: no NIC, no root, no huge pages. Packets change hands without a
// copy through two rings. Each port belongs to one worker; both may be the same one. With several
// queue pairs (port.queues) there are as many rings: pair i of one port is pair i of the other, and
// DpdkPort::OfQueue gives the ports of the others.
#ifndef MILLRACE_DPDK_RING_PAIR_H_
#define MILLRACE_DPDK_RING_PAIR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "millrace/dpdk/dpdk_port.h"

struct rte_ring;

namespace millrace::dpdk {

struct RingPairOptions {
  uint32_t ring_packets = 1024;  // a power of two; a full ring refuses packets, as a full NIC does
  bool shared_pool = true;       // one pool of 2 * port.packets + 1 for both ports
  DpdkPortOptions port;          // for both; `pool` and `mac` are set by Create
};

class RingPair {
 public:
  static absl::StatusOr<std::unique_ptr<RingPair>> Create(const RingPairOptions& options);
  // REQUIRES: no worker polls the ports any more and the engines have freed their packets.
  ~RingPair();
  RingPair(const RingPair&) = delete;
  RingPair& operator=(const RingPair&) = delete;

  DpdkPort& first() { return *ports_[0]; }
  DpdkPort& second() { return *ports_[1]; }

 private:
  RingPair() = default;
  absl::Status Open(const RingPairOptions& options);
  std::vector<rte_ring*> Rings() const;

  std::vector<rte_ring*> rings_[2];
  std::string device_names_[2];
  std::unique_ptr<DpdkPort> ports_[2];
};

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_RING_PAIR_H_
