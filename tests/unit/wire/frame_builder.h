// unit/wire/frame_builder.h - frames for the tests of the parser, built by the emit functions.
//
// The usual frame goes from 10.0.0.2:4000 to us, 10.0.0.1:80 on 10.0.0.0/24.
#ifndef MILLRACE_TESTS_UNIT_WIRE_FRAME_BUILDER_H_
#define MILLRACE_TESTS_UNIT_WIRE_FRAME_BUILDER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "millrace/base/endian.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/frame.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::wire::testing {

using Bytes = std::vector<std::byte>;

inline constexpr MacAddress kOurMac{{2, 0, 0, 0, 0, 1}}, kPeerMac{{2, 0, 0, 0, 0, 2}};
inline constexpr uint32_t kOurIp = 0x0A000001, kPeerIp = 0x0A000002;
inline constexpr LocalNet kNet{
    .mac = kOurMac, .address_v4 = kOurIp, .owned_mask = 0xFFFFFFFF, .network_mask = 0xFFFFFF00};

// Offsets in a frame without IP options.
inline constexpr size_t kIpAt = kEthernetHeaderBytes, kTcpAt = kIpAt + kIpv4HeaderBytes;

inline Bytes ToBytes(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int v : values) bytes.push_back(static_cast<std::byte>(v));
  return bytes;
}

inline Bytes Counting(size_t length) {
  Bytes bytes(length);
  for (size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::byte>(i * 7 + 1);
  return bytes;
}

inline TcpFields UsualTcp() {
  return {.source_port = 4000,
          .destination_port = 80,
          .seq = SeqNum(0x01020304),
          .ack = SeqNum(0x0A0B0C0D),
          .flags = kAck | kPsh,
          .window = 0x1234,
          .options = {.present = kTimestampsOption, .tsval = 0x11223344, .tsecr = 0x55667788}};
}

// Everything of a frame that a test may want to choose.
struct FrameSpec {
  MacAddress destination_mac = kOurMac;
  uint16_t ether_type = kEtherTypeIpv4;
  uint32_t source = kPeerIp, destination = kOurIp;
  uint8_t protocol = kIpProtocolTcp;
  Bytes ip_options;  // a multiple of 4 octets
  TcpFields tcp = UsualTcp();
  Bytes raw_tcp_options;  // instead of tcp.options if not empty; a multiple of 4 octets
  Bytes payload;
  size_t padding = 0;  // octets of 0xEE behind the IP packet
};

// Makes all checksums right for what the frame says now (its lengths must be possible).
inline void FixChecksums(Bytes& frame) {
  std::byte* ip = frame.data() + kIpAt;
  const uint32_t ip_bytes = (LoadU8(ip) & 0xFu) * 4;
  const auto length = static_cast<uint16_t>(LoadBe16(ip + kIpv4TotalLengthAt) - ip_bytes);
  StoreBe16(ip + kIpv4ChecksumAt, 0);
  const uint16_t ip_sum = ChecksumFold(ChecksumAdd(ip, ip_bytes, 0));
  StoreBe16(ip + kIpv4ChecksumAt, static_cast<uint16_t>(~ip_sum));
  if (LoadU8(ip + kIpv4ProtocolAt) != kIpProtocolTcp || length < kTcpHeaderBytes) return;
  std::byte* tcp = ip + ip_bytes;
  StoreBe16(tcp + kTcpChecksumAt, 0);
  StoreBe16(tcp + kTcpChecksumAt, TcpChecksumV4(LoadBe32(ip + kIpv4SourceAt),
                                                LoadBe32(ip + kIpv4DestinationAt), tcp, length));
}

// The transport part: a TCP segment, or for other protocols the payload alone.
inline Bytes BuildTransport(const FrameSpec& spec) {
  Bytes bytes;
  if (spec.protocol == kIpProtocolTcp) {
    // Twice what a header may take: link-time optimisation cannot see that options fit, and warns.
    std::array<std::byte, 2 * kTcpHeaderBytesMax> header{};
    TcpFields fields = spec.tcp;
    if (!spec.raw_tcp_options.empty()) fields.options.present = 0;
    bytes.assign(header.begin(), header.begin() + EmitTcp(header.data(), fields));
    bytes.insert(bytes.end(), spec.raw_tcp_options.begin(), spec.raw_tcp_options.end());
    const size_t header_bytes = std::min<size_t>(bytes.size(), kTcpHeaderBytesMax);
    bytes[kTcpDataOffsetAt] = static_cast<std::byte>(header_bytes / 4 << 4);
  }
  bytes.insert(bytes.end(), spec.payload.begin(), spec.payload.end());
  return bytes;
}

inline Bytes Build(const FrameSpec& spec) {
  const Bytes transport = BuildTransport(spec);
  const size_t ip_bytes = kIpv4HeaderBytes + spec.ip_options.size();
  const size_t packet_bytes = ip_bytes + transport.size();
  Bytes frame(kIpAt + packet_bytes + spec.padding, std::byte{0xEE});
  std::byte* ip = frame.data() + kIpAt;
  EmitEthernet(frame.data(), spec.destination_mac, kPeerMac, spec.ether_type);
  EmitIpv4(ip,
           {.total_length = static_cast<uint16_t>(packet_bytes),
            .id = 7,
            .ttl = 64,
            .protocol = spec.protocol,
            .source = spec.source,
            .destination = spec.destination},
           false);
  StoreU8(ip, static_cast<unsigned>(0x40 | ip_bytes / 4));
  std::copy(spec.ip_options.begin(), spec.ip_options.end(), ip + kIpv4HeaderBytes);
  std::copy(transport.begin(), transport.end(), ip + ip_bytes);
  FixChecksums(frame);
  return frame;
}

// A parsed frame with the copy that it points into: on the heap and of the exact size, so that
// AddressSanitizer sees every octet read behind the end.
struct Parsed : ParsedFrame {
  std::unique_ptr<std::byte[]> data;

  Bytes Payload() const { return Bytes(tcp.payload, tcp.payload + tcp.payload_length); }
};

// Fields start with nonsense, so that a test sees which ones the parser left alone.
inline Parsed Parse(const Bytes& frame, ChecksumState ip_checksum = ChecksumState::kUnknown,
                    ChecksumState l4_checksum = ChecksumState::kUnknown,
                    const LocalNet& net = kNet) {
  Parsed parsed;
  parsed.tcp.options = 0xFF;
  parsed.tcp.handle = PacketHandle{77};
  parsed.link_group = true;
  parsed.data = std::make_unique<std::byte[]>(frame.size());
  std::copy(frame.begin(), frame.end(), parsed.data.get());
  ParseFrame(parsed.data.get(), static_cast<uint32_t>(frame.size()), ip_checksum, l4_checksum, net,
             parsed);
  return parsed;
}

}  // namespace millrace::wire::testing

#endif  // MILLRACE_TESTS_UNIT_WIRE_FRAME_BUILDER_H_
