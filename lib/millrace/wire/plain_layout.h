// wire/plain_layout.h - the layouts of headers that wire/plain_frame.h takes: where things are,
// what is constant, and how the values in their options are read.
#ifndef MILLRACE_WIRE_PLAIN_LAYOUT_H_
#define MILLRACE_WIRE_PLAIN_LAYOUT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "millrace/base/endian.h"
#include "millrace/base/inline.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/frame.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/tcp_header.h"
#include "millrace/wire/tcp_options.h"

namespace millrace::wire {

class PlainLayout {
 public:
  static constexpr uint32_t kIpAt = kEthernetHeaderBytes, kTcpAt = kIpAt + kIpv4HeaderBytes;
  static constexpr uint32_t kAddressesAt = kIpAt + kIpv4SourceAt;  // both
  static constexpr uint32_t kOptionsAt = kTcpAt + kTcpHeaderBytes;

  // Octets of TCP headers: with the MSS or with timestamps alone; of a SYN, as Linux sends it with
  // and without timestamps.
  static constexpr uint32_t kMssHeaderBytes = kTcpHeaderBytes + 4;
  static constexpr uint32_t kTimestampsHeaderBytes = kTcpHeaderBytes + kTimestampsPaddedBytes;
  static constexpr uint32_t kSynHeaderBytes = kTcpHeaderBytes + 20;
  static constexpr uint32_t kShortSynHeaderBytes = kTcpHeaderBytes + 12;
  static constexpr OptionBits kShortSynOptions =
      kMssOption | kSackPermittedOption | kWindowScaleOption;
  static constexpr OptionBits kSynOptions = kShortSynOptions | kTimestampsOption;

  // Kinds and lengths of options: MSS; SACK-permitted and timestamps, or alone; NOP and scale.
  static constexpr uint32_t kMssPrefix = 0x0204, kSackPermittedAndTimestamps = 0x0402'080A;
  static constexpr uint32_t kNopsAndSackPermitted = 0x0101'0402, kNopAndScalePrefix = 0x01'0303;

  // Constants are 32 octets of a frame: the first 24, and of 32 others, which begin at `second_at`,
  // the last eight. They are the last of the shortest header; or the options' first eight, and then
  // the octets with the header's length and flags are there as well, instead of the packet's
  // length.
  static constexpr uint32_t kFirstBytes = 24;
  static constexpr uint32_t kWithOptions = kOptionsAt + 8 - 32, kShortest = kOptionsAt - 32;

  // What all have in common: unicast to us, IPv4 without options and not a fragment, TCP. And not
  // ECN, so Segment::ecn is 0.
  PlainLayout(const LocalNet& net, uint32_t second_at) : second_at_(second_at) {
    for (uint32_t i = 0; i < kMacAddressBytes; ++i) Number(i, net.mac.octets[i], 1);
    Number(kEthernetTypeAt, kEtherTypeIpv4, 2);
    Number(kIpAt + kIpv4VersionIhlAt, kIpv4VersionIhl, 1);
    Number(kIpAt + kIpv4ProtocolAt, kIpProtocolTcp, 1);
    Bits(kIpAt + kIpv4TosAt, kEcnMask, 0);
    constexpr uint32_t kFragment = kIpv4MoreFragments | kIpv4FragmentOffsetMask;
    Bits(kIpAt + kIpv4FragmentAt, kFragment >> 8, 0);
    Bits(kIpAt + kIpv4FragmentAt + 1, kFragment & 0xFF, 0);
  }

  // No URG, ECE and CWR, and `flag`.
  PlainLayout& Tcp(uint32_t header_bytes, Flags flag) {
    Bits(kTcpAt + kTcpDataOffsetAt, 0xF0, header_bytes << 2);
    Bits(kTcpAt + kTcpFlagsAt, kUrg | kEce | kCwr | flag, flag);
    return *this;
  }
  PlainLayout& Number(uint32_t at, uint32_t number, uint32_t octets) {
    for (; octets > 0; ++at) Bits(at, 0xFF, number >> 8 * --octets & 0xFF);
    return *this;
  }

  const std::byte* is() const { return is_.data(); }
  const std::byte* mask() const { return mask_.data(); }

#if defined(__AVX2__)
  template <uint32_t kSecondAt>
  MR_ALWAYS_INLINE static __m256i Octets(const std::byte* data) {
    static_assert(kSecondAt == kWithOptions || kSecondAt == kShortest);
    constexpr int kOfSecond = kSecondAt == kWithOptions ? 0b1101'0000 : 0b1100'0000;
    return _mm256_blend_epi32(Load256(data), Load256(data + kSecondAt), kOfSecond);
  }
  MR_ALWAYS_INLINE bool Fits(__m256i octets) const {
    return _mm256_testz_si256(_mm256_xor_si256(octets, Load256(is())), Load256(mask())) != 0;
  }
  MR_ALWAYS_INLINE static __m256i Load256(const void* at) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(at));
  }
#endif

 private:
  void Bits(uint32_t at, unsigned bits, unsigned value) {
    const uint32_t index = at < kTcpAt ? at : at - second_at_;
    mask_[index] = static_cast<std::byte>(bits);
    is_[index] = static_cast<std::byte>(value);
  }

  std::array<std::byte, 32> is_{}, mask_{};
  uint32_t second_at_;
};

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_PLAIN_LAYOUT_H_
