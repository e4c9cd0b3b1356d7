// wire/plain_frame.h - the frame that nearly all are, straight through: unicast to us, IPv4 without
// options and not a fragment, TCP with the options of a SYN as Linux sends them with and without
// timestamps, with the MSS or with timestamps alone, or without any.
//
// What is constant in it is compared many octets at a time. Whatever has a reason against it goes
// to ParseFrame, which knows the reasons by name. What Parse accepts, ParseFrame accepts with the
// same result, or it refuses the pair of addresses as PairProblem does, because IsPlainPair is not
// asked of each frame (tests/fuzz/frame_fuzz.cc compares them).
//
// With AVX2 by ParseVector: one comparison of 32 octets that were put together from two loads, one
// shuffle from the header to the Segment (71 instructions a frame less than word by word). Without
// it by ParseWords.
#ifndef MILLRACE_WIRE_PLAIN_FRAME_H_
#define MILLRACE_WIRE_PLAIN_FRAME_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "millrace/base/endian.h"
#include "millrace/base/inline.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/ethernet.h"
#include "millrace/wire/frame.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/plain_layout.h"
#include "millrace/wire/tcp_header.h"
#include "millrace/wire/tcp_options.h"

namespace millrace::wire {

// What names the connection of a plain frame, as its receiver sees it: our address in the upper
// half and the peer's in the lower; the peer's port in the upper half and ours in the lower.
struct PlainFlow {
  uint64_t addresses = 0;
  uint32_t ports = 0;
};

class PlainFrameParser {
 public:
  explicit PlainFrameParser(const LocalNet& net)
      : timestamps_(net, PlainLayout::kWithOptions),
        syn_(timestamps_),
        short_syn_(timestamps_),
        bare_(net, PlainLayout::kShortest),
        mss_(bare_) {
    timestamps_.Tcp(kTimestampsHeaderBytes, kAck).Number(kOptionsAt, kTimestampsPrefix, 4);
    syn_.Tcp(kSynHeaderBytes, kSyn)
        .Number(kOptionsAt, PlainLayout::kMssPrefix, 2)
        .Number(kOptionsAt + 4, PlainLayout::kSackPermittedAndTimestamps, 4);
    short_syn_.Tcp(kShortSynHeaderBytes, kSyn)
        .Number(kOptionsAt, PlainLayout::kMssPrefix, 2)
        .Number(kOptionsAt + 4, PlainLayout::kNopsAndSackPermitted, 4);
    bare_.Tcp(kTcpHeaderBytes, kAck);
    mss_.Tcp(kMssHeaderBytes, kSyn);  // ReadMss looks at the rest
    const uint32_t host_bits = ~net.network_mask;
    // Also without IPv4, so that nothing is plain then.
    broadcast_v4_ = host_bits > 1 || net.address_v4 == UINT32_MAX ? net.address_v4 | host_bits : 0;
    own_v4_ = net.address_v4;
    owned_mask_ = net.owned_mask;
  }

  // False, and `segment` is not to be used, when the frame is not plain or anything is wrong with
  // it. Otherwise what ParseFrame says, if IsPlainPair.
  MR_ALWAYS_INLINE bool Parse(const std::byte* data, uint32_t length, ChecksumState ip_checksum,
                              ChecksumState l4_checksum, Segment& segment) const {
    const ChecksumStates states(ip_checksum, l4_checksum);
#if defined(__AVX2__)
    if (length >= kTcpAt + kTimestampsHeaderBytes) [[likely]] {
      const __m256i octets = PlainLayout::Octets<PlainLayout::kWithOptions>(data);
      if (timestamps_.Fits(octets)) [[likely]] {
        return ParseVector<kTimestampsOption>(data, length, states, segment);
      }
      if (syn_.Fits(octets) && length >= kTcpAt + kSynHeaderBytes) {
        return ParseVector<PlainLayout::kSynOptions>(data, length, states, segment);
      }
      if (short_syn_.Fits(octets)) {
        return ParseVector<PlainLayout::kShortSynOptions>(data, length, states, segment);
      }
    }
    if (length < kOptionsAt) return false;
    const __m256i octets = PlainLayout::Octets<PlainLayout::kShortest>(data);
    if (bare_.Fits(octets)) return ParseVector<0>(data, length, states, segment);
    return mss_.Fits(octets) && length >= kTcpAt + kMssHeaderBytes &&
           ParseVector<kMssOption>(data, length, states, segment);
#else
    return ParseWords(data, length, states, segment);
#endif
  }

