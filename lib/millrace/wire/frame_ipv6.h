// wire/frame_ipv6.h - the IPv6 part of the parser. For frame.cc only; see wire/frame.h.
#ifndef MILLRACE_WIRE_FRAME_IPV6_H_
#define MILLRACE_WIRE_FRAME_IPV6_H_

#include <cstddef>
#include <cstdint>

#include "millrace/wire/frame.h"

namespace millrace::wire {

// Parses the packet in the `length` octets at `header`. REQUIRES: out.link_group is set.
DropReason ParseIpv6(const std::byte* header, uint32_t length, ChecksumState l4_checksum,
                     const LocalNet& net, ParsedFrame& out);

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_FRAME_IPV6_H_
