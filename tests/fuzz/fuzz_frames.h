// fuzz/fuzz_frames.h - frames of the peer's, over the family that the program is compiled for
// (MILLRACE_FUZZ_V6): the same inputs run over both.
#ifndef MILLRACE_TESTS_FUZZ_FUZZ_FRAMES_H_
#define MILLRACE_TESTS_FUZZ_FUZZ_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "millrace/base/ip_address.h"
#include "millrace/stack/engine.h"
#include "millrace/wire/segment.h"

// Of the program: -DMILLRACE_FUZZ_V6=1 is its twin over IPv6.
#ifndef MILLRACE_FUZZ_V6
#define MILLRACE_FUZZ_V6 0
#endif

namespace millrace::fuzz {

using Bytes = std::vector<std::byte>;

inline constexpr bool kV6 = MILLRACE_FUZZ_V6 != 0;
inline constexpr uint32_t kHostAddress = 0x0A00'0001, kPeerAddress = 0x0A00'0002;
inline constexpr MacAddress kHostMac{{2, 0, 0, 0, 0, 1}}, kPeerMac{{2, 0, 0, 0, 0, 2}};
inline constexpr size_t kIpAt = 14, kTcpAt = kIpAt + (kV6 ? 40 : 20);

// Itself, or over IPv6 the address of 2001:db8::/64 that ends with it; 0 is unspecified.
IpAddress AddressOf(uint32_t v4);
// Addresses of the host, not of the peer.
void SetAddresses(stack::EngineConfig* config);
// What the parser of the peer knows.
wire::LocalNet PeerNet();

// The key of a flow; without a flow over IPv6 one by which none is found.
stack::FlowKey KeyOf(const stack::Engine& engine, uint16_t local_port, uint32_t peer,
                     uint16_t remote_port);

Bytes IpFrame(uint8_t protocol, const Bytes& inner, uint32_t source = kPeerAddress);
// Makes the checksum of the segment in such a frame right.
void SetTcpChecksum(Bytes& frame);
// Whether a frame to the host is a segment with RST.
bool IsReset(const Bytes& frame);
// ARP, or a message of neighbour discovery; what it says is up to `choice`.
Bytes NeighborFrame(uint8_t choice);
// An ICMP message with this type and code that goes on with `quoted`.
Bytes IcmpFrame(uint8_t type, uint8_t code, const Bytes& quoted);

}  // namespace millrace::fuzz

#endif  // MILLRACE_TESTS_FUZZ_FUZZ_FRAMES_H_