  // REQUIRES: Parse has accepted the frame.
  MR_ALWAYS_INLINE static PlainFlow FlowOf(const std::byte* data) {
    const uint64_t addresses = Load64(data + kAddressesAt);
    return {std::rotl(__builtin_bswap64(addresses), 32), LoadBe32(data + kTcpAt)};
  }

  // Unicast from somebody else to us. What flows have been found to be when they began, so that it
  // need not be asked of each of their frames (20 instructions).
  bool IsPlainPair(uint32_t source, uint32_t destination) const {
    return IsPeer(source) && IsLocal(destination);
  }
  // An address that a single host can have, and it is not us.
  bool IsPeer(uint32_t address) const {
    const uint32_t network = address >> 24;
    return network - 1 < 0xDF && network != 127 && address != broadcast_v4_ &&
           ((address ^ own_v4_) & owned_mask_) != 0;
  }
  bool IsLocal(uint32_t address) const {
    return ((address ^ own_v4_) & owned_mask_) == 0 && address != broadcast_v4_;
  }

 private:
  static constexpr uint32_t kIpAt = PlainLayout::kIpAt, kTcpAt = PlainLayout::kTcpAt;
  static constexpr uint32_t kAddressesAt = PlainLayout::kAddressesAt;
  static constexpr uint32_t kOptionsAt = PlainLayout::kOptionsAt;
  static constexpr uint32_t kMssHeaderBytes = PlainLayout::kMssHeaderBytes;
  static constexpr uint32_t kTimestampsHeaderBytes = PlainLayout::kTimestampsHeaderBytes;
  static constexpr uint32_t kSynHeaderBytes = PlainLayout::kSynHeaderBytes;
  static constexpr uint32_t kShortSynHeaderBytes = PlainLayout::kShortSynHeaderBytes;
  static_assert(kShortSynHeaderBytes == kTimestampsHeaderBytes);

  template <class Number>
  static Number Load(const std::byte* at) {
    Number v;
    std::memcpy(&v, at, sizeof v);
    return v;
  }
  static uint64_t Load64(const std::byte* at) { return Load<uint64_t>(at); }
  static uint32_t Load32(const std::byte* at) { return Load<uint32_t>(at); }

  // What all layouts have in common behind the constants; the options and what StoreControl stores
  // are the caller's. REQUIRES: the frame holds the headers.
  template <uint32_t kHeaderBytes>
  MR_ALWAYS_INLINE bool Finish(const std::byte* data, uint32_t length, ChecksumStates states,
                               Segment& segment) const {
    constexpr uint32_t kPayloadAt = kTcpAt + kHeaderBytes;
    const auto total_length = Load<uint16_t>(data + kIpAt + kIpv4TotalLengthAt);
    // With a packet shorter than its headers this is a large number. Swapped as 32 bits: of 16 the
    // compiler makes a store and a load that waits for it.
    const uint32_t payload_length =
        (__builtin_bswap32(total_length) >> 16) - kIpv4HeaderBytes - kHeaderBytes;
    if (payload_length > length - kPayloadAt) return false;
    // Of the pseudo-header: protocol and length, which is the packet's less an IP header.
    constexpr uint16_t kDifference = 0xFFFF + kIpProtocolTcp - kIpv4HeaderBytes;
    uint32_t pseudo = uint32_t{total_length} + __builtin_bswap16(kDifference);
    asm("" : "+r"(pseudo));  // or else in the middle of the sum, whose carry then waits elsewhere
    // RFC 9293 3.1 (MUST-3): "The receiver MUST check it"; so when the device did not, we do.
    if (states.Are(ChecksumState::kUnknown)) [[likely]] {
      if (!IsIpRight(data) || !IsTcpRight<kHeaderBytes>(data, pseudo, payload_length)) return false;
    } else if (!states.Are(ChecksumState::kGood)) {
      if (states.HasBad()) return false;
      if (states.ip() == ChecksumState::kUnknown
              ? !IsIpRight(data)
              : !IsTcpRight<kHeaderBytes>(data, pseudo, payload_length))
        return false;
    }
    segment.payload_length = payload_length;
    segment.payload = data + kPayloadAt;
    return true;
  }

  // Whether the checksums are; they sum the words as they lie in memory.
  MR_ALWAYS_INLINE bool IsIpRight(const std::byte* data) const {
    const std::byte* const ip = data + kIpAt;
    return test_.IsZero(
        OnesComplementSum(Load64(data + kAddressesAt), Load64(ip + kIpv4IdAt), Load32(ip)));
  }

