// packetdrill/packet_port.h - IP packets on one side, the engine's Ethernet port on the other.
//
// packetdrill knows no link layer: the header is put on and taken off here, and there is one
// neighbour behind everything. What the engine sends waits with the time at which it was sent, and
// its checksums are verified, because packetdrill looks at the IP header's only.
// Threading: one owner.
#ifndef MILLRACE_PACKETDRILL_PACKET_PORT_H_
#define MILLRACE_PACKETDRILL_PACKET_PORT_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "millrace/base/ip_address.h"
#include "millrace/base/time.h"
#include "millrace/sim/sim_port.h"

namespace millrace::packetdrill {

struct SentPacket {
  Instant time;
  std::vector<std::byte> octets;  // from the IP header on
};

class PacketPort {
 public:
  static constexpr MacAddress kOurMac{{2, 0, 0, 0, 0, 1}}, kPeerMac{{2, 0, 0, 0, 0, 2}};

  explicit PacketPort(uint16_t mtu);
  PacketPort(const PacketPort&) = delete;
  PacketPort& operator=(const PacketPort&) = delete;

  sim::SimPort& port() { return port_; }
  // A packet for the engine's next poll.
  void Inject(std::span<const std::byte> packet);
  bool HasSent() const { return !sent_.empty(); }
  SentPacket TakeSent();

 private:
  void OnFrame(Instant now, const sim::Frame& frame);

  sim::SimPort port_;
  std::deque<SentPacket> sent_;
};

}  // namespace millrace::packetdrill

#endif  // MILLRACE_PACKETDRILL_PACKET_PORT_H_
