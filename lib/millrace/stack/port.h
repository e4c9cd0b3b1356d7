// stack/port.h - the seam between the engine and whatever moves frames.
//
// Stack<Port, App> is a template over this concept. Models: dpdk::DpdkPort (mbufs of any ethdev),
// sim::SimPort (exact-size heap packets, so that AddressSanitizer sees every byte), and
// sim::ImpairedPort<P> (a bad network around another port).
//
// Ownership: a packet belongs to the port's pool. RxBurst and Allocate hand it to the engine;
// TxBurst (for those it accepts) and Free hand it back. Every packet leaves exactly once.
// Threading: one port object serves one queue pair and belongs to one worker.
#ifndef MILLRACE_STACK_PORT_H_
#define MILLRACE_STACK_PORT_H_

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "millrace/base/ip_address.h"
#include "millrace/base/time.h"
#include "millrace/wire/frame.h"
#include "millrace/wire/segment.h"

namespace millrace::stack {

// What the device does for us, found at set-up.
struct PortCapabilities {
  MacAddress mac;
  uint16_t mtu = 1500;            // octets of IP packet, 68..9216
  bool tx_ipv4_checksum = false;  // port fills in the IPv4 header checksum when asked
  bool tx_tcp_checksum = false;   // port completes the TCP checksum from the pseudo-header sum
  bool rx_checksum = false;       // RxFrame tells kGood or kBad; else kUnknown
};

// A received frame. `data` is readable for `length` octets until the packet is freed or sent.
struct RxFrame {
  wire::PacketHandle packet = wire::PacketHandle::kNone;
  std::byte* data = nullptr;  // writable: an ICMP echo is answered in place
  uint32_t length = 0;        // octets from the Ethernet header on, without FCS
  wire::ChecksumState ip_checksum = wire::ChecksumState::kUnknown;
  wire::ChecksumState l4_checksum = wire::ChecksumState::kUnknown;
};

// Which checksums the port is to fill in; only what PortCapabilities offers may be asked for.
struct TxOffload {
  bool ipv4_checksum = false;
  bool tcp_checksum = false;  // the TCP checksum field holds the folded pseudo-header sum
  uint8_t l3_offset = 14;     // octets before the IP header
  uint8_t l4_offset = 34;     // octets before the TCP header

  // Whether the port has to do anything: both flags at once, as they lie in memory.
  bool Any() const { return std::bit_cast<std::array<uint16_t, 2>>(*this)[0] != 0; }
};

inline constexpr size_t kBurst = 32;  // frames per RxBurst, at most

template <class P>
concept Port = requires(P port, const P const_port, Instant now, std::span<RxFrame> frames,
                        wire::PacketHandle packet, std::span<const wire::PacketHandle> packets,
                        uint32_t length, const TxOffload& offload) {
  { const_port.capabilities() } -> std::same_as<const PortCapabilities&>;
  // Fills the front of `frames` with received frames and returns how many.
  { port.RxBurst(now, frames) } -> std::same_as<size_t>;
  // An empty packet with room for mtu + 18 octets, or kNone when the pool is empty.
  { port.Allocate() } -> std::same_as<wire::PacketHandle>;
  // First octet of a packet's frame, writable.
  { port.Data(packet) } -> std::same_as<std::byte*>;
  // Sets the frame's length and what the port has to complete. Once before TxBurst.
  { port.Finish(packet, length, offload) } -> std::same_as<void>;
  // Sends the first n packets, in order, and returns n; the others stay with the caller.
  { port.TxBurst(now, packets) } -> std::same_as<size_t>;
  { port.Free(packets) } -> std::same_as<void>;
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_PORT_H_
