// wire/segment.h - what the engine sees of a received TCP segment: numbers in host byte order.
//
// A value: it is copied, never owns, and its `payload` points into the packet that `handle` names.
// tcp/ reads the numbers and may keep the handle, but never looks into the packet.
#ifndef MILLRACE_WIRE_SEGMENT_H_
#define MILLRACE_WIRE_SEGMENT_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "millrace/base/seq.h"

namespace millrace::wire {

// Names a packet of the port (an mbuf, a simulated packet) without saying what it is. 0 is none.
enum class PacketHandle : uintptr_t { kNone = 0 };

// TCP control bits in the order of the header (RFC 9293 section 3.1).
using Flags = uint8_t;
inline constexpr Flags kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08;
inline constexpr Flags kAck = 0x10, kUrg = 0x20, kEce = 0x40, kCwr = 0x80;

// The ECN field of an IP header (RFC 3168 section 5): the low two bits of the traffic class.
inline constexpr uint8_t kEcnMask = 3, kEcnEct0 = 2, kEcnCe = 3;

// Options present in a segment. Of a repeated option the first one counts.
using OptionBits = uint8_t;
inline constexpr OptionBits kMssOption = 0x01, kWindowScaleOption = 0x02;
inline constexpr OptionBits kSackPermittedOption = 0x04, kTimestampsOption = 0x08;
inline constexpr OptionBits kSackOption = 0x10;
inline constexpr OptionBits kFastOpenOption = 0x20, kUserTimeoutOption = 0x40;
// With kFastOpenOption: in the form from before RFC 7413, kind 254 with 0xF989 (RFC 6994).
inline constexpr OptionBits kFastOpenExperiment = 0x80;

// Those whose octets have a fixed number and value: what TcpOptionsLength counts.
inline constexpr OptionBits kFixedOptions = 0x0F;

struct Segment {
  // The first 32 octets are in the order in which one shuffle of a header with timestamps leaves
  // them (wire/plain_frame.h).
  uint16_t window = 0;  // as on the wire, not scaled
  Flags flags = 0;
  OptionBits options = 0;
  SeqNum seq, ack;
  uint32_t payload_length = 0;    // octets; SYN and FIN are not counted
  uint32_t tsval = 0, tsecr = 0;  // valid with kTimestampsOption
  union {
    uint16_t mss = 0;  // valid with kMssOption, octets, not yet clamped
    uint16_t urgent;   // valid with kUrg and without kSyn; kMssOption is not set then
  };
  uint8_t window_scale = 0;      // valid with kWindowScaleOption, 0..255 as received
  uint8_t sack_count = 0;        // valid with kSackOption: whole blocks at `sack`
  uint8_t ecn = 0;               // ECN field of the IP header
  uint8_t fast_open_length = 0;  // valid with kFastOpenOption: octets of cookie, 0 or 4 to 16
  uint16_t user_timeout = 0;     // valid with kUserTimeoutOption, as on the wire (RFC 5482 3)
  const std::byte* payload = nullptr;
  PacketHandle handle = PacketHandle::kNone;
  const std::byte* sack = nullptr;       // valid with kSackOption: see LoadSackBlock
  const std::byte* fast_open = nullptr;  // valid with kFastOpenOption: the cookie (RFC 7413)

  bool Has(Flags any_of) const { return (flags & any_of) != 0; }
  bool HasOption(OptionBits any_of) const { return (options & any_of) != 0; }
  // SEG.LEN of RFC 9293: octets of sequence space occupied, counting SYN and FIN.
  uint32_t SequenceLength() const {
    return payload_length + ((flags & kSyn) >> 1) + (flags & kFin);
  }
};

static_assert(sizeof(Segment) <= 64 && std::is_trivially_copyable_v<Segment>);

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_SEGMENT_H_
