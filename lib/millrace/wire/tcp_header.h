// wire/tcp_header.h - the TCP header (RFC 9293 3.1): offsets, and values to bytes.
//
// Threading: pure functions. Cost: five stores and the options. The checksum covers the payload
// too, so it is left to the caller, who is given the header's part of the sum.
#ifndef MILLRACE_WIRE_TCP_HEADER_H_
#define MILLRACE_WIRE_TCP_HEADER_H_

#include <cstddef>
#include <cstdint>

#include "millrace/base/endian.h"
#include "millrace/base/inline.h"
#include "millrace/base/seq.h"
#include "millrace/wire/checksum.h"
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
// reserved bits are zero. Counts what it writes into `sum` (wire/checksum.h).
MR_ALWAYS_INLINE uint32_t EmitTcp(std::byte* at, const TcpFields& fields, uint64_t& sum) {
  const uint32_t length =
      kTcpHeaderBytes + EmitTcpOptions(at + kTcpHeaderBytes, fields.options, sum);
  StoreBe32Summed(at + kTcpSourcePortAt,
                  uint32_t{fields.source_port} << 16 | fields.destination_port, sum);
  StoreBe32Summed(at + kTcpSeqAt, fields.seq.value(), sum);
  StoreBe32Summed(at + kTcpAckAt, fields.ack.value(), sum);
  const uint32_t offset = length << 26;  // (length / 4) << 28
  StoreBe32Summed(at + kTcpDataOffsetAt, offset | uint32_t{fields.flags} << 16 | fields.window,
                  sum);
  StoreBe32Summed(at + kTcpChecksumAt, fields.urgent, sum);
  return length;
}

inline uint32_t EmitTcp(std::byte* at, const TcpFields& fields) {
  uint64_t sum = 0;
  return EmitTcp(at, fields, sum);
}

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_TCP_HEADER_H_
