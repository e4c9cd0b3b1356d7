// unit/wire/ipv6_builder.h - IPv6 frames for the tests of the parser.
//
// The usual frame goes from 2001:db8::2 port 4000 to us, 2001:db8::1 port 80.
#ifndef MILLRACE_TESTS_UNIT_WIRE_IPV6_BUILDER_H_
#define MILLRACE_TESTS_UNIT_WIRE_IPV6_BUILDER_H_

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "millrace/wire/icmpv6.h"
#include "millrace/wire/ipv6.h"
#include "unit/wire/frame_builder.h"

namespace millrace::wire::testing {

inline constexpr IpAddress kOurV6 = IpAddress::V6(0x2001'0DB8'0000'0000, 1);
inline constexpr IpAddress kPeerV6 = IpAddress::V6(0x2001'0DB8'0000'0000, 2);
inline const IpAddress kOurLinkLocal = LinkLocalOf(kOurMac);

inline LocalNet NetV6() {
  LocalNet net = kNet;
  net.v6 = {.address = kOurV6,
            .link_local = kOurLinkLocal,
            .address_ready = true,
            .link_local_ready = true};
  return net;
}

struct FrameSpecV6 {
  MacAddress destination_mac = kOurMac;
  IpAddress source = kPeerV6, destination = kOurV6;
  // Extension headers in order: type, and the octets from the third on (a multiple of 8, less 2).
  std::vector<std::pair<uint8_t, Bytes>> extensions;
  uint8_t protocol = kIpProtocolTcp;
  uint8_t hop_limit = 64;
  TcpFields tcp = UsualTcp();
  Bytes payload;
  size_t padding = 0;
};

inline constexpr size_t kTransportV6At = kIpAt + kIpv6HeaderBytes;

inline void AppendTransport(const FrameSpecV6& spec, Bytes& frame) {
  const size_t at = frame.size();
  Bytes transport =
      BuildTransport({.protocol = spec.protocol, .tcp = spec.tcp, .payload = spec.payload});
  const auto length = static_cast<uint32_t>(transport.size());
  const uint32_t field = spec.protocol == kIpProtocolTcp      ? kTcpChecksumAt
                         : spec.protocol == kIpProtocolIcmpV6 ? kIcmpV6ChecksumAt
                                                              : length;
  if (field + 2 <= length) {
    StoreBe16(transport.data() + field, 0);
    StoreBe16(transport.data() + field,
              ChecksumV6(spec.source, spec.destination, spec.protocol, transport.data(), length));
  }
  frame.resize(at + length);
  std::copy(transport.begin(), transport.end(), frame.begin() + static_cast<std::ptrdiff_t>(at));
}

inline Bytes BuildV6(const FrameSpecV6& spec) {
  Bytes frame(kTransportV6At);
  EmitEthernet(frame.data(), spec.destination_mac, kPeerMac, kEtherTypeIpv6);
  size_t named_at = kIpAt + kIpv6NextHeaderAt;
  std::vector<std::pair<size_t, uint8_t>> names;
  for (const auto& [type, content] : spec.extensions) {
    names.emplace_back(named_at, type);
    named_at = frame.size();
    frame.push_back(std::byte{0});
    frame.push_back(static_cast<std::byte>((content.size() + 2) / 8 - 1));
    frame.insert(frame.end(), content.begin(), content.end());
  }
  names.emplace_back(named_at, spec.protocol);
  AppendTransport(spec, frame);
  EmitIpv6(frame.data() + kIpAt,
           {.payload_length = static_cast<uint16_t>(frame.size() - kTransportV6At),
            .hop_limit = spec.hop_limit,
            .source = spec.source,
            .destination = spec.destination});
  for (const auto& [at, type] : names) frame[at] = static_cast<std::byte>(type);
  frame.resize(frame.size() + spec.padding, std::byte{0xEE});
  return frame;
}

inline Parsed ParseV6(const Bytes& frame, ChecksumState l4_checksum = ChecksumState::kUnknown,
                      const LocalNet& net = NetV6()) {
  return Parse(frame, ChecksumState::kUnknown, l4_checksum, net);
}

}  // namespace millrace::wire::testing

#endif  // MILLRACE_TESTS_UNIT_WIRE_IPV6_BUILDER_H_
