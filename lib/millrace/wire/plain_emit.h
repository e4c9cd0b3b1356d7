// wire/plain_emit.h - the headers of nearly every frame that is sent, straight through: Ethernet,
// IPv4 and TCP with the options of a SYN as Linux orders them, with and without timestamps, with
// the MSS or with timestamps alone, or without any. The counterpart of wire/plain_frame.h.
//
// Whatever has other options is built layer by layer (stack/frame_builder.cc), with the same result
// (tests/unit/stack/frame_builder_test.cc compares them). Sums are made of the numbers in host byte
// order while they are stored, so that nothing just written is read back and one swap does.
// Threading: pure functions.
#ifndef MILLRACE_WIRE_PLAIN_EMIT_H_
#define MILLRACE_WIRE_PLAIN_EMIT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "millrace/base/endian.h"
#include "millrace/base/inline.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/segment.h"
#include "millrace/wire/tcp_header.h"
#include "millrace/wire/tcp_options.h"

namespace millrace::wire {

class PlainEmitter {
 public:
  static constexpr OptionBits kSynOptions =
      kMssOption | kSackPermittedOption | kTimestampsOption | kWindowScaleOption;
  static constexpr OptionBits kShortSynOptions = kSynOptions & ~kTimestampsOption;
  static constexpr uint32_t kTcpAt = kEthernetHeaderBytes + kIpv4HeaderBytes;

  struct Port {
    bool fills_ipv4_checksum = false;
    bool fills_tcp_checksum = false;  // from the sum of the pseudo-header
  };

  PlainEmitter(const MacAddress& source, uint8_t ttl, Port port) : port_(port) {
    std::byte bytes[sizeof words_] = {};
    EmitEthernet(bytes, MacAddress(), source, kEtherTypeIpv4);
    std::byte ip[kIpv4HeaderBytes];
    EmitIpv4Header(ip, {.ttl = ttl, .protocol = kIpProtocolTcp}, 0);
    std::memcpy(bytes + kEthernetHeaderBytes, ip, sizeof bytes - kEthernetHeaderBytes);
    std::memcpy(words_, bytes, sizeof words_);
    ip_sum_ = (uint32_t{kIpv4VersionIhl} << 8) + kIpv4DontFragment +
              (uint32_t{ttl} << 8 | kIpProtocolTcp);
  }

  // Writes the headers of a segment with exactly `kOptions`, in front of its payload, which lies or
  // will lie behind them; returns the length of the frame. `addresses` and `ports` have the source
  // in the upper half. `segment` is a tcp::TxSegment: its numbers are read where they are stored,
  // because as arguments all of them together do not fit the registers (17 instructions a frame).
  // `payload_sum`: of ChecksumAdd; not used when the port sums.
  template <OptionBits kOptions, class Segment>
  MR_ALWAYS_INLINE uint32_t Emit(std::byte* at, const MacAddress& destination, uint64_t addresses,
                                 uint32_t ports, const Segment& segment,
                                 uint64_t payload_sum) const {
    constexpr uint32_t kHeaderBytes = HeaderBytes(kOptions);
    std::byte* const tcp = at + kTcpAt;
    uint64_t sum = ports;
    const auto put = [&sum, tcp](uint32_t offset, uint32_t value) {
      StoreBe32(tcp + offset, value);
      sum += value;
    };
    StoreBe32(tcp + kTcpSourcePortAt, ports);
    put(kTcpSeqAt, segment.seq.value());
    put(kTcpAckAt, segment.ack.value());
    put(kTcpDataOffsetAt,
        kHeaderBytes << 26 | uint32_t{segment.flags} << 16 | segment.window);  // (bytes / 4) << 28
    if constexpr (kOptions == kTimestampsOption) {
      put(kTcpHeaderBytes, kTimestampsPrefix);
      put(kTcpHeaderBytes + 4, segment.tsval);
      put(kTcpHeaderBytes + 8, segment.tsecr);
    } else if constexpr (kOptions == kSynOptions) {
      put(kTcpHeaderBytes, 0x0204'0000u | segment.mss);
      put(kTcpHeaderBytes + 4, 0x0402'080A);  // SACK-permitted, timestamps
      put(kTcpHeaderBytes + 8, segment.tsval);
      put(kTcpHeaderBytes + 12, segment.tsecr);
      put(kTcpHeaderBytes + 16, 0x0103'0300u | segment.window_scale);
    } else if constexpr (kOptions == kShortSynOptions) {
      put(kTcpHeaderBytes, 0x0204'0000u | segment.mss);
      put(kTcpHeaderBytes + 4, 0x0101'0402);  // SACK-permitted
      put(kTcpHeaderBytes + 8, 0x0103'0300u | segment.window_scale);
    } else if constexpr (kOptions == kMssOption) {
      put(kTcpHeaderBytes, 0x0204'0000u | segment.mss);
    }
    const uint32_t tcp_length = kHeaderBytes + segment.payload_length;
    const uint64_t address_sum = (addresses >> 32) + static_cast<uint32_t>(addresses);
    const uint64_t pseudo = address_sum + kIpProtocolTcp + tcp_length;
    uint16_t checksum = OnesComplementFold(pseudo);
    if (!port_.fills_tcp_checksum) {
      checksum =
          static_cast<uint16_t>(~OnesComplementFold(sum + pseudo + ChecksumFold(payload_sum)));
    }
    StoreBe32(tcp + kTcpChecksumAt, uint32_t{checksum} << 16);  // urgent pointer: 0
    EmitInFront(at, destination, addresses, kIpv4HeaderBytes + tcp_length, segment.traffic_class,
                address_sum);
    return kTcpAt + tcp_length;
  }

  static constexpr uint32_t HeaderBytes(OptionBits options) {
    return kTcpHeaderBytes + TcpOptionsLength(options);
  }

 private:
  // The Ethernet and the IPv4 header; of their first 24 octets all but the destination, the length
  // and the type of service are the same in every frame.
  MR_ALWAYS_INLINE void EmitInFront(std::byte* at, const MacAddress& destination,
                                    uint64_t addresses, uint32_t total_length, uint8_t tos,
                                    uint64_t address_sum) const {
    const auto put = [at](uint32_t offset, uint64_t word) {
      std::memcpy(at + offset, &word, sizeof word);
    };
    put(0, words_[0]);
    StoreMac(at + kEthernetDestinationAt, destination);
    put(8, words_[1] | uint64_t{tos} << 56);
    put(16, words_[2] | __builtin_bswap16(static_cast<uint16_t>(total_length)));
    const uint16_t checksum =
        static_cast<uint16_t>(~OnesComplementFold(address_sum + ip_sum_ + tos + total_length));
    StoreBe16(at + kEthernetHeaderBytes + kIpv4ChecksumAt,
              port_.fills_ipv4_checksum ? uint16_t{0} : checksum);
    put(kEthernetHeaderBytes + kIpv4SourceAt, __builtin_bswap64(addresses));
  }

  uint64_t words_[3];  // the first 24 octets of a frame, as they lie in memory
  uint32_t ip_sum_;    // of the IPv4 header without length, type of service and addresses
  Port port_;
};

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_PLAIN_EMIT_H_
