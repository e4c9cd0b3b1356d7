// wire/plain_frame.h - the frame that nearly all are, straight through: unicast to us, IPv4 without
// options and not a fragment, TCP with the options of a SYN as Linux sends them with and without
// timestamps, with the MSS or with timestamps alone, or without any.
//
// What is constant in it is compared many octets at a time. Whatever has a reason against it goes
// to ParseFrame, which knows the reasons by name. What Parse accepts, ParseFrame accepts with the
// same result, or it refuses the pair of addresses as PairProblem does, because IsPlainPair is not
// asked of each frame (tests/fuzz/frame_fuzz.cc compares them).
//
// With AVX2 the two layouts with timestamps are taken by ParseVector: one comparison of 32 octets
// that were put together from two loads, one shuffle from the header to the Segment (71
// instructions a frame less than word by word). The others, and all without AVX2: ParseWords.
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
  explicit PlainFrameParser(const LocalNet& net) {
    for (uint32_t i = 0; i < kMacAddressBytes; ++i) expected_.Number(i, net.mac.octets[i], 1);
    expected_.Number(kEthernetTypeAt, kEtherTypeIpv4, 2);
    expected_.Number(kIpAt + kIpv4VersionIhlAt, kIpv4VersionIhl, 1);
    expected_.Number(kIpAt + kIpv4ProtocolAt, kIpProtocolTcp, 1);
    expected_.Bits(kIpAt + kIpv4TosAt, kEcnMask, 0);  // so Segment::ecn is 0
    constexpr uint32_t kFragment = kIpv4MoreFragments | kIpv4FragmentOffsetMask;
    expected_.Bits(kIpAt + kIpv4FragmentAt, kFragment >> 8, 0);
    expected_.Bits(kIpAt + kIpv4FragmentAt + 1, kFragment & 0xFF, 0);
#if defined(__AVX2__)
    timestamps_ = syn_ = expected_;
    timestamps_.Tcp(kTimestampsHeaderBytes, kAck);
    timestamps_.Number(kOptionsAt, kTimestampsPrefix, 4);
    syn_.Tcp(kSynHeaderBytes, kSyn);
    syn_.Number(kOptionsAt, kMssPrefix, 2);
    syn_.Number(kOptionsAt + 4, kSackPermittedAndTimestamps, 4);
#endif
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
      // All that is constant in their first 62 octets.
      const __m256i constants =
          _mm256_blend_epi32(Load256(data), Load256(data + kSecondAt), kOfSecond);
      if (timestamps_.Fits(constants)) [[likely]] {
        return ParseVector<kTimestampsHeaderBytes>(data, length, states, segment);
      }
      if (syn_.Fits(constants) && length >= kTcpAt + kSynHeaderBytes) {
        return ParseVector<kSynHeaderBytes>(data, length, states, segment);
      }
    }
