#include "millrace/dpdk/vlan_port.h"

#include <algorithm>
#include <cstring>

#include "millrace/base/check.h"
#include "millrace/base/endian.h"
#include "millrace/wire/ethernet.h"

namespace millrace::dpdk {
namespace {

// Octets in front of the IP header, for a device that fills in checksums: without those, nobody
// reads the field.
void AddToL2(rte_mbuf* mbuf, int octets) {
  constexpr unsigned kMask = (1u << RTE_MBUF_L2_LEN_BITS) - 1;
  mbuf->l2_len = (mbuf->l2_len + static_cast<unsigned>(octets)) & kMask;
}

}  // namespace

using wire::kEthernetTypeAt;
using wire::kVlanTagBytes;

VlanPort::VlanPort(DpdkPort& inner, uint16_t id) : inner_(inner), id_(id) {
  MR_CHECK(id <= kVlanIdMax);
}

size_t VlanPort::RxBurst(Instant now, std::span<stack::RxFrame> frames) {
  const size_t received = inner_.RxBurst(now, frames);
  size_t count = 0;
  for (size_t i = 0; i < received; ++i) {
    stack::RxFrame frame = frames[i];
    if (Admit(frame)) {
      frames[count++] = frame;
    } else {
      inner_.Free({&frame.packet, 1});
    }
  }
  return count;
}

bool VlanPort::Admit(stack::RxFrame& frame) {
  rte_mbuf* const mbuf = MbufOf(frame.packet);
  uint16_t id = 0;
  if (inner_.offloads().vlan_strip && (mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0) {
    id = mbuf->vlan_tci & wire::kVlanIdMask;
  } else if (frame.length >= wire::kEthernetHeaderBytes + kVlanTagBytes &&
             LoadBe16(frame.data + kEthernetTypeAt) == wire::kEtherTypeVlan) {
    id = LoadBe16(frame.data + kEthernetTypeAt + 2) & wire::kVlanIdMask;
    std::memmove(frame.data + kVlanTagBytes, frame.data, kEthernetTypeAt);
    rte_pktmbuf_adj(mbuf, kVlanTagBytes);
    frame.data += kVlanTagBytes;
    frame.length -= kVlanTagBytes;
  }
  if (id == id_) return true;
  ++(id == 0 ? counters_.rx_untagged : counters_.rx_other_vlan);
  return false;
}

// Between here and TakeOff the packet is the device's: to everybody else it has no tag.
void VlanPort::PutOn(rte_mbuf* mbuf) const {
  if (inner_.offloads().vlan_insert) {
    mbuf->ol_flags |= RTE_MBUF_F_TX_VLAN;
    mbuf->vlan_tci = id_;
    return;
  }
  char* const data = rte_pktmbuf_prepend(mbuf, kVlanTagBytes);
  MR_CHECK(data != nullptr);  // a port's packets have their headroom to themselves
  std::memmove(data, data + kVlanTagBytes, kEthernetTypeAt);
  std::byte* const tag = reinterpret_cast<std::byte*>(data) + kEthernetTypeAt;
  StoreBe16(tag, wire::kEtherTypeVlan);
  StoreBe16(tag + 2, id_);
  AddToL2(mbuf, kVlanTagBytes);
}

void VlanPort::TakeOff(rte_mbuf* mbuf) {
  if ((mbuf->ol_flags & RTE_MBUF_F_TX_VLAN) != 0) return;  // said again when it is sent again
  char* const data = rte_pktmbuf_mtod(mbuf, char*);
  std::memmove(data + kVlanTagBytes, data, kEthernetTypeAt);
  rte_pktmbuf_adj(mbuf, kVlanTagBytes);
  AddToL2(mbuf, -int{kVlanTagBytes});
}

size_t VlanPort::TxBurst(Instant now, std::span<const wire::PacketHandle> packets) {
  if (id_ == 0) return inner_.TxBurst(now, packets);
  size_t sent = 0;
  while (sent < packets.size()) {
    const size_t n = std::min(packets.size() - sent, stack::kBurst);
    const auto burst = packets.subspan(sent, n);
    for (const wire::PacketHandle packet : burst) PutOn(MbufOf(packet));
    const size_t accepted = inner_.TxBurst(now, burst);
    for (const wire::PacketHandle packet : burst.subspan(accepted)) TakeOff(MbufOf(packet));
    sent += accepted;
    if (accepted < n) break;
  }
  return sent;
}

}  // namespace millrace::dpdk
