#include "millrace/tcp/syn_cookie.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "millrace/base/prng.h"

namespace millrace::tcp {
namespace {

constexpr SipKey kSeed{0x0123'4567'89AB'CDEF, 0xFEDC'BA98'7654'3210};
constexpr SynCookieTuple kTuple{0x0A00'0001'0A00'0002, 80ull << 16 | 40'000};
constexpr Instant kStart = Instant::FromNanoseconds(int64_t{100} * 1'000'000'000);

wire::Segment AckOfCookie(SeqNum cookie) {
  wire::Segment ack;
  ack.flags = wire::kAck;
  ack.seq = SeqNum(78);
  ack.ack = cookie + 1;
  return ack;
}

HalfOpen HalfOpenOf77() {
  HalfOpen h{};
  h.irs = SeqNum(77);
  h.peer_mss = 1460;
  return h;
}

// SFL-05: a blind guess is right with probability 2^-24 at most: of 2^24 about one is. More than 8
// would come up once in a million keys.
TEST(SynCookie, BlindGuessesAreAsRareAsTheMacAllows) {
  Env env(Config(), 1, 1, 1);
  env.SetNow(kStart);
  SynCookieKeys keys(kSeed, kStart);
  Prng dice(1);
  int believed = 0;
  HalfOpen h;
  for (int i = 0; i < 1 << 24; ++i) {
    const uint64_t random = dice.Next();
    wire::Segment ack;
    ack.flags = wire::kAck;
    ack.seq = SeqNum(static_cast<uint32_t>(random));
    ack.ack = SeqNum(static_cast<uint32_t>(random >> 32));
    if (CheckSynCookie(keys, kTuple, ack, 0, env, &h)) ++believed;
  }
  EXPECT_LE(believed, 8);
}

// Every bit of the tuple, of the peer's number and of the key counts.
TEST(SynCookie, BelongsToOneTupleAndOneNumber) {
  Env env(Config(), 1, 1, 1);
  env.SetNow(kStart);
  SynCookieKeys keys(kSeed, kStart);
  const wire::Segment ack = AckOfCookie(MakeSynCookie(keys, kTuple, HalfOpenOf77(), env));
  HalfOpen out;
  ASSERT_TRUE(CheckSynCookie(keys, kTuple, ack, 0, env, &out));
  EXPECT_EQ(out.irs, SeqNum(77));
  EXPECT_EQ(out.peer_mss, 1460);
  for (int bit = 0; bit < 64; ++bit) {
    SynCookieTuple other = kTuple;
    other.addresses ^= 1ull << bit;
    EXPECT_FALSE(CheckSynCookie(keys, other, ack, 0, env, &out));
    other = kTuple;
    other.ports ^= 1ull << bit;
    EXPECT_FALSE(CheckSynCookie(keys, other, ack, 0, env, &out));
    SynCookieKeys other_keys({kSeed.k0, kSeed.k1 ^ 1ull << bit}, kStart);
    EXPECT_FALSE(CheckSynCookie(other_keys, kTuple, ack, 0, env, &out));
    wire::Segment changed = ack;
    changed.ack = SeqNum(ack.ack.value() ^ 1u << (bit & 31));
    EXPECT_FALSE(CheckSynCookie(keys, kTuple, changed, 0, env, &out)) << bit;
    changed = ack;
    changed.seq = SeqNum(ack.seq.value() ^ 1u << (bit & 31));
    EXPECT_FALSE(CheckSynCookie(keys, kTuple, changed, 0, env, &out)) << bit;
  }
}

struct Life {
  int made_ms, checked_ms;  // after the beginning of an even epoch
  bool good;
};

class SynCookieLife : public ::testing::TestWithParam<Life> {};

// SFL-04: until its key has been dropped, and by its time alone.
TEST_P(SynCookieLife, EndsWithItsKey) {
  const Instant begin = Instant::FromNanoseconds(0) + kSynCookieEpoch * 8;
  Env env(Config(), 1, 1, 1);
  SynCookieKeys keys(kSeed, begin - kSynCookieEpoch * 3);
  env.SetNow(begin + Duration::Milliseconds(GetParam().made_ms));
  const wire::Segment ack = AckOfCookie(MakeSynCookie(keys, kTuple, HalfOpenOf77(), env));
  env.SetNow(begin + Duration::Milliseconds(GetParam().checked_ms));
  HalfOpen out;
  EXPECT_EQ(CheckSynCookie(keys, kTuple, ack, 0, env, &out), GetParam().good);
}

INSTANTIATE_TEST_SUITE_P(All, SynCookieLife,
                         ::testing::Values(Life{0, 0, true}, Life{0, 14'900, true},
                                           Life{0, 15'000, true}, Life{0, 29'900, true},
                                           Life{0, 30'000, false}, Life{0, 30'100, false},
                                           Life{14'999, 15'001, true}, Life{14'999, 29'999, true},
                                           Life{14'999, 30'000, false}, Life{15'000, 44'999, true},
                                           Life{15'000, 45'000, false}, Life{0, 60'000, false},
                                           Life{0, 75'000, false}, Life{0, 15'000 * 100'000, false},
                                           Life{0, 15'000 * 100'001, false}));

// SFL-04: the keys that have been used are no more in memory, and no two epochs have the same.
TEST(SynCookieKeys, WhatWasDroppedIsForgotten) {
  for (const int step : {1, 2, 3, 7, 1000}) {
    SCOPED_TRACE(step);
    Instant now = kStart;
    SynCookieKeys keys(kSeed, now);
    std::vector<uint64_t> dropped = {kSeed.k0, kSeed.k1};
    for (int i = 0; i < 50; ++i) {
      const auto words = std::bit_cast<std::array<uint64_t, sizeof keys / 8>>(keys);
      for (const uint64_t word : words) {
        EXPECT_EQ(std::count(dropped.begin(), dropped.end(), word), 0);
      }
      EXPECT_NE(keys.key(0).k0, keys.key(1).k0);
      // One step keeps the present key for another epoch; more keep none.
      for (const uint32_t parity : {keys.parity(), keys.parity() ^ 1}) {
        if (step == 1 && parity == keys.parity()) continue;
        dropped.push_back(keys.key(parity).k0);
        dropped.push_back(keys.key(parity).k1);
      }
      const SipKey present = keys.key(keys.parity());
      now = now + kSynCookieEpoch * step;
      keys.Advance(now);
      const bool kept = keys.key(keys.parity() ^ 1).k0 == present.k0;
      EXPECT_EQ(kept, step == 1);
    }
  }
}

// Each engine has its own: what one gave, another does not take.
TEST(SynCookieKeys, AreNotSharedByEngines) {
  Env env(Config(), 1, 1, 1);
  env.SetNow(kStart);
  SynCookieKeys one(kSeed, kStart), other({kSeed.k1, kSeed.k0}, kStart);
  const wire::Segment ack = AckOfCookie(MakeSynCookie(one, kTuple, HalfOpenOf77(), env));
  HalfOpen out;
  EXPECT_FALSE(CheckSynCookie(other, kTuple, ack, 0, env, &out));
  EXPECT_TRUE(CheckSynCookie(one, kTuple, ack, 0, env, &out));
}

}  // namespace
}  // namespace millrace::tcp