#endif
    return ParseWords(data, length, states, segment);
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
  static constexpr uint32_t kIpAt = kEthernetHeaderBytes, kTcpAt = kIpAt + kIpv4HeaderBytes;
  static constexpr uint32_t kAddressesAt = kIpAt + kIpv4SourceAt;  // both
  static constexpr uint32_t kOptionsAt = kTcpAt + kTcpHeaderBytes;
  static constexpr uint32_t kConstantsEnd = 24;  // of Ethernet and IPv4
  // Of the word with the header's length.
  static constexpr uint32_t kOtherFlags = uint32_t{kUrg | kEce | kCwr} << 16;
  static constexpr uint32_t kPlainFlags = uint32_t{kUrg - 1} << 16;
  static constexpr uint32_t kSynHeaderBytes = kTcpHeaderBytes + 20;
  static constexpr uint32_t kMssHeaderBytes = kTcpHeaderBytes + 4;
  static constexpr uint32_t kTimestampsHeaderBytes = kTcpHeaderBytes + kTimestampsPaddedBytes;
  // Kinds and lengths of options: MSS; SACK-permitted and timestamps; NOP and window scale; and
  // without timestamps.
  static constexpr uint32_t kMssPrefix = 0x0204, kSackPermittedAndTimestamps = 0x0402'080A;
  static constexpr uint32_t kNopAndScalePrefix = 0x01'0303, kNopsAndSackPermitted = 0x0101'0402;
  static constexpr OptionBits kSynOptions =
      kMssOption | kSackPermittedOption | kTimestampsOption | kWindowScaleOption;

  // Of 32 octets of a frame, the first 24 and eight that are there with AVX2 only, where the length
  // of the packet was: the second load begins at octet 30, and of it come the words that hold the
  // TCP header's length and flags and the first eight octets of its options.
  static constexpr uint32_t kSecondAt = 30, kOfSecond = 0b1101'0000;
  struct Expected {
    std::array<std::byte, 32> is{}, mask{};

    void Bits(uint32_t at, unsigned bits, unsigned value) {
      const uint32_t index = at < kTcpAt ? at : at - kSecondAt;
      mask[index] = static_cast<std::byte>(bits);
      is[index] = static_cast<std::byte>(value);
    }
    void Number(uint32_t at, uint32_t number, uint32_t octets) {
      for (; octets > 0; ++at) Bits(at, 0xFF, number >> 8 * --octets & 0xFF);
    }
    // No URG, ECE and CWR, and `flag`.
    void Tcp(uint32_t header_bytes, Flags flag) {
      Bits(kTcpAt + kTcpDataOffsetAt, 0xF0, header_bytes << 2);
      Bits(kTcpAt + kTcpFlagsAt, kUrg | kEce | kCwr | flag, flag);
    }
#if defined(__AVX2__)
    MR_ALWAYS_INLINE bool Fits(__m256i octets) const {
      return _mm256_testz_si256(_mm256_xor_si256(octets, Load256(is.data())),
                                Load256(mask.data())) != 0;
    }
#endif
  };

  template <uint32_t kBytes>
  using Header = std::integral_constant<uint32_t, kBytes>;

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
    // With a packet shorter than its headers this is a large number.
    const uint32_t payload_length =
        LoadBe16(data + kIpAt + kIpv4TotalLengthAt) - kIpv4HeaderBytes - kHeaderBytes;
    if (payload_length > length - kPayloadAt) return false;
    // RFC 9293 3.1 (MUST-3): "The receiver MUST check it"; so when the device did not, we do.
    if (states.Are(ChecksumState::kUnknown)) [[likely]] {
      if (!IsIpRight(data) || !IsTcpRight<kHeaderBytes>(data, payload_length)) return false;
    } else if (!states.Are(ChecksumState::kGood)) {
      if (states.HasBad()) return false;
      if (states.ip() == ChecksumState::kUnknown ? !IsIpRight(data)
                                                 : !IsTcpRight<kHeaderBytes>(data, payload_length))
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
  MR_ALWAYS_INLINE bool IsTcpRight(const std::byte* data, uint32_t payload_length) const {
    // Of the pseudo-header: protocol and length, which is the packet's less an IP header.
    constexpr uint16_t kDifference = 0xFFFF + kIpProtocolTcp - kIpv4HeaderBytes;
    const auto total_length = Load<uint16_t>(data + kIpAt + kIpv4TotalLengthAt);
    const uint32_t pseudo = uint32_t{total_length} + __builtin_bswap16(kDifference);
    const std::byte* const tcp = data + kTcpAt;
    const uint64_t addresses = Load64(data + kAddressesAt);
    uint64_t sum;
    if constexpr (kHeaderBytes == kTcpHeaderBytes) {
      sum = OnesComplementSum(addresses, Load64(tcp), Load64(tcp + 8), uint64_t{Load32(tcp + 16)},
                              pseudo);
    } else if constexpr (kHeaderBytes == kMssHeaderBytes) {
      sum = OnesComplementSum(addresses, Load64(tcp), Load64(tcp + 8), Load64(tcp + 16), pseudo);
    } else if constexpr (kHeaderBytes == kTimestampsHeaderBytes) {
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

#if defined(__AVX2__)
  static __m256i Load256(const std::byte* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  }

  // Octet i of the result is octet kFrom[i] of the same half of a header with timestamps, or 0.
  static constexpr int8_t kNone = -1;
  static constexpr std::array<int8_t, 32> kFromTimestamps{
      15, 14, 13, kNone, 7,  6,  5,  4,  11,    10,    9,     8,     kNone, kNone, kNone, kNone,  //
      11, 10, 9,  8,     15, 14, 13, 12, kNone, kNone, kNone, kNone, kNone, kNone, kNone, kNone};
  // Of a SYN, without what lies behind the first 32 octets of its header: TSecr and the scale.
  static constexpr std::array<int8_t, 32> kFromSyn{
      15, 14, 13,    kNone, 7,     6,     5,     4,
      11, 10, 9,     8,     kNone, kNone, kNone, kNone,  //
      15, 14, 13,    12,    kNone, kNone, kNone, kNone,
      7,  6,  kNone, kNone, kNone, kNone, kNone, kNone};

  // REQUIRES: the constants fit and the frame holds the headers.
  template <uint32_t kHeaderBytes>
  MR_ALWAYS_INLINE bool ParseVector(const std::byte* data, uint32_t length, ChecksumStates states,
                                    Segment& segment) const {
    static_assert(offsetof(Segment, window) == 0 && offsetof(Segment, flags) == 2 &&
                  offsetof(Segment, options) == 3 && offsetof(Segment, seq) == 4 &&
                  offsetof(Segment, ack) == 8 && offsetof(Segment, payload_length) == 12 &&
                  offsetof(Segment, tsval) == 16 && offsetof(Segment, tsecr) == 20 &&
                  offsetof(Segment, mss) == 24 && offsetof(Segment, window_scale) == 26 &&
                  offsetof(Segment, ecn) == 28);
    constexpr bool kSynLayout = kHeaderBytes == kSynHeaderBytes;
    constexpr OptionBits kOptions = kSynLayout ? kSynOptions : kTimestampsOption;
    const std::byte* const tcp = data + kTcpAt;
    const auto& from = kSynLayout ? kFromSyn : kFromTimestamps;
    const __m256i values = _mm256_shuffle_epi8(
        Load256(tcp), _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from.data())));
    const __m256i options = _mm256_set_epi32(0, 0, 0, 0, 0, 0, 0, kOptions << 24);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(&segment), _mm256_or_si256(values, options));
    if constexpr (kSynLayout) {
      segment.tsecr = LoadBe32(tcp + kTimestampsHeaderBytes);
      if (!ReadScale(tcp + kTimestampsHeaderBytes + 4, segment)) return false;
    }
    return Finish<kHeaderBytes>(data, length, states, segment);
  }