  template <uint32_t kHeaderBytes>
  MR_ALWAYS_INLINE bool IsTcpRight(const std::byte* data, uint32_t pseudo,
                                   uint32_t payload_length) const {
    const std::byte* const tcp = data + kTcpAt;
    const uint64_t addresses = Load64(data + kAddressesAt);
    uint64_t sum;
    if constexpr (kHeaderBytes == kTcpHeaderBytes) {
      sum = OnesComplementSum(addresses, Load64(tcp), Load64(tcp + 8), uint64_t{Load32(tcp + 16)},
                              pseudo);
    } else if constexpr (kHeaderBytes == kMssHeaderBytes) {
      sum = OnesComplementSum(addresses, Load64(tcp), Load64(tcp + 8), Load64(tcp + 16), pseudo);
    } else if constexpr (kHeaderBytes == kTimestampsHeaderBytes) {  // and of a short SYN
      sum = OnesComplementSum(addresses, Load64(tcp), Load64(tcp + 8), Load64(tcp + 16),
                              Load64(tcp + 24), pseudo);
    } else {
      static_assert(kHeaderBytes == kSynHeaderBytes);
      sum = OnesComplementSum(addresses, Load64(tcp), Load64(tcp + 8), Load64(tcp + 16),
                              Load64(tcp + 24), Load64(tcp + 32), pseudo);
    }
    if (payload_length != 0) {
      sum = ChecksumAddBehind(tcp + kHeaderBytes, payload_length, sum);
    }
    return test_.IsZero(sum);
  }

  static bool ReadMss(const std::byte* at, Segment& segment) {
    const uint32_t mss = LoadBe32(at);
    segment.mss = static_cast<uint16_t>(mss);
    return mss >> 16 == PlainLayout::kMssPrefix;
  }
  static bool ReadScale(const std::byte* at, Segment& segment) {
    const uint32_t scale = LoadBe32(at);
    segment.window_scale = static_cast<uint8_t>(scale);
    return scale >> 8 == PlainLayout::kNopAndScalePrefix;
  }

#if defined(__AVX2__)
  // Octet i of the result is octet kFrom[i] of the same half of a header, or 0: of one with
  // timestamps alone, of a SYN without what lies behind its first 32 octets (TSecr and the scale),
  // and of one without timestamps. The first half is the same in all.
  using Shuffle = std::array<int8_t, 32>;
  static constexpr int8_t kNone = -1;
  static constexpr Shuffle kFromTimestamps{
      15, 14, 13, kNone, 7,  6,  5,  4,  11,    10,    9,     8,     kNone, kNone, kNone, kNone,  //
      11, 10, 9,  8,     15, 14, 13, 12, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone};
  static constexpr Shuffle kFromSyn{15, 14, 13,    kNone, 7,     6,     5,     4,
                                    11, 10, 9,     8,     kNone, kNone, kNone, kNone,  //
                                    15, 14, 13,    12,    kNone, kNone, kNone, kNone,
                                    7,  6,  kNone, kNone, kNone, kNone, kNone, kNone};
  static constexpr Shuffle kFromShortSyn{15,    14,    13,    kNone, 7,     6,     5,     4,
                                         11,    10,    9,     8,     kNone, kNone, kNone, kNone,  //
                                         kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone,
                                         7,     6,     kNone, kNone, kNone, kNone, kNone, kNone};

  // REQUIRES: the constants fit and the frame holds the headers.
  template <OptionBits kOptions>
  MR_ALWAYS_INLINE bool ParseVector(const std::byte* data, uint32_t length, ChecksumStates states,
                                    Segment& segment) const {
    static_assert(offsetof(Segment, window) == 0 && offsetof(Segment, flags) == 2 &&
                  offsetof(Segment, options) == 3 && offsetof(Segment, seq) == 4 &&
                  offsetof(Segment, ack) == 8 && offsetof(Segment, payload_length) == 12 &&
                  offsetof(Segment, tsval) == 16 && offsetof(Segment, tsecr) == 20 &&
                  offsetof(Segment, mss) == 24 && offsetof(Segment, window_scale) == 26 &&
                  offsetof(Segment, ecn) == 28);
    const std::byte* const tcp = data + kTcpAt;
    const std::byte* const options = tcp + kTcpHeaderBytes;
    const __m128i present = _mm_cvtsi32_si128(kOptions << 24);
    const auto out = reinterpret_cast<__m128i*>(&segment);
    if constexpr (kOptions == 0 || kOptions == kMssOption) {
      const __m128i values = _mm_shuffle_epi8(Load128(tcp), Load128(kFromTimestamps.data()));
      _mm_storeu_si128(out, _mm_or_si128(values, present));
      _mm_storeu_si128(out + 1, _mm_setzero_si128());
      if (kOptions == kMssOption && !ReadMss(options, segment)) return false;
    } else {
      const Shuffle& from = kOptions == kTimestampsOption          ? kFromTimestamps
                            : kOptions == PlainLayout::kSynOptions ? kFromSyn
                                                                   : kFromShortSyn;
      const __m256i values =
          _mm256_shuffle_epi8(PlainLayout::Load256(tcp), PlainLayout::Load256(from.data()));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                          _mm256_or_si256(values, _mm256_zextsi128_si256(present)));
      if constexpr (kOptions == PlainLayout::kSynOptions) {
        segment.tsecr = LoadBe32(options + 12);
        if (!ReadScale(options + 16, segment)) return false;
      } else if constexpr (kOptions == PlainLayout::kShortSynOptions) {
        if (!ReadScale(options + 8, segment)) return false;
      }
    }
    return Finish<kTcpHeaderBytes + TcpOptionsLength(kOptions)>(data, length, states, segment);
  }

