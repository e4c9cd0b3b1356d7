// wire/frame.h - an Ethernet frame to values: the one parser between the network and the engine.
//
// Everything a peer can put into a frame ends in exactly one FrameKind or one DropReason; no input
// crashes, loops or reads outside [data, data + length). The single trusted length of a packet is
// the IP total length, checked against the frame (RFC 9293 and CVE-2021-31401: padding behind it
// is not payload).
// The engine tries the straight path for the common TCP frame first (wire/plain_frame.h).
#ifndef MILLRACE_WIRE_FRAME_H_
#define MILLRACE_WIRE_FRAME_H_

#include <cstddef>
#include <cstdint>

#include "millrace/base/ip_address.h"
#include "millrace/wire/ipv6.h"
#include "millrace/wire/ipv6_net.h"
#include "millrace/wire/segment.h"

namespace millrace::wire {

enum class FrameKind : uint8_t {
  kDrop,  // see ParsedFrame::drop
  kTcp,   // ParsedFrame::tcp and the addresses are set
  kArp,   // network_header points to a complete ARP packet for Ethernet and IPv4 (ParseArp)
  kIcmp,  // network_header and transport_header are set, ICMP checksum verified
  // A protocol that has no user here, unicast on both layers: may be answered by an ICMP error. The
  // two headers are set; what is behind the IP header is neither verified nor of any least length.
  kUdp,              // "port unreachable"
  kOtherIpProtocol,  // "protocol unreachable"
  // The same over IPv6; the addresses are in the header at network_header (source_v6()).
  kTcpV6,
  kIcmpV6,  // also to a group that we are in: see link_group
  kUdpV6,
  // A packet that an ICMPv6 parameter problem may answer: problem_code and problem_at say which.
  kIpv6Problem,
};

// Why a frame was dropped in the parser; each has its counter of the same name.
enum class DropReason : uint8_t {
  kNone,
  kRunt,      // shorter than an Ethernet header
  kNotForUs,  // destination MAC is neither ours nor a group address
  kUnknownEtherType,
  kArpMalformed,
  kIpHeader,  // version, header length or total length impossible
  kIpChecksum,
  kIpOptions,  // source route or impossible length; others are skipped (MUST-50)
  kIpFragment,
  kIpSource,       // source is 0, multicast, broadcast, loopback or our own address (MUST-63)
  kIpDestination,  // IP or link-layer broadcast or multicast (MUST-57), or not ours
  kTcpHeader,      // data offset below 5 or beyond the segment
  kTcpChecksum,
  kTcpFlags,    // no flag at all
  kTcpOptions,  // an option length that cannot be (MUST-7)
  kLand,        // source equals destination, address and port
  kIcmpMalformed,
  kIpv6Extension,  // an extension header or option that is not for us, or impossible
  kCount
};
const char* ToString(DropReason reason);

// Tells what the port has verified already; kUnknown is verified in software (PAR-03).
enum class ChecksumState : uint8_t { kUnknown, kGood, kBad };

// Of a frame's IP header and of what is in it, in one number, because they lie side by side.
class ChecksumStates {
 public:
  ChecksumStates(ChecksumState ip, ChecksumState l4)
      : both_(static_cast<uint16_t>(static_cast<unsigned>(ip) | static_cast<unsigned>(l4) << 8)) {}
  bool Are(ChecksumState state) const { return both_ == ChecksumStates(state, state).both_; }
  bool HasBad() const { return ip() == ChecksumState::kBad || l4() == ChecksumState::kBad; }
  ChecksumState ip() const { return static_cast<ChecksumState>(both_ & 0xFF); }
  ChecksumState l4() const { return static_cast<ChecksumState>(both_ >> 8); }

 private:
  uint16_t both_;
};

// What is set: `kind`, `drop` and `link_group` always; the rest as FrameKind says, with the IP
// fields for every kind but kDrop and kArp. Other fields keep what an earlier frame left in them.
struct ParsedFrame {
  FrameKind kind = FrameKind::kDrop;
  DropReason drop = DropReason::kNone;
  bool link_group = false;  // sent to a group MAC address; only ARP gets through then
  uint8_t ip_protocol = 0;
  uint8_t ttl = 0;
  uint32_t source_v4 = 0, destination_v4 = 0;  // host byte order
  uint16_t source_port = 0, destination_port = 0;
  const std::byte* network_header = nullptr;    // ARP or IP header
  const std::byte* transport_header = nullptr;  // behind the IP header; not set for kTcp
  uint32_t transport_length = 0;                // octets from transport_header to the packet's end
  Segment tcp;
  uint32_t network_length = 0;  // kIpv6Problem, kUdpV6: octets from network_header to the end
  uint32_t problem_at = 0;      // kIpv6Problem: offset from network_header
  uint8_t problem_code = 0;

  // REQUIRES for both: an IPv6 kind, and that the packet still is what was parsed.
  IpAddress source_v6() const { return LoadIpv6(network_header + kIpv6SourceAt); }
  IpAddress destination_v6() const { return LoadIpv6(network_header + kIpv6DestinationAt); }
};

// What the parser must know of the interface.
struct LocalNet {
  MacAddress mac;
  uint32_t address_v4 = 0;  // a port may own a whole prefix of addresses, for many clients:
  uint32_t owned_mask = 0xFFFF'FFFF;  // an address is ours when (a ^ address_v4) & owned_mask == 0
  uint32_t network_mask = 0xFFFF'FFFF;  // of the attached network, for directed broadcast
  LocalNetV6 v6 = {};

  bool Owns(uint32_t address) const { return ((address ^ address_v4) & owned_mask) == 0; }
  // The attached network's own broadcast address; a /31 or /32 has none (RFC 3021).
  bool IsBroadcast(uint32_t address) const {
    const uint32_t host_bits = ~network_mask;
    return address == (address_v4 | host_bits) && host_bits > 1;
  }
};

// Why a TCP segment between these is dropped, if it is; everything else about it is right.
DropReason PairProblem(uint32_t source, uint32_t destination, uint16_t source_port,
                       uint16_t destination_port, const LocalNet& net);

// Parses `length` bytes at `data`. `out.tcp.handle` is left to the caller.
void ParseFrame(const std::byte* data, uint32_t length, ChecksumState ip_checksum,
                ChecksumState l4_checksum, const LocalNet& net, ParsedFrame& out);

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_FRAME_H_
