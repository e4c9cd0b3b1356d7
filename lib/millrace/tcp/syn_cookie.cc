#include "millrace/tcp/syn_cookie.h"

#include <array>
#include <cstddef>

#include "millrace/base/siphash.h"

namespace millrace::tcp {
namespace {

// FreeBSD's tables (sys/netinet/tcp_syncache.c): what is common, each the largest not above the
// peer's own. The first scale is "no window scaling".
constexpr std::array<uint16_t, 8> kMssTable = {216, 536, 1200, 1360, 1400, 1440, 1452, 1460};
constexpr uint8_t kNoScaling = 0xFF;
constexpr std::array<uint8_t, 8> kScaleTable = {kNoScaling, 0, 1, 2, 4, 6, 7, 8};
constexpr uint32_t kShiftBits = 0x0F;  // of TSval

template <class T>
uint32_t IndexNotAbove(const std::array<T, 8>& table, uint32_t first, uint32_t value) {
  uint32_t index = first;
  while (index + 1 < table.size() && table[index + 1] <= value) ++index;
  return index;
}

constexpr uint32_t kMssShift = 4, kScaleShift = 1, kSackBit = 1;

// Seven bits.
uint32_t PropertiesOf(const HalfOpen& h) {
  const bool scaling = (h.options & wire::kWindowScaleOption) != 0;
  const uint32_t scale = scaling ? IndexNotAbove(kScaleTable, 1, h.peer_window_scale) : 0;
  const uint32_t mss = IndexNotAbove(kMssTable, 0, h.peer_mss);
  const uint32_t sack = (h.options & wire::kSackPermittedOption) != 0 ? kSackBit : 0;
  return sack | scale << kScaleShift | mss << kMssShift;
}

// One key's view of one tuple and one SYN.
class Sealer {
 public:
  Sealer(const SynCookieKeys& keys, uint32_t parity, const SynCookieTuple& tuple, SeqNum irs)
      : key_(keys.key(parity)), parity_(parity), tuple_(tuple), irs_(irs.value()) {}

  SeqNum Seal(uint32_t properties) const {
    const uint64_t mac =
        SipHash24(key_, tuple_.addresses, tuple_.ports, uint64_t{irs_} << 32 | 1 << 8 | properties);
    return SeqNum(static_cast<uint32_t>(mac) << 8 | parity_ << 7 | (properties ^ Mask()));
  }
  uint32_t PropertiesIn(SeqNum cookie) const { return (cookie.value() ^ Mask()) & 0x7F; }

 private:
  // Not of the properties, which it hides: the third word is none of Seal's.
  uint32_t Mask() const {
    return static_cast<uint32_t>(
               SipHash24(key_, tuple_.addresses, tuple_.ports, uint64_t{irs_} << 32)) &
           0x7F;
  }

  const SipKey& key_;
  uint32_t parity_;
  const SynCookieTuple& tuple_;
  uint32_t irs_;
};

}  // namespace

SeqNum MakeSynCookie(SynCookieKeys& keys, const SynCookieTuple& tuple, const HalfOpen& h,
                     const Env& env) {
  keys.Advance(env.now);
  return Sealer(keys, keys.parity(), tuple, h.irs).Seal(PropertiesOf(h));
}

TxSegment SynAckWithCookie(SynCookieKeys& keys, const SynCookieTuple& tuple, HalfOpen h,
                           const Env& env) {
  h.ecn = false;  // the cookie has no room to remember it
  h.iss = MakeSynCookie(keys, tuple, h, env);
  TxSegment segment = SynAckOf(h, env);
  if ((segment.options & wire::kTimestampsOption) != 0) {
    // Never above the clock, so that what follows is not older than it.
    const uint32_t shift = h.peer_window_scale;
    const uint32_t low = (segment.tsval & ~kShiftBits) | shift;
    segment.tsval = low > segment.tsval ? low - (kShiftBits + 1) : low;
  }
  return segment;
}

bool CheckSynCookie(SynCookieKeys& keys, const SynCookieTuple& tuple, const wire::Segment& segment,
                    uint32_t ts_offset, const Env& env, HalfOpen* out) {
  const SeqNum cookie = segment.ack - 1;
  const SeqNum irs = segment.seq - 1;
  keys.Advance(env.now);
  const Sealer sealer(keys, cookie.value() >> 7 & 1, tuple, irs);
  const uint32_t properties = sealer.PropertiesIn(cookie);
  if (sealer.Seal(properties) != cookie) return false;
  HalfOpen h{};
  h.iss = cookie;
  h.irs = irs;
  h.ts_offset = ts_offset;
  h.sent_us = env.us;
  h.answers = 1;  // when it went out is not known: nothing to time
  h.options = wire::kMssOption;
  h.peer_mss = kMssTable[properties >> kMssShift];
  if ((properties & kSackBit) != 0) h.options |= wire::kSackPermittedOption;
  // RFC 7323 3.2: once agreed, every segment has it, so this one tells.
  if (env.config.timestamps && segment.HasOption(wire::kTimestampsOption)) {
    h.options |= wire::kTimestampsOption;
    h.ts_recent = segment.tsval;
  }
  const uint8_t scale = kScaleTable[properties >> kScaleShift & 7];
  if (scale != kNoScaling) {
    const bool exact = (h.options & wire::kTimestampsOption) != 0;
    h.options |= wire::kWindowScaleOption;
    h.peer_window_scale = (exact ? segment.tsecr & kShiftBits : scale) & 0x0F;
  }
  *out = h;
  return true;
}

}  // namespace millrace::tcp
