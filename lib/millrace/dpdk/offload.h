// dpdk/offload.h - what a device does for us (checksums, VLAN tags), and how far it is believed.
//
// Virtual devices pass frames within one machine, and several report "good" for checksums that
// nobody looked at or that were never filled in (PAR-03). So by default only a physical device's
// verdict counts, and everything else is verified and filled in by the engine.
#ifndef MILLRACE_DPDK_OFFLOAD_H_
#define MILLRACE_DPDK_OFFLOAD_H_

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <cstdint>

#include "millrace/wire/frame.h"

namespace millrace::dpdk {

enum class ChecksumPolicy : uint8_t {
  kAuto,      // kDevice for physical devices, kSoftware for virtual ones
  kSoftware,  // the engine verifies and fills in
  kDevice,    // the device does, as far as it offers to
  kTrusted,   // receive only: TCP checksums are not looked at. For links inside one machine (veth)
              // whose sender leaves them out because the "wire" cannot corrupt
};

struct OffloadPlan {
  uint64_t rx_offloads = 0, tx_offloads = 0;  // RTE_ETH_RX_OFFLOAD_*, RTE_ETH_TX_OFFLOAD_*
  bool rx_checksum = false;                   // ol_flags carry the device's verdict
  bool rx_trusted = false;                    // ChecksumPolicy::kTrusted
  bool tx_ipv4_checksum = false, tx_tcp_checksum = false;
  bool fast_free = false;
  bool vlan_strip = false, vlan_insert = false;
};

// What of the device's offer is taken. `one_pool`: every packet sent comes from one pool, is not
// shared and is not chained, which is what MBUF_FAST_FREE needs. `vlan`: tags are wanted.
OffloadPlan PlanOffloads(const rte_eth_dev_info& info, bool is_virtual, ChecksumPolicy rx,
                         ChecksumPolicy tx, bool one_pool, bool vlan = false);

// The device's verdict on a received packet. CKSUM_NONE means: not filled in, but the data is
// known to be intact (it never left the machine), which is as good.
inline wire::ChecksumState IpChecksumOf(uint64_t ol_flags) {
  switch (ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) {
    case RTE_MBUF_F_RX_IP_CKSUM_GOOD:
    case RTE_MBUF_F_RX_IP_CKSUM_NONE:
      return wire::ChecksumState::kGood;
    case RTE_MBUF_F_RX_IP_CKSUM_BAD:
      return wire::ChecksumState::kBad;
    default:
      return wire::ChecksumState::kUnknown;
  }
}

inline wire::ChecksumState L4ChecksumOf(uint64_t ol_flags) {
  switch (ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) {
    case RTE_MBUF_F_RX_L4_CKSUM_GOOD:
    case RTE_MBUF_F_RX_L4_CKSUM_NONE:
      return wire::ChecksumState::kGood;
    case RTE_MBUF_F_RX_L4_CKSUM_BAD:
      return wire::ChecksumState::kBad;
    default:
      return wire::ChecksumState::kUnknown;
  }
}

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_OFFLOAD_H_
