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
    std::byte front[kTcpAt];
    EmitEthernet(front, MacAddress(), source, kEtherTypeIpv4);
    EmitIpv4Header(front + kEthernetHeaderBytes, {.ttl = ttl, .protocol = kIpProtocolTcp}, 0);
    std::memcpy(&middle_, front + kMiddleAt, sizeof middle_);
    std::memcpy(constant_, front + kConstantAt, sizeof constant_);
    ip_mask_ = port.fills_ipv4_checksum ? 0 : 0xFFFF'0000;
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
    uint64_t sum = 0;
    const auto put = [&sum, tcp](uint32_t offset, uint32_t value) {
      StoreBe32(tcp + offset, value);
      sum += value;
      // Each on its own: the compiler would gather such stores to one of a vector, which takes more
      // instructions, and load the numbers twice, for the stores and for a sum made later.
      asm("" : "+r"(sum), "+m"(*reinterpret_cast<Word*>(tcp + offset)));
    };
    put(kTcpSourcePortAt, ports);
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
    const uint64_t address_sum = OnesComplementHalf(addresses);
    const uint64_t pseudo = address_sum + kIpProtocolTcp + tcp_length;
    uint32_t checksum;
    if (!port_.fills_tcp_checksum) [[likely]] {
      // The payload was summed as it lies in memory: its octets exchanged, so are the sum's.
      checksum =
          ~OnesComplementFoldHigh(OnesComplementAdd(sum + pseudo, __builtin_bswap64(payload_sum)));
    } else {
      checksum = OnesComplementFoldHigh(pseudo);
    }
    StoreBe32(tcp + kTcpChecksumAt, checksum & 0xFFFF'0000);  // urgent pointer: 0
    EmitInFront(at, destination, addresses, kIpv4HeaderBytes + tcp_length, segment.traffic_class,
                address_sum);
    return kTcpAt + tcp_length;
  }

  static constexpr uint32_t HeaderBytes(OptionBits options) {
    return kTcpHeaderBytes + TcpOptionsLength(options);
  }

 private:
  using Word = std::byte[4];

  // Source and type of the Ethernet header and most of the IPv4 header are the same in every frame.
  static constexpr uint32_t kMiddleAt = 4;    // the destination's end, the source's beginning
  static constexpr uint32_t kConstantAt = 8;  // the source's rest, up to the protocol

  // The Ethernet and the IPv4 header. What they have in common goes by one copy, then what differs.
  MR_ALWAYS_INLINE void EmitInFront(std::byte* at, const MacAddress& destination,
                                    uint64_t addresses, uint32_t total_length, uint8_t tos,
                                    uint64_t address_sum) const {
    constexpr uint32_t kTosAt = kEthernetHeaderBytes + 1;
    uint32_t first;
    uint16_t last;
    std::memcpy(&first, destination.octets.data(), sizeof first);
    std::memcpy(&last, destination.octets.data() + sizeof first, sizeof last);
    const uint32_t middle = middle_ | last;
    std::memcpy(at, &first, sizeof first);
    std::memcpy(at + kMiddleAt, &middle, sizeof middle);
    std::memcpy(at + kConstantAt, constant_, sizeof constant_);
    if (tos != 0) [[unlikely]]
      at[kTosAt] = std::byte{tos};
    std::byte* const ip = at + kEthernetHeaderBytes;
    StoreBe16(ip + kIpv4TotalLengthAt, static_cast<uint16_t>(total_length));
    // By a mask, because a branch costs three instructions more.
    const uint32_t checksum =
        ~OnesComplementFoldHigh(address_sum + ip_sum_ + tos + total_length) & ip_mask_;
    StoreBe32(ip + kIpv4ChecksumAt, checksum);  // and two octets of what comes next
    asm("" : "+m"(*reinterpret_cast<Word*>(ip + kIpv4ChecksumAt)));
    const uint64_t words = __builtin_bswap64(addresses);
    std::memcpy(ip + kIpv4SourceAt, &words, sizeof words);
  }

  std::byte constant_[16];
  uint32_t middle_;  // as it lies in memory, its first half empty
  uint32_t ip_mask_;
  uint32_t ip_sum_;  // of the IPv4 header without length, type of service and addresses
  Port port_;
};

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_PLAIN_EMIT_H_
