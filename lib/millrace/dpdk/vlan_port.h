// dpdk/vlan_port.h - a DpdkPort on one VLAN (IEEE 802.1Q): the engine sees frames without tags.
//
// The device takes tags off and puts them on where it offers to (OffloadPlan::vlan_*); otherwise
// it is done here, by moving the addresses into the mbuf's headroom. Frames without our tag are
// dropped and counted: those of other VLANs, and those without a VLAN, to which a tag that has a
// priority only (VLAN 0) belongs.
// VLAN 0 is the network without a VLAN whose switches add such tags: they are taken off, and
// nothing is put on.
// Threading: that of the inner port. Cost: a look at the tag and, in software, 12 octets moved per
// frame and direction. A port without VLAN needs no such layer.
#ifndef MILLRACE_DPDK_VLAN_PORT_H_
#define MILLRACE_DPDK_VLAN_PORT_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "millrace/dpdk/dpdk_port.h"

namespace millrace::dpdk {

inline constexpr uint16_t kVlanIdMax = 4094;  // IEEE 802.1Q table 9-2: 4095 is reserved

struct VlanCounters {
  uint64_t rx_untagged = 0;    // no tag, or one of VLAN 0
  uint64_t rx_other_vlan = 0;  // for VLAN 0: any tag that names a VLAN

  template <class Visit>
  void ForEach(Visit&& visit) const {
    visit("VlanRxUntagged", rx_untagged);
    visit("VlanRxOther", rx_other_vlan);
  }
};

class VlanPort {
 public:
  // Borrows `inner`, opened with DpdkPortOptions::vlan. `id` is at most kVlanIdMax.
  VlanPort(DpdkPort& inner, uint16_t id);
  VlanPort(const VlanPort&) = delete;
  VlanPort& operator=(const VlanPort&) = delete;

  // The stack::Port concept.
  const stack::PortCapabilities& capabilities() const { return inner_.capabilities(); }
  size_t RxBurst(Instant now, std::span<stack::RxFrame> frames);
  wire::PacketHandle Allocate() { return inner_.Allocate(); }
  std::byte* Data(wire::PacketHandle packet) { return inner_.Data(packet); }
  void Finish(wire::PacketHandle packet, uint32_t length, const stack::TxOffload& offload) {
    inner_.Finish(packet, length, offload);
  }
  size_t TxBurst(Instant now, std::span<const wire::PacketHandle> packets);
  void Free(std::span<const wire::PacketHandle> packets) { inner_.Free(packets); }

  const VlanCounters& counters() const { return counters_; }

 private:
  // Takes the tag off; false when the frame is not of our VLAN.
  bool Admit(stack::RxFrame& frame);
  void PutOn(rte_mbuf* mbuf) const;
  static void TakeOff(rte_mbuf* mbuf);

  static rte_mbuf* MbufOf(wire::PacketHandle packet) { return reinterpret_cast<rte_mbuf*>(packet); }

  DpdkPort& inner_;
  uint16_t id_;
  VlanCounters counters_;
};

static_assert(stack::Port<VlanPort>);

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_VLAN_PORT_H_
