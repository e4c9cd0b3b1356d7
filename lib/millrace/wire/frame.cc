// wire/frame.cc - the parser, from the link layer inwards, one function per layer. The engine's
// common TCP frame does not come this way (wire/plain_frame.h).
#include "millrace/wire/frame.h"

#include <cstring>

#include "millrace/base/endian.h"
#include "millrace/wire/arp.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/frame_ipv6.h"
#include "millrace/wire/icmp.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"
#include "millrace/wire/tcp_parse.h"

namespace millrace::wire {
namespace {

struct Ipv4Packet {
  const std::byte* header;
  uint32_t header_bytes;
  uint32_t total_bytes;  // as the header says, at most what the frame holds
};

// True for an address that no single host of a network has: multicast, reserved, the limited
// broadcast, and the attached network's own broadcast.
bool IsGroupAddress(uint32_t address, const LocalNet& net) {
  return address >= 0xE000'0000 || net.IsBroadcast(address);
}

// RFC 1122 3.2.1.3: networks 0 and 127 name no other host, and reserved ones none at all
// (RFC 6890). RFC 9293 3.9.2.3 (MUST-63): "A TCP implementation MUST silently discard any incoming
// SYN with an invalid source address"; here that goes for every packet.
bool IsSourceInvalid(uint32_t source, const LocalNet& net) {
  const uint32_t network = source >> 24;
  return network == 0 || network == 127 || IsGroupAddress(source, net) || net.Owns(source);
}

bool IsDestinationInvalid(uint32_t destination, const LocalNet& net) {
  return IsGroupAddress(destination, net) || !net.Owns(destination);
}

// Only ever called for packets that are dropped: tells the classic attack from other spoofing.
DropReason ClassifySource(const Ipv4Packet& ip, uint32_t source, uint32_t destination) {
  if (source != destination || LoadU8(ip.header + kIpv4ProtocolAt) != kIpProtocolTcp ||
      ip.total_bytes < ip.header_bytes + kTcpHeaderBytes) {
    return DropReason::kIpSource;
  }
  const std::byte* tcp = ip.header + ip.header_bytes;
  return LoadBe16(tcp + kTcpSourcePortAt) == LoadBe16(tcp + kTcpDestinationPortAt)
             ? DropReason::kLand
             : DropReason::kIpSource;
}

// Walks IP options. RFC 9293 3.9.2 (MUST-50): "MUST be able to ignore... IP options it does not
// understand"; source routes are refused and with them the spoofing that they allow.
DropReason CheckIpOptions(const std::byte* options, uint32_t length) {
  uint32_t at = 0;
  while (at < length) {
    const uint8_t type = LoadU8(options + at);
    if (type == kIpOptionEnd) break;
    if (type == kIpOptionNop) {
      ++at;
      continue;
    }
    if (type == kIpOptionLooseSourceRoute || type == kIpOptionStrictSourceRoute) {
      return DropReason::kIpOptions;
    }
    if (length - at < 2) return DropReason::kIpOptions;
    const uint32_t option_length = LoadU8(options + at + 1);
    if (option_length < 2 || option_length > length - at) return DropReason::kIpOptions;
    at += option_length;
  }
  return DropReason::kNone;
}

DropReason ParseTcp(const Ipv4Packet& ip, ChecksumState checksum, ParsedFrame& out) {
  const std::byte* tcp = ip.header + ip.header_bytes;
  const auto is_valid = [tcp, &out](uint16_t length) {
    return TcpChecksumIsValidV4(out.source_v4, out.destination_v4, tcp, length);
  };
  out.kind = FrameKind::kTcp;
  out.tcp.ecn = LoadU8(ip.header + kIpv4TosAt) & kEcnMask;
  return ParseTcpSegment(tcp, ip.total_bytes - ip.header_bytes, checksum, is_valid, out);
}

// ICMP and the protocols that nobody here speaks.
DropReason ParseOtherProtocol(const Ipv4Packet& ip, ParsedFrame& out) {
  out.transport_header = ip.header + ip.header_bytes;
  out.transport_length = ip.total_bytes - ip.header_bytes;
  out.source_port = 0;
  out.destination_port = 0;
  if (out.ip_protocol == kIpProtocolIcmp) {
    // Devices do not verify ICMP, whatever they say of "layer 4".
    if (out.transport_length < kIcmpHeaderBytes ||
        IcmpChecksum(out.transport_header, out.transport_length) != 0) {
      return DropReason::kIcmpMalformed;
    }
    out.kind = FrameKind::kIcmp;
    return DropReason::kNone;
  }
  out.kind = out.ip_protocol == kIpProtocolUdp ? FrameKind::kUdp : FrameKind::kOtherIpProtocol;
  return DropReason::kNone;
}

// Version, lengths and checksum; fills `ip`. `length`: octets of the frame behind Ethernet.
DropReason CheckIpv4Header(const std::byte* header, uint32_t length, ChecksumState checksum,
                           Ipv4Packet& ip) {
  if (length < kIpv4HeaderBytes) return DropReason::kIpHeader;
  const uint32_t version_ihl = LoadU8(header + kIpv4VersionIhlAt);
  ip.header = header;
  ip.header_bytes = kIpv4HeaderBytes;
  ip.total_bytes = LoadBe16(header + kIpv4TotalLengthAt);
  if (version_ihl != kIpv4VersionIhl) {
    ip.header_bytes = (version_ihl & 0xF) * 4;
    if (version_ihl >> 4 != 4 || ip.header_bytes < kIpv4HeaderBytes) return DropReason::kIpHeader;
  }
  // The one length that everything further in relies on.
  if (ip.total_bytes < ip.header_bytes || ip.total_bytes > length) {
    return DropReason::kIpHeader;
  }
  if (checksum != ChecksumState::kGood) {
    if (checksum == ChecksumState::kBad ||
        ChecksumFold(ChecksumAdd(header, ip.header_bytes, 0)) != kChecksumValid) {
      return DropReason::kIpChecksum;
    }
  }
  return DropReason::kNone;
}

DropReason ParseIpv4(const std::byte* header, uint32_t length, ChecksumState ip_checksum,
                     ChecksumState l4_checksum, const LocalNet& net, ParsedFrame& out) {
  Ipv4Packet ip;
  DropReason drop = CheckIpv4Header(header, length, ip_checksum, ip);
  if (drop != DropReason::kNone) return drop;
  if (ip.header_bytes != kIpv4HeaderBytes) {
    drop = CheckIpOptions(header + kIpv4HeaderBytes, ip.header_bytes - kIpv4HeaderBytes);
    if (drop != DropReason::kNone) return drop;
  }
  if ((LoadBe16(header + kIpv4FragmentAt) & (kIpv4MoreFragments | kIpv4FragmentOffsetMask)) != 0) {
    return DropReason::kIpFragment;
  }
  const uint32_t source = LoadBe32(header + kIpv4SourceAt);
  const uint32_t destination = LoadBe32(header + kIpv4DestinationAt);
  if (IsSourceInvalid(source, net)) return ClassifySource(ip, source, destination);
  // RFC 9293 3.9.2.3 (MUST-57): "MUST silently discard an incoming SYN segment that is addressed to
  // a broadcast or multicast address". Nothing else of ours listens to groups, and answering them
  // would multiply traffic (RFC 1122 3.2.2), so that goes for every protocol and both layers.
  if (out.link_group || IsDestinationInvalid(destination, net)) {
    return DropReason::kIpDestination;
  }
  out.network_header = header;
  out.source_v4 = source;
  out.destination_v4 = destination;
  out.ttl = LoadU8(header + kIpv4TtlAt);
  out.ip_protocol = LoadU8(header + kIpv4ProtocolAt);
  if (out.ip_protocol == kIpProtocolTcp) return ParseTcp(ip, l4_checksum, out);
  return ParseOtherProtocol(ip, out);
}

DropReason ParseNotIpv4(const std::byte* header, uint32_t length, uint16_t ether_type,
                        ChecksumState l4_checksum, const LocalNet& net, ParsedFrame& out) {
  if (ether_type == kEtherTypeIpv6) return ParseIpv6(header, length, l4_checksum, net, out);
  if (ether_type != kEtherTypeArp) return DropReason::kUnknownEtherType;
  if (!ParseArp(header, length).has_value()) return DropReason::kArpMalformed;
  out.network_header = header;
  out.kind = FrameKind::kArp;
  return DropReason::kNone;
}

DropReason ParseLink(const std::byte* data, uint32_t length, ChecksumState ip_checksum,
                     ChecksumState l4_checksum, const LocalNet& net, ParsedFrame& out) {
  if (length < kEthernetHeaderBytes) {
    out.link_group = false;
    return DropReason::kRunt;
  }
  out.link_group = (LoadU8(data) & 1) != 0;
  if (std::memcmp(data, net.mac.octets.data(), kMacAddressBytes) != 0 && !out.link_group) {
    return DropReason::kNotForUs;
  }
  const uint16_t ether_type = LoadBe16(data + kEthernetTypeAt);
  const std::byte* inner = data + kEthernetHeaderBytes;
  const uint32_t inner_length = length - kEthernetHeaderBytes;
  if (ether_type != kEtherTypeIpv4) {
    return ParseNotIpv4(inner, inner_length, ether_type, l4_checksum, net, out);
  }
  return ParseIpv4(inner, inner_length, ip_checksum, l4_checksum, net, out);
}

}  // namespace

void ParseFrame(const std::byte* data, uint32_t length, ChecksumState ip_checksum,
                ChecksumState l4_checksum, const LocalNet& net, ParsedFrame& out) {
  out.drop = ParseLink(data, length, ip_checksum, l4_checksum, net, out);
  if (out.drop != DropReason::kNone) out.kind = FrameKind::kDrop;
}

DropReason PairProblem(uint32_t source, uint32_t destination, uint16_t source_port,
                       uint16_t destination_port, const LocalNet& net) {
  if (IsSourceInvalid(source, net)) {
    const bool land = source == destination && source_port == destination_port;
    return land ? DropReason::kLand : DropReason::kIpSource;
  }
  return IsDestinationInvalid(destination, net) ? DropReason::kIpDestination : DropReason::kNone;
}

const char* ToString(DropReason reason) {
  switch (reason) {
    case DropReason::kNone:
      return "none";
    case DropReason::kRunt:
      return "runt";
    case DropReason::kNotForUs:
      return "not-for-us";
    case DropReason::kUnknownEtherType:
      return "unknown-ether-type";
    case DropReason::kArpMalformed:
      return "arp-malformed";
    case DropReason::kIpHeader:
      return "ip-header";
    case DropReason::kIpChecksum:
      return "ip-checksum";
    case DropReason::kIpOptions:
      return "ip-options";
    case DropReason::kIpFragment:
      return "ip-fragment";
    case DropReason::kIpSource:
      return "ip-source";
    case DropReason::kIpDestination:
      return "ip-destination";
    case DropReason::kTcpHeader:
      return "tcp-header";
    case DropReason::kTcpChecksum:
      return "tcp-checksum";
    case DropReason::kTcpFlags:
      return "tcp-flags";
    case DropReason::kTcpOptions:
      return "tcp-options";
    case DropReason::kLand:
      return "land";
    case DropReason::kIcmpMalformed:
      return "icmp-malformed";
    case DropReason::kIpv6Extension:
      return "ipv6-extension";
    case DropReason::kCount:
      break;
  }
  return "unknown";
}

}  // namespace millrace::wire
