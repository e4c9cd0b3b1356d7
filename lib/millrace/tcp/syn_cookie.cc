#include "millrace/tcp/syn_cookie.h"

#include <array>
#include <cstddef>

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

uint64_t EpochOf(Instant now) { return static_cast<uint64_t>(now.ns() / kSynCookieEpoch.ns()); }

uint32_t PropertiesOf(const HalfOpen& h, uint64_t epoch) {
  const bool scaling = (h.options & wire::kWindowScaleOption) != 0;
  const uint32_t scale = scaling ? IndexNotAbove(kScaleTable, 1, h.peer_window_scale) : 0;
  const uint32_t mss = IndexNotAbove(kMssTable, 0, h.peer_mss);
  const uint32_t sack = (h.options & wire::kSackPermittedOption) != 0 ? 1 : 0;
  return static_cast<uint32_t>(epoch & 1) | sack << 1 | scale << 2 | mss << 5;
}

// 24 bits that vouch for the properties, and in the low half of the result a mask for them.
uint64_t Mac(const SynCookieKey& k, SeqNum irs, uint64_t epoch, uint32_t properties) {
  return SipHash24(k.key, k.addresses, k.ports,
                   uint64_t{irs.value()} << 32 ^ epoch << 8 ^ properties);
}

// The mask must not depend on what it hides.
uint32_t Mask(const SynCookieKey& k, SeqNum irs) {
  return static_cast<uint32_t>(SipHash24(k.key, k.addresses, k.ports + irs.value())) & 0xFF;
}

SeqNum Assemble(const SynCookieKey& k, SeqNum irs, uint64_t epoch, uint32_t properties) {
  const uint32_t mac = static_cast<uint32_t>(Mac(k, irs, epoch, properties)) << 8;
  return SeqNum(mac | (properties ^ Mask(k, irs)));
}

}  // namespace

SeqNum MakeSynCookie(const SynCookieKey& key, const HalfOpen& h, const Env& env) {
  const uint64_t epoch = EpochOf(env.now);
  return Assemble(key, h.irs, epoch, PropertiesOf(h, epoch));
}

TxSegment SynAckWithCookie(const SynCookieKey& key, HalfOpen h, const Env& env) {
  h.ecn = false;  // the cookie has no room to remember it
  h.iss = MakeSynCookie(key, h, env);
  TxSegment segment = SynAckOf(h, env);
  if ((segment.options & wire::kTimestampsOption) != 0) {
    // Never above the clock, so that what follows is not older than it.
    const uint32_t shift = h.peer_window_scale;
    const uint32_t low = (segment.tsval & ~kShiftBits) | shift;
    segment.tsval = low > segment.tsval ? low - (kShiftBits + 1) : low;
  }
  return segment;
}

bool CheckSynCookie(const SynCookieKey& key, const wire::Segment& segment, uint32_t ts_offset,
                    const Env& env, HalfOpen* out) {
  const SeqNum cookie = segment.ack - 1;
  const SeqNum irs = segment.seq - 1;
  const uint32_t properties = (cookie.value() ^ Mask(key, irs)) & 0xFF;
  uint64_t epoch = EpochOf(env.now);
  if ((epoch & 1) != (properties & 1)) --epoch;
  if (Assemble(key, irs, epoch, properties) != cookie) return false;
  HalfOpen h{};
  h.iss = cookie;
  h.irs = irs;
  h.ts_offset = ts_offset;
  h.sent_us = env.us;
  h.answers = 1;  // when it went out is not known: nothing to time
  h.options = wire::kMssOption;
  h.peer_mss = kMssTable[properties >> 5];
  if ((properties >> 1 & 1) != 0) h.options |= wire::kSackPermittedOption;
  // RFC 7323 3.2: once agreed, every segment has it, so this one tells.
  if (env.config.timestamps && segment.HasOption(wire::kTimestampsOption)) {
    h.options |= wire::kTimestampsOption;
    h.ts_recent = segment.tsval;
  }
  const uint8_t scale = kScaleTable[properties >> 2 & 7];
  if (scale != kNoScaling) {
    const bool exact = (h.options & wire::kTimestampsOption) != 0;
    h.options |= wire::kWindowScaleOption;
    h.peer_window_scale = (exact ? segment.tsecr & kShiftBits : scale) & 0x0F;
  }
  *out = h;
  return true;
}

}  // namespace millrace::tcp
