// wire/tcp_header.h - the TCP header (RFC 9293 3.1): offsets, and values to bytes.
//
// Threading: pure functions. Cost: five stores and the options. The checksum is left to the port
// or to TcpChecksumV4 (wire/checksum.h), because it covers the payload.
#ifndef MILLRACE_WIRE_TCP_HEADER_H_
#define MILLRACE_WIRE_TCP_HEADER_H_

#include <cstddef>
#include <cstdint>

#include "millrace/base/endian.h"
#include "millrace/base/seq.h"
#include "millrace/wire/segment.h"
#include "millrace/wire/tcp_options.h"

namespace millrace::wire {

inline constexpr uint32_t kTcpHeaderBytes = 20;     // without options
inline constexpr uint32_t kTcpHeaderBytesMax = 60;  // with 40 octets of options

// Offsets in the header.
inline constexpr uint32_t kTcpSourcePortAt = 0;
inline constexpr uint32_t kTcpDestinationPortAt = 2;
inline constexpr uint32_t kTcpSeqAt = 4;
inline constexpr uint32_t kTcpAckAt = 8;
inline constexpr uint32_t kTcpDataOffsetAt = 12;  // upper 4 bits: header length in 32-bit words
inline constexpr uint32_t kTcpFlagsAt = 13;
inline constexpr uint32_t kTcpWindowAt = 14;
inline constexpr uint32_t kTcpChecksumAt = 16;
inline constexpr uint32_t kTcpUrgentAt = 18;

struct TcpFields {
  uint16_t source_port = 0, destination_port = 0;
  SeqNum seq, ack;
  Flags flags = 0;
  uint16_t window = 0;  // as on the wire, already scaled down
  uint16_t urgent = 0;
  TcpOptionValues options;
};

// Octets of the header that EmitTcp writes for a set of options.
constexpr uint32_t TcpHeaderLength(OptionBits present) {
  return kTcpHeaderBytes + TcpOptionsLength(present);
}

// Writes header and options with a checksum field of zero; returns their length in octets. The
// reserved bits are zero.
inline uint32_t EmitTcp(std::byte* at, const TcpFields& fields) {
  const uint32_t length = kTcpHeaderBytes + EmitTcpOptions(at + kTcpHeaderBytes, fields.options);
  StoreBe32(at + kTcpSourcePortAt, uint32_t{fields.source_port} << 16 | fields.destination_port);
  StoreBe32(at + kTcpSeqAt, fields.seq.value());
  StoreBe32(at + kTcpAckAt, fields.ack.value());
  StoreBe32(at + kTcpDataOffsetAt,
            length << 26 | uint32_t{fields.flags} << 16 | fields.window);  // (length / 4) << 28
  StoreBe32(at + kTcpChecksumAt, fields.urgent);
  return length;
}

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_TCP_HEADER_H_
