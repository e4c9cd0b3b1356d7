// wire/tcp_parse.h - the TCP header of a received packet to values: what parsing IPv4 and parsing
// IPv6 share. For frame.cc and frame_ipv6.cc only.
#ifndef MILLRACE_WIRE_TCP_PARSE_H_
#define MILLRACE_WIRE_TCP_PARSE_H_

#include "millrace/base/endian.h"
#include "millrace/wire/frame.h"
#include "millrace/wire/tcp_header.h"
#include "millrace/wire/tcp_options.h"

namespace millrace::wire {

// Reads the segment of `length` octets at `tcp`, whatever carries it. `is_valid(length)` verifies
// its checksum; it is called when the device did not.
template <class IsValid>
__attribute__((always_inline)) inline DropReason ParseTcpSegment(const std::byte* tcp,
                                                                 uint32_t length,
                                                                 ChecksumState checksum,
                                                                 IsValid&& is_valid,
                                                                 ParsedFrame& out) {
  if (length < kTcpHeaderBytes) [[unlikely]]
    return DropReason::kTcpHeader;
  // The four reserved bits below the data offset fall out of the shift: RFC 9293 3.1: "must be
  // ignored in received segments if the corresponding future features are not implemented".
  const uint32_t header_bytes = (LoadU8(tcp + kTcpDataOffsetAt) >> 4) * 4u;
  if (header_bytes < kTcpHeaderBytes || header_bytes > length) [[unlikely]] {
    return DropReason::kTcpHeader;
  }
  if (checksum != ChecksumState::kGood) {
    // RFC 9293 3.1 (MUST-3): "The receiver MUST check it"; so when the device did not, we do.
    if (checksum == ChecksumState::kBad || !is_valid(static_cast<uint16_t>(length))) {
      return DropReason::kTcpChecksum;
    }
  }
  Segment& segment = out.tcp;
  segment.flags = LoadU8(tcp + kTcpFlagsAt);
  if (segment.flags == 0) [[unlikely]]
    return DropReason::kTcpFlags;
  out.source_port = LoadBe16(tcp + kTcpSourcePortAt);
  out.destination_port = LoadBe16(tcp + kTcpDestinationPortAt);
  segment.seq = SeqNum(LoadBe32(tcp + kTcpSeqAt));
  segment.ack = SeqNum(LoadBe32(tcp + kTcpAckAt));
  segment.window = LoadBe16(tcp + kTcpWindowAt);
  segment.payload = tcp + header_bytes;
  segment.payload_length = length - header_bytes;
  segment.options = 0;
  const std::byte* options = tcp + kTcpHeaderBytes;
  const uint32_t options_bytes = header_bytes - kTcpHeaderBytes;
  if (options_bytes == kTimestampsPaddedBytes && LoadBe32(options) == kTimestampsPrefix) {
    segment.options = kTimestampsOption;
    segment.tsval = LoadBe32(options + 4);
    segment.tsecr = LoadBe32(options + 8);
  } else if (options_bytes != 0 && !ParseTcpOptions(options, options_bytes, segment)) [[unlikely]] {
    return DropReason::kTcpOptions;
  }
  if ((segment.flags & (kUrg | kSyn)) == kUrg) [[unlikely]] {
    segment.options &= static_cast<OptionBits>(~kMssOption);  // a SYN's; MUST-65
    segment.urgent = LoadBe16(tcp + kTcpUrgentAt);
  }
  return DropReason::kNone;
}

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_TCP_PARSE_H_
