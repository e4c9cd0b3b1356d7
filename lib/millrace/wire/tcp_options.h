// wire/tcp_options.h - TCP options to values and back (RFC 9293 3.2, RFC 7323, RFC 2018).
//
// Known here: end of list, no-operation, MSS, window scale, SACK-permitted, SACK, timestamps.
// Everything else is skipped by its length (MUST-6). Of SACK blocks the segment holds where they
// are and how many, so that only loss recovery reads them (LoadSackBlock).
// Threading: pure functions. Cost: emitting timestamps is three stores; parsing is a walk, which
// ParseFrame avoids for the common layout.
#ifndef MILLRACE_WIRE_TCP_OPTIONS_H_
#define MILLRACE_WIRE_TCP_OPTIONS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "millrace/base/endian.h"
#include "millrace/base/inline.h"
#include "millrace/wire/checksum.h"
#include "millrace/wire/segment.h"

namespace millrace::wire {

enum class TcpOptionKind : uint8_t {
  kEnd = 0,
  kNop = 1,
  kMss = 2,
  kWindowScale = 3,
  kSackPermitted = 4,
  kSack = 5,
  kTimestamps = 8,
  kUserTimeout = 28,  // RFC 5482
  kFastOpen = 34,     // RFC 7413
  kExperiment = 254,  // RFC 6994: two octets say which
};

// Octets of an option, kind and length included.
inline constexpr uint8_t kMssOptionBytes = 4, kWindowScaleOptionBytes = 3;
inline constexpr uint8_t kSackPermittedOptionBytes = 2, kTimestampsOptionBytes = 10;
inline constexpr uint8_t kUserTimeoutOptionBytes = 4;
inline constexpr uint32_t kTcpOptionsBytesMax = 40;
inline constexpr uint16_t kFastOpenExperimentId = 0xF989;

// First four octets of the layout that nearly every segment has: NOP NOP timestamps (RFC 7323
// appendix A), 12 octets in all.
inline constexpr uint32_t kTimestampsPrefix = 0x0101'080A;
inline constexpr uint32_t kTimestampsPaddedBytes = 12;

// A block of the SACK option (RFC 2018 section 3): octets [left, right) are held by the receiver.
struct SackBlock {
  SeqNum left, right;
};
inline constexpr size_t kSackBlocksMax = 3;  // what fits beside timestamps

// Block `index` of a received SACK option.
inline SackBlock LoadSackBlock(const std::byte* sack, uint32_t index) {
  return {SeqNum(LoadBe32(sack + 8 * index)), SeqNum(LoadBe32(sack + 8 * index + 4))};
}

struct TcpOptionValues {
  OptionBits present = 0;  // which of the fields below are sent
  uint16_t mss = 0;        // octets
  uint8_t window_scale = 0;
  uint8_t sack_count = 0;  // of the blocks at `sack`, 0 to kSackBlocksMax; sent when not 0
                           // with kFastOpenOption: 2 + octets of the cookie that is there instead
  uint32_t tsval = 0, tsecr = 0;
  const SackBlock* sack = nullptr;
};

// Octets of the SACK option with its two NOPs.
constexpr uint32_t SackOptionLength(uint32_t blocks) { return blocks == 0 ? 0 : 4 + 8 * blocks; }

// Octets that EmitTcpOptions writes for a set of kFixedOptions: a multiple of 4, at most 20.
constexpr uint32_t TcpOptionsLength(OptionBits present) {
  uint32_t length = (present & kMssOption) != 0 ? 4 : 0;
  if ((present & kTimestampsOption) != 0) {
    length += kTimestampsPaddedBytes;
  } else if ((present & kSackPermittedOption) != 0) {
    length += 4;
  }
  return length + ((present & kWindowScaleOption) != 0 ? 4 : 0);
}

// Writes the Fast Open option (RFC 7413 2) with NOPs behind it to four octets; returns the end.
inline std::byte* EmitFastOpen(std::byte* at, const TcpOptionValues& options, uint64_t& sum) {
  const bool experiment = (options.present & kFastOpenExperiment) != 0;
  const uint32_t cookie = options.sack_count - 2u, head = experiment ? 4 : 2;
  const uint32_t length = head + cookie;
  StoreU8(at,
          static_cast<uint8_t>(experiment ? TcpOptionKind::kExperiment : TcpOptionKind::kFastOpen));
  StoreU8(at + 1, static_cast<uint8_t>(length));
  if (experiment) StoreBe16(at + 2, kFastOpenExperimentId);
  if (cookie > 0) std::memcpy(at + head, options.sack, cookie);
  const uint32_t padded = (length + 3) / 4 * 4;
  std::memset(at + length, static_cast<int>(TcpOptionKind::kNop), padded - length);
  sum = ChecksumAdd(at, padded, sum);
  return at + padded;
}

// Writes the options as Linux orders them and returns their length in octets: MSS; SACK-permitted
// in the place of the two NOPs before timestamps; NOP and window scale. Each group is filled to
// four octets with leading NOPs, so no padding is left to do. RFC 9293 3.1 (MUST-69): "The padding
// is composed of zeros." Counts what it writes into `sum` (wire/checksum.h).
MR_ALWAYS_INLINE uint32_t EmitTcpOptions(std::byte* at, const TcpOptionValues& options,
                                         uint64_t& sum) {
  constexpr uint32_t kSackPermittedWord = 0x0402, kNopNop = 0x0101;
  std::byte* p = at;
  if ((options.present & kMssOption) != 0) {
    StoreBe32Summed(p, 0x0204'0000u | options.mss, sum);
    p += 4;
  }
  const bool sack_permitted = (options.present & kSackPermittedOption) != 0;
  if ((options.present & kTimestampsOption) != 0) {
    StoreBe32Summed(p, (sack_permitted ? kSackPermittedWord << 16 : kNopNop << 16) | 0x080Au, sum);
    StoreBe32Summed(p + 4, options.tsval, sum);
    StoreBe32Summed(p + 8, options.tsecr, sum);
    p += kTimestampsPaddedBytes;
  } else if (sack_permitted) {
    StoreBe32Summed(p, kNopNop << 16 | kSackPermittedWord, sum);
    p += 4;
  }
  if ((options.present & kWindowScaleOption) != 0) {
    StoreBe32Summed(p, 0x0103'0300u | options.window_scale, sum);
    p += 4;
  }
  if ((options.present & kFastOpenOption) != 0) [[unlikely]] {
    return static_cast<uint32_t>(EmitFastOpen(p, options, sum) - at);
  }
  if (options.sack_count != 0) [[unlikely]] {
    StoreBe32Summed(p, kNopNop << 16 | 0x0500u | (2u + 8u * options.sack_count), sum);
    p += 4;
    for (uint32_t i = 0; i < options.sack_count; ++i, p += 8) {
      StoreBe32Summed(p, options.sack[i].left.value(), sum);
      StoreBe32Summed(p + 4, options.sack[i].right.value(), sum);
    }
  }
  return static_cast<uint32_t>(p - at);
}

inline uint32_t EmitTcpOptions(std::byte* at, const TcpOptionValues& options) {
  uint64_t sum = 0;
  return EmitTcpOptions(at, options, sum);
}

// Reads `length` octets of options (0..40) into the option fields of `out`, whose `options` must be
// 0. False when an option's length cannot be: below 2, or past the end (MUST-7); `out` is then not
// to be used. Of a repeated option the first one counts. A known kind with another length than its
// RFC gives is skipped like an unknown one, as Linux does.
[[nodiscard]] bool ParseTcpOptions(const std::byte* options, uint32_t length, Segment& out);

}  // namespace millrace::wire

#endif  // MILLRACE_WIRE_TCP_OPTIONS_H_
