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

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

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
    std::byte front[kConstantAt + kConstantBytes]{};
    EmitEthernet(front, MacAddress(), source, kEtherTypeIpv4);
    EmitIpv4Header(front + kEthernetHeaderBytes, {.ttl = ttl, .protocol = kIpProtocolTcp}, 0);
    std::memcpy(constant_, front + kConstantAt, sizeof constant_);
    ip_mask_ = port.fills_ipv4_checksum ? 0 : 0xFFFF'0000;
    ip_sum_ = (uint32_t{kIpv4VersionIhl} << 8) + kIpv4DontFragment +
              (uint32_t{ttl} << 8 | kIpProtocolTcp);
  }

  // A TCP header on its way into a frame: each number is stored and counted into the sum when it is
  // known. Finish completes it.
  class TcpHeader {
   public:
    // Of the frame that begins at `frame`.
    explicit TcpHeader(std::byte* frame) : frame_(frame) {}
    // The source in the upper half.
    MR_ALWAYS_INLINE void SetPorts(uint32_t ports) { Set(kTcpSourcePortAt, ports); }
    MR_ALWAYS_INLINE void SetNumbers(SeqNum seq, SeqNum ack) {
      Set(kTcpSeqAt, seq.value());
      Set(kTcpAckAt, ack.value());
    }
    MR_ALWAYS_INLINE void SetControl(uint32_t header_bytes, uint32_t flags, uint16_t window) {
      Set(kTcpDataOffsetAt,  // (bytes / 4) << 28
          header_bytes << 26 | flags << 16 | window);
    }
    MR_ALWAYS_INLINE void SetTimestamps(uint32_t tsval, uint32_t tsecr) {
      SetOption(0, kTimestampsPrefix);
      SetOption(4, tsval);
      SetOption(8, tsecr);
    }
    MR_ALWAYS_INLINE void SetOption(uint32_t offset, uint32_t value) {
      Set(kTcpHeaderBytes + offset, value);
    }

   private:
    friend class PlainEmitter;
    using Word = std::byte[4];

    MR_ALWAYS_INLINE void Set(uint32_t offset, uint32_t value) {
      std::byte* const at = frame_ + kTcpAt + offset;
      StoreBe32(at, value);
      sum_ += value;
      // Each on its own: the compiler would gather such stores to one of a vector, which takes more
      // instructions, and load the numbers twice, for the stores and for a sum made later.
      asm("" : "+r"(sum_), "+m"(*reinterpret_cast<Word*>(at)));
    }

    std::byte* frame_;
    uint64_t sum_ = 0;
  };

  // Writes the headers of a segment with exactly `kOptions`, in front of its payload, which lies or
  // will lie behind them; returns the length of the frame. `addresses` and `ports` have the source
  // in the upper half. `segment` is a tcp::TxSegment. `payload_sum`: of ChecksumAdd; not used when
  // the port sums.
  template <OptionBits kOptions, class Segment>
  MR_ALWAYS_INLINE uint32_t Emit(std::byte* at, const MacAddress& destination, uint64_t addresses,
                                 uint32_t ports, const Segment& segment,
                                 uint64_t payload_sum) const {
    constexpr uint32_t kHeaderBytes = HeaderBytes(kOptions);
    TcpHeader tcp = Begin(at, destination, ports);
    tcp.SetNumbers(segment.seq, segment.ack);
    tcp.SetControl(kHeaderBytes, segment.flags, segment.window);
    if constexpr (kOptions == kTimestampsOption) {
      tcp.SetTimestamps(segment.tsval, segment.tsecr);
    } else if constexpr (kOptions != 0) {
      tcp.SetOption(0, 0x0204'0000u | segment.mss);
    }
    if constexpr (kOptions == kSynOptions) {
      tcp.SetOption(4, 0x0402'080A);  // SACK-permitted, timestamps
      tcp.SetOption(8, segment.tsval);
      tcp.SetOption(12, segment.tsecr);
      tcp.SetOption(16, 0x0103'0300u | segment.window_scale);
    } else if constexpr (kOptions == kShortSynOptions) {
      tcp.SetOption(4, 0x0101'0402);  // SACK-permitted
      tcp.SetOption(8, 0x0103'0300u | segment.window_scale);
    }
    return Finish(tcp, addresses, kHeaderBytes + segment.payload_length, segment.traffic_class,
                  payload_sum);
  }

  // Begins a frame at `at`, which has room for 38 octets at least: what all frames have in common
  // in the headers of Ethernet and IPv4, and the ports.
  MR_ALWAYS_INLINE TcpHeader Begin(std::byte* at, const MacAddress& destination,
                                   uint32_t ports) const {
    StoreMac(at, destination);
#if defined(__AVX2__)
    // The compiler would take two loads and two stores.
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(at + kConstantAt),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(constant_)));
#else
    std::memcpy(at + kConstantAt, constant_, sizeof constant_);
#endif
    TcpHeader tcp(at);
    tcp.SetPorts(ports);
    return tcp;
  }

  // The rest: lengths, addresses and checksums; returns the length of the frame. See Emit;
  // `tcp_length`: octets of header and payload.
  MR_ALWAYS_INLINE uint32_t Finish(const TcpHeader& tcp, uint64_t addresses, uint32_t tcp_length,
                                   uint8_t tos, uint64_t payload_sum) const {
    const uint32_t address_sum = OnesComplementHalf(addresses);
    const uint64_t pseudo = uint64_t{address_sum} + kIpProtocolTcp + tcp_length;
    uint32_t checksum;
    if (!port_.fills_tcp_checksum) [[likely]] {
      // The payload was summed as it lies in memory: its octets exchanged, so are the sum's.
      checksum = ~OnesComplementFoldHigh(
          OnesComplementAdd(tcp.sum_ + pseudo, __builtin_bswap64(payload_sum)));
    } else {
      checksum = OnesComplementFoldHigh(pseudo);
    }
    StoreBe32(tcp.frame_ + kTcpAt + kTcpChecksumAt, checksum & 0xFFFF'0000);  // urgent pointer: 0
    FinishIpv4(tcp.frame_ + kEthernetHeaderBytes, addresses, kIpv4HeaderBytes + tcp_length, tos,
               address_sum);
    return kTcpAt + tcp_length;
  }

  static constexpr uint32_t HeaderBytes(OptionBits options) {
    return kTcpHeaderBytes + TcpOptionsLength(options);
  }

 private:
  // Source and type of the Ethernet header and most of the IPv4 header are the same in every frame.
  // One copy, with as many octets behind them as make it one load and one store.
  static constexpr uint32_t kConstantAt = kEthernetSourceAt, kConstantBytes = 32;

  MR_ALWAYS_INLINE void FinishIpv4(std::byte* ip, uint64_t addresses, uint32_t total_length,
                                   uint8_t tos, uint32_t address_sum) const {
    if (tos != 0) [[unlikely]]
      ip[kIpv4TosAt] = std::byte{tos};
    StoreBe16(ip + kIpv4TotalLengthAt, static_cast<uint16_t>(total_length));
    // By a mask, because a branch costs three instructions more.
    const uint32_t sum = OnesComplementAdd(address_sum, ip_sum_ + tos + total_length);
    const uint32_t checksum = ~(sum + std::rotl(sum, 16)) & ip_mask_;
    StoreBe32(ip + kIpv4ChecksumAt, checksum);  // and two octets of what comes next
    asm("" : "+m"(*reinterpret_cast<TcpHeader::Word*>(ip + kIpv4ChecksumAt)));
    const uint64_t words = __builtin_bswap64(addresses);
    std::memcpy(ip + kIpv4SourceAt, &words, sizeof words);
  }

  std::byte constant_[kConstantBytes];
  uint32_t ip_mask_;
  uint32_t ip_sum_;  // of the IPv4 header without length, type of service and addresses
  Port port_;
};

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_PLAIN_EMIT_H_