#endif

  [[gnu::noinline]] bool ParseWords(const std::byte* data, uint32_t length, ChecksumStates states,
                                    Segment& segment) const {
    if (length < kOptionsAt) return false;
    uint64_t differs = 0;
    for (uint32_t at = 0; at < kConstantsEnd; at += 8) {
      differs |= (Load64(data + at) ^ Load64(expected_.is.data() + at)) &
                 Load64(expected_.mask.data() + at);
    }
    const std::byte* const tcp = data + kTcpAt;
    const std::byte* const options = tcp + kTcpHeaderBytes;
    // Header length, flags and window are one word.
    const uint32_t control = LoadBe32(tcp + kTcpDataOffsetAt);
    const uint32_t header_bytes = control >> 26 & 0x3C;
    if (differs != 0 || (control & kOtherFlags) != 0 || (control & kPlainFlags) == 0) return false;
    if (length - kTcpAt < header_bytes) return false;
    const auto finish = [&](auto header, OptionBits present) {
      StoreControl(control, present, segment);
      segment.seq = SeqNum(LoadBe32(tcp + kTcpSeqAt));
      segment.ack = SeqNum(LoadBe32(tcp + kTcpAckAt));
      segment.ecn = 0;
      return Finish<decltype(header)::value>(data, length, states, segment);
    };
    switch (header_bytes) {
      case kTcpHeaderBytes:
        return finish(Header<kTcpHeaderBytes>(), 0);
      case kMssHeaderBytes:
        return ReadMss(options, segment) && finish(Header<kMssHeaderBytes>(), kMssOption);
      case kTimestampsHeaderBytes:
        if (LoadBe32(options) == kTimestampsPrefix) {
          ReadTimestamps(options + 4, segment);
          return finish(Header<kTimestampsHeaderBytes>(), kTimestampsOption);
        }
        // Those of a SYN without timestamps fill as many octets.
        return ReadMss(options, segment) && LoadBe32(options + 4) == kNopsAndSackPermitted &&
               ReadScale(options + 8, segment) &&
               finish(Header<kTimestampsHeaderBytes>(), kSynOptions & ~kTimestampsOption);
      case kSynHeaderBytes:
        ReadTimestamps(options + 8, segment);
        return ReadMss(options, segment) && LoadBe32(options + 4) == kSackPermittedAndTimestamps &&
               ReadScale(options + 16, segment) && finish(Header<kSynHeaderBytes>(), kSynOptions);
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
  static bool ReadMss(const std::byte* at, Segment& segment) {
    const uint32_t mss = LoadBe32(at);
    segment.mss = static_cast<uint16_t>(mss);
    return mss >> 16 == kMssPrefix;
  }
  static bool ReadScale(const std::byte* at, Segment& segment) {
    const uint32_t scale = LoadBe32(at);
    segment.window_scale = static_cast<uint8_t>(scale);
    return scale >> 8 == kNopAndScalePrefix;
  }

  Expected expected_;  // of all layouts; what only a vector compares is not set
#if defined(__AVX2__)
  Expected timestamps_, syn_;
#endif
  ChecksumTest test_;
  uint32_t own_v4_ = 0, owned_mask_ = 0, broadcast_v4_ = 0;
};

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_PLAIN_FRAME_H_