  static __m128i Load128(const void* at) {
    return _mm_loadu_si128(static_cast<const __m128i*>(at));
  }

#else
  template <OptionBits kOptions>
  using Layout = std::integral_constant<OptionBits, kOptions>;

  bool ParseWords(const std::byte* data, uint32_t length, ChecksumStates states,
                  Segment& segment) const {
    if (length < kOptionsAt) return false;
    uint64_t differs = 0;
    for (uint32_t at = 0; at < PlainLayout::kFirstBytes; at += 8) {
      differs |= (Load64(data + at) ^ Load64(bare_.is() + at)) & Load64(bare_.mask() + at);
    }
    const std::byte* const tcp = data + kTcpAt;
    const std::byte* const options = tcp + kTcpHeaderBytes;
    // Header length, flags and window are one word.
    constexpr uint32_t kOtherFlags = uint32_t{kUrg | kEce | kCwr} << 16;
    const uint32_t control = LoadBe32(tcp + kTcpDataOffsetAt);
    const uint32_t header_bytes = control >> 26 & 0x3C;
    const bool syn = (control & uint32_t{kSyn} << 16) != 0;
    const bool ack = (control & uint32_t{kAck} << 16) != 0;
    if (differs != 0 || (control & kOtherFlags) != 0 || !(syn || ack)) return false;
    if (length - kTcpAt < header_bytes) return false;
    const auto finish = [&]<OptionBits kOptions>(Layout<kOptions>) {
      StoreControl(control, kOptions, segment);
      segment.seq = SeqNum(LoadBe32(tcp + kTcpSeqAt));
      segment.ack = SeqNum(LoadBe32(tcp + kTcpAckAt));
      segment.ecn = 0;
      return Finish<kTcpHeaderBytes + TcpOptionsLength(kOptions)>(data, length, states, segment);
    };
    switch (header_bytes) {
      case kTcpHeaderBytes:
        return ack && finish(Layout<0>());
      case kMssHeaderBytes:
        return syn && ReadMss(options, segment) && finish(Layout<kMssOption>());
      case kTimestampsHeaderBytes:
        if (ack && LoadBe32(options) == kTimestampsPrefix) {
          ReadTimestamps(options + 4, segment);
          return finish(Layout<kTimestampsOption>());
        }
        return syn && ReadMss(options, segment) &&
               LoadBe32(options + 4) == PlainLayout::kNopsAndSackPermitted &&
               ReadScale(options + 8, segment) && finish(Layout<PlainLayout::kShortSynOptions>());
      case kSynHeaderBytes:
        ReadTimestamps(options + 8, segment);
        return syn && ReadMss(options, segment) &&
               LoadBe32(options + 4) == PlainLayout::kSackPermittedAndTimestamps &&
               ReadScale(options + 16, segment) && finish(Layout<PlainLayout::kSynOptions>());
      default:
        return false;
    }
  }

  // Window, flags and options lie in a segment as in the header: one store.
  MR_ALWAYS_INLINE static void StoreControl(uint32_t control, OptionBits options,
                                            Segment& segment) {
    constexpr size_t kAt = offsetof(Segment, window);
    static_assert(offsetof(Segment, flags) == kAt + 2 && offsetof(Segment, options) == kAt + 3);
    const uint32_t word = (control & 0x00FF'FFFF) | uint32_t{options} << 24;
    std::memcpy(reinterpret_cast<std::byte*>(&segment) + kAt, &word, sizeof word);
  }
  static void ReadTimestamps(const std::byte* at, Segment& segment) {
    segment.tsval = LoadBe32(at);
    segment.tsecr = LoadBe32(at + 4);
  }
#endif

  PlainLayout timestamps_, syn_, short_syn_, bare_, mss_;
  ChecksumTest test_;
  uint32_t own_v4_ = 0, owned_mask_ = 0, broadcast_v4_ = 0;
};

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_PLAIN_FRAME_H_
