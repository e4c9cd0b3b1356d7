// wire/fragment.h - fragments of IPv4 (RFC 791 3.2) and IPv6 (RFC 8200 4.5) as values.
//
// Threading: pure functions. Cost: two loads for a frame that is no fragment; the header's checksum
// and the walk along the extension headers for one that is.
#ifndef MILLRACE_WIRE_FRAGMENT_H_
#define MILLRACE_WIRE_FRAGMENT_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "millrace/base/ip_address.h"

namespace millrace::wire {

// What the fragments of one datagram have in common: RFC 791 3.2 names "identification, source,
// destination, and protocol"; RFC 8200 4.5 leaves out the next header, which is 0 here for IPv6.
struct FragmentKey {
  IpAddress source, destination;
  uint32_t id = 0;
  uint8_t protocol = 0;

  bool operator==(const FragmentKey&) const = default;
};

// The headers that every fragment of a datagram repeats: Ethernet and IP, for IPv6 with the
// extension headers in front of the fragment header.
struct FragmentHeaders {
  bool v4 = false;
  uint8_t next_header = 0;      // what follows them in the datagram
  uint16_t bytes = 0;           // from the frame's begin
  uint16_t next_header_at = 0;  // IPv6: the octet in there that says "fragment header"
};

// One fragment; `frame` and `payload` point into what was parsed.
struct Fragment {
  FragmentKey key;
  FragmentHeaders headers;
  uint8_t ecn = 0;
  bool more = false;    // not the last one
  uint32_t offset = 0;  // in the datagram behind its headers, octets, a multiple of 8
  const std::byte* frame = nullptr;
  const std::byte* payload = nullptr;
  uint32_t payload_bytes = 0;  // at least 1; a multiple of 8 when `more`

  uint32_t end() const { return offset + payload_bytes; }
};

// Reads a frame that was sent to `mac`. nullopt when it is no fragment, or one that cannot be: bad
// lengths or header checksum, no payload, an end beyond 65,535 octets; the engine's parser drops
// and counts those. An IPv6 packet that is whole in spite of its fragment header is no fragment
// (RFC 6946).
std::optional<Fragment> ParseFragment(const std::byte* frame, uint32_t length,
                                      const MacAddress& mac);

// Turns the headers of a first fragment, with which `frame` begins, into those of the whole
// datagram, which makes a frame of `length` octets. `ce`: another fragment was marked on the way.
void MakeWhole(std::byte* frame, uint32_t length, const FragmentHeaders& first, bool ce);

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_FRAGMENT_H_
