// wire/plain_frame.h - the frame that nearly all are, straight through: unicast to us, IPv4 without
// options and not a fragment, TCP with the options of a SYN as Linux sends them, with timestamps
// alone, or without any.
//
// All reasons against it are OR-ed into one condition and one branch; whatever has one of them goes
// to the parser in frame.cc, which knows the reasons by name. What ParsePlainTcp accepts, that one
// accepts with the same result (tests/fuzz/frame_fuzz.cc compares them).
// Cost: 90 instructions without software checksums, where layer by layer took 160.
#ifndef MILLRACE_WIRE_PLAIN_FRAME_H_
#define MILLRACE_WIRE_PLAIN_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "millrace/base/endian.h"
#include "millrace/base/inline.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/frame.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"
#include "millrace/wire/tcp_options.h"

namespace millrace::wire {

// The options of a plain segment into `out`; false for another layout. `bytes`: a multiple of 4.
MR_ALWAYS_INLINE bool ParsePlainOptions(const std::byte* options, uint32_t bytes, Segment& out) {
  constexpr uint32_t kSynBytes = 20;
  if (bytes == kTimestampsPaddedBytes) {
    out.tsval = LoadBe32(options + 4);
    out.tsecr = LoadBe32(options + 8);
    out.options = kTimestampsOption;
    return LoadBe32(options) == kTimestampsPrefix;
  }
  out.options = 0;
  if (bytes == 0) return true;
  if (bytes != kSynBytes) return false;
  // MSS; SACK-permitted and timestamps; NOP and window scale: the order of EmitTcpOptions.
  const uint32_t mss = LoadBe32(options), scale = LoadBe32(options + 16);
  out.mss = static_cast<uint16_t>(mss);
  out.tsval = LoadBe32(options + 8);
  out.tsecr = LoadBe32(options + 12);
  out.window_scale = static_cast<uint8_t>(scale);
  out.options = kMssOption | kSackPermittedOption | kTimestampsOption | kWindowScaleOption;
  return (((mss >> 16) ^ 0x0204) | (LoadBe32(options + 4) ^ 0x0402'080A) |
          ((scale >> 8) ^ 0x01'0303)) == 0;
}

// Zero for the headers of a plain frame. `length` of the frame: at least the three headers without
// options.
MR_ALWAYS_INLINE uint32_t AgainstPlain(const std::byte* data, uint32_t length,
                                       const LocalNet& net) {
  const auto differs = [](const void* a, const void* b, size_t octets) {
    uint32_t x = 0, y = 0;
    std::memcpy(&x, a, octets);
    std::memcpy(&y, b, octets);
    return x ^ y;
  };
  const std::byte* const ip = data + kEthernetHeaderBytes;
  const std::byte* const tcp = ip + kIpv4HeaderBytes;
  const uint32_t total = LoadBe16(ip + kIpv4TotalLengthAt);
  const uint32_t source = LoadBe32(ip + kIpv4SourceAt);
  const uint32_t destination = LoadBe32(ip + kIpv4DestinationAt);
  const uint32_t header_bytes = (LoadU8(tcp + kTcpDataOffsetAt) >> 4) * 4u;
  const uint32_t network = source >> 24;
  // EtherType, version and header length lie side by side.
  return differs(data, net.mac.octets.data(), 4) | differs(data + 4, &net.mac.octets[4], 2) |
         ((LoadBe32(data + kEthernetTypeAt) ^ 0x0800'4500) & 0xFFFF'FF00) |
         (LoadBe16(ip + kIpv4FragmentAt) & (kIpv4MoreFragments | kIpv4FragmentOffsetMask)) |
         (LoadU8(ip + kIpv4ProtocolAt) ^ uint32_t{kIpProtocolTcp}) |
         ((destination ^ net.address_v4) & net.owned_mask) | uint32_t{network - 1 >= 0xDF} |
         uint32_t{network == 127} | uint32_t{net.IsBroadcast(source)} |
         uint32_t{net.IsBroadcast(destination)} | uint32_t{net.Owns(source)} |
         uint32_t{header_bytes < kTcpHeaderBytes} | uint32_t{LoadU8(tcp + kTcpFlagsAt) == 0} |
         uint32_t{total < kIpv4HeaderBytes + header_bytes} |
         uint32_t{total > length - kEthernetHeaderBytes};
}

// False, and `out` is not to be used, when the frame is not plain or anything is wrong with it.
MR_ALWAYS_INLINE bool ParsePlainTcp(const std::byte* data, uint32_t length,
                                    ChecksumState ip_checksum, ChecksumState l4_checksum,
                                    const LocalNet& net, ParsedFrame& out) {
  constexpr uint32_t kHeadersBytes = kEthernetHeaderBytes + kIpv4HeaderBytes + kTcpHeaderBytes;
  if (length < kHeadersBytes || AgainstPlain(data, length, net) != 0) [[unlikely]]
    return false;
  const std::byte* const ip = data + kEthernetHeaderBytes;
  const std::byte* const tcp = ip + kIpv4HeaderBytes;
  const uint32_t source = LoadBe32(ip + kIpv4SourceAt);
  const uint32_t destination = LoadBe32(ip + kIpv4DestinationAt);
  const uint32_t header_bytes = (LoadU8(tcp + kTcpDataOffsetAt) >> 4) * 4u;
  const uint32_t tcp_length = LoadBe16(ip + kIpv4TotalLengthAt) - kIpv4HeaderBytes;
  if (ip_checksum != ChecksumState::kGood &&
      (ip_checksum == ChecksumState::kBad ||
       ChecksumFoldInMemoryOrder(ChecksumAdd(ip, kIpv4HeaderBytes, 0)) != kChecksumValid)) {
    return false;
  }
  // RFC 9293 3.1 (MUST-3): "The receiver MUST check it"; so when the device did not, we do.
  if (l4_checksum != ChecksumState::kGood &&
      (l4_checksum == ChecksumState::kBad ||
       !TcpChecksumIsValidV4(source, destination, tcp, static_cast<uint16_t>(tcp_length)))) {
    return false;
  }
  Segment& segment = out.tcp;
  if (!ParsePlainOptions(tcp + kTcpHeaderBytes, header_bytes - kTcpHeaderBytes, segment))
      [[unlikely]] {
    return false;
  }
  segment.flags = LoadU8(tcp + kTcpFlagsAt);
  segment.seq = SeqNum(LoadBe32(tcp + kTcpSeqAt));
  segment.ack = SeqNum(LoadBe32(tcp + kTcpAckAt));
  segment.window = LoadBe16(tcp + kTcpWindowAt);
  segment.payload = tcp + header_bytes;
  segment.payload_length = tcp_length - header_bytes;
  out.kind = FrameKind::kTcp;
  out.drop = DropReason::kNone;
  out.link_group = false;
  out.ip_protocol = kIpProtocolTcp;
  out.ttl = LoadU8(ip + kIpv4TtlAt);
  out.network_header = ip;
  out.source_v4 = source;
  out.destination_v4 = destination;
  out.source_port = LoadBe16(tcp + kTcpSourcePortAt);
  out.destination_port = LoadBe16(tcp + kTcpDestinationPortAt);
  return true;
}

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_PLAIN_FRAME_H_
