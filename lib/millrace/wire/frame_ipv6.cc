// wire/frame_ipv6.cc - IPv6 packets to values: header, extension headers, then TCP or ICMPv6.
//
// Extension headers (RFC 8200 4): hop-by-hop and destination options are walked, routing headers
// passed when nothing is left to route, a fragment header passed when the packet is whole (RFC
// 6946). What a packet asks for and does not get is a drop or, where RFC 8200 wants the sender to
// be told, FrameKind::kIpv6Problem.
#include "millrace/wire/frame_ipv6.h"

#include "millrace/base/endian.h"
#include "millrace/wire/icmpv6.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_parse.h"

namespace millrace::wire {
namespace {

constexpr int kExtensionHeadersMax = 8;
constexpr uint8_t kOptionPad1 = 0;

// Where the walk along the headers is.
struct Cursor {
  const std::byte* header;  // of the IPv6 packet
  uint32_t end;             // octets of the packet
  uint32_t at = kIpv6HeaderBytes;
  uint32_t next_header_at = kIpv6NextHeaderAt;  // the octet that named what is at `at`
  uint8_t next_header = 0;
  bool group = false;  // sent to a multicast address

  uint32_t left() const { return end - at; }
};

DropReason Problem(ParsedFrame& out, const Cursor& c, uint8_t code, uint32_t at) {
  out.kind = FrameKind::kIpv6Problem;
  out.problem_code = code;
  out.problem_at = at;
  out.network_length = c.end;
  return DropReason::kNone;
}

// Options of a hop-by-hop or destination options header of `length` octets. True when they ask for
// nothing that we do not do; else `result` is what becomes of the packet.
bool CheckOptions(const Cursor& c, uint32_t length, ParsedFrame& out, DropReason& result) {
  const uint32_t end = c.at + length;
  uint32_t at = c.at + 2;
  while (at < end) {
    const uint8_t type = LoadU8(c.header + at);
    if (type == kOptionPad1) {
      ++at;
      continue;
    }
    if (end - at < 2 || LoadU8(c.header + at + 1) + 2u > end - at) {
      result = DropReason::kIpv6Extension;
      return false;
    }
    // RFC 8200 4.2: the two highest bits of an unknown option's type: 00 "skip over this option",
    // 01 "discard the packet", 10 discard and send a parameter problem, 11 the same unless the
    // destination was multicast. The options that we know (PadN, router alert) begin with 00.
    const unsigned action = type >> 6;
    if (action != 0) {
      const bool answer = action == 2 || (action == 3 && !c.group);
      result = answer ? Problem(out, c, kIcmpV6UnknownOption, at) : DropReason::kIpv6Extension;
      return false;
    }
    at += LoadU8(c.header + at + 1) + 2u;
  }
  return true;
}

// One extension header. True: passed, the cursor is behind it; else `result` is set.
bool PassExtension(Cursor& c, ParsedFrame& out, DropReason& result) {
  result = DropReason::kIpv6Extension;
  if (c.left() < kIpv6ExtensionUnit) return false;
  const std::byte* extension = c.header + c.at;
  uint32_t length = (LoadU8(extension + 1) + 1u) * kIpv6ExtensionUnit;
  if (c.next_header == kIpv6Fragment) {
    const uint16_t fragment = LoadBe16(extension + kIpv6FragmentOffsetAt);
    if ((fragment & (kIpv6FragmentOffsetMask | kIpv6MoreFragments)) != 0) {
      result = DropReason::kIpFragment;
      return false;
    }
    length = kIpv6ExtensionUnit;
  }
  if (length > c.left()) return false;
  if (c.next_header == kIpv6HopByHop || c.next_header == kIpv6DestinationOptions) {
    if (!CheckOptions(c, length, out, result)) return false;
  } else if (c.next_header == kIpv6Routing && LoadU8(extension + kIpv6RoutingSegmentsLeftAt) != 0) {
    // RFC 5095 3: type 0 is treated "as if it were an unrecognized Routing Type", and no other type
    // is known here: RFC 8200 4.4 answers with "an ICMP Parameter Problem, Code 0, message ...
    // pointing to the unrecognized Routing Type".
    result = Problem(out, c, kIcmpV6ErroneousField, c.at + 2);
    return false;
  }
  c.next_header = LoadU8(extension);
  c.next_header_at = c.at;
  c.at += length;
  return true;
}

// Walks to the transport header. True: the cursor is there; else `result` is set.
bool PassExtensions(Cursor& c, ParsedFrame& out, DropReason& result) {
  for (int passed = 0;; ++passed) {
    switch (c.next_header) {
      case kIpv6HopByHop:
        // RFC 8200 4.1: "restricted to appear immediately after an IPv6 header only".
        if (c.at != kIpv6HeaderBytes) {
          result = Problem(out, c, kIcmpV6UnknownNextHeader, c.next_header_at);
          return false;
        }
        break;
      case kIpv6DestinationOptions:
      case kIpv6Routing:
      case kIpv6Fragment:
        break;
      default:
        return true;
    }
    if (passed == kExtensionHeadersMax) {
      result = DropReason::kIpv6Extension;
      return false;
    }
    if (!PassExtension(c, out, result)) return false;
  }
}

// RFC 4291 2.5.2, 2.5.3, 2.7: multicast, loopback and IPv4-mapped addresses are never sources of
// packets on a link; our own address only of a packet that came back. (MUST-63)
bool IsSourceInvalid(const IpAddress& source, const LocalNetV6& net) {
  return IsMulticastV6(source) || IsLoopbackV6(source) || source.IsV4() || net.Owns(source);
}

DropReason ParseTcpV6(const Cursor& c, ChecksumState checksum, ParsedFrame& out) {
  const IpAddress source = out.source_v6(), destination = out.destination_v6();
  const std::byte* tcp = c.header + c.at;
  const auto is_valid = [&](uint16_t length) {
    return ChecksumV6(source, destination, kIpProtocolTcp, tcp, length) == 0;
  };
  out.kind = FrameKind::kTcpV6;
  out.tcp.ecn = LoadBe16(c.header) >> 4 & kEcnMask;
  return ParseTcpSegment(tcp, c.left(), checksum, is_valid, out);
}

// Everything but TCP.
DropReason ParseOtherV6(const Cursor& c, ParsedFrame& out) {
  out.transport_header = c.header + c.at;
  out.transport_length = c.left();
  out.network_length = c.end;
  if (c.next_header == kIpProtocolIcmpV6) {
    // Devices do not verify ICMPv6.
    if (c.left() < kIcmpV6HeaderBytes ||
        ChecksumV6(out.source_v6(), out.destination_v6(), kIpProtocolIcmpV6, out.transport_header,
                   c.left()) != 0) {
      return DropReason::kIcmpMalformed;
    }
    out.kind = FrameKind::kIcmpV6;
    return DropReason::kNone;
  }
  if (c.group) return DropReason::kIpDestination;
  if (c.next_header == kIpProtocolUdp) {
    out.kind = FrameKind::kUdpV6;
    return DropReason::kNone;
  }
  if (c.next_header == kIpv6NoNextHeader) return DropReason::kIpv6Extension;
  // RFC 8200 4: "it should discard the packet and send an ICMP Parameter Problem message to the
  // source of the packet, with an ICMP Code value of 1 ("unrecognized Next Header type
  // encountered")".
  return Problem(out, c, kIcmpV6UnknownNextHeader, c.next_header_at);
}

// Tells the classic attack from other spoofing, as in IPv4.
DropReason ClassifySource(const Cursor& c, const IpAddress& source, const IpAddress& destination) {
  if (source != destination || c.next_header != kIpProtocolTcp || c.left() < kTcpHeaderBytes) {
    return DropReason::kIpSource;
  }
  const std::byte* tcp = c.header + c.at;
  return LoadBe16(tcp + kTcpSourcePortAt) == LoadBe16(tcp + kTcpDestinationPortAt)
             ? DropReason::kLand
             : DropReason::kIpSource;
}

}  // namespace

DropReason ParseIpv6(const std::byte* header, uint32_t length, ChecksumState l4_checksum,
                     const LocalNet& net, ParsedFrame& out) {
  if (!net.v6.enabled()) return DropReason::kUnknownEtherType;
  if (length < kIpv6HeaderBytes || LoadU8(header + kIpv6VersionAt) >> 4 != 6) {
    return DropReason::kIpHeader;
  }
  Cursor c{.header = header,
           .end = kIpv6HeaderBytes + LoadBe16(header + kIpv6PayloadLengthAt),
           .next_header = LoadU8(header + kIpv6NextHeaderAt)};
  // The one length that everything further in relies on. A jumbogram's is zero and ends here.
  if (c.end > length) return DropReason::kIpHeader;
  out.network_header = header;
  out.ttl = LoadU8(header + kIpv6HopLimitAt);
  const IpAddress source = out.source_v6(), destination = out.destination_v6();
  if (IsSourceInvalid(source, net.v6)) return ClassifySource(c, source, destination);
  c.group = IsMulticastV6(destination);
  // MUST-57 of RFC 9293: nothing that came to a group gets further, but for ICMPv6.
  if (c.group ? !net.v6.IsMember(destination) : out.link_group || !net.v6.Owns(destination)) {
    return DropReason::kIpDestination;
  }
  DropReason result = DropReason::kNone;
  if (!PassExtensions(c, out, result)) return result;
  out.ip_protocol = c.next_header;
  const bool unspecified = IsUnspecifiedV6(source);
  if (c.next_header != kIpProtocolTcp) {
    // Only duplicate address detection has no source, and nobody who could be answered.
    if (unspecified && c.next_header != kIpProtocolIcmpV6) return DropReason::kIpSource;
    return ParseOtherV6(c, out);
  }
  if (unspecified) return DropReason::kIpSource;
  if (c.group) return DropReason::kIpDestination;
  return ParseTcpV6(c, l4_checksum, out);
}

}  // namespace millrace::wire
