#include "millrace/tcp/syn_cookie.h"

#include <gtest/gtest.h>

#include "millrace/base/prng.h"

namespace millrace::tcp {
namespace {

constexpr SynCookieKey kKey{
    {0x0123'4567'89AB'CDEF, 0xFEDC'BA98'7654'3210}, 0x0A00'0001'0A00'0002, 80ull << 16 | 40'000};

// SFL-05: a blind guess is right with probability 2^-24 at most: of 2^24 about one is. More than 8
// would come up once in a million keys.
TEST(SynCookie, BlindGuessesAreAsRareAsTheMacAllows) {
  Env env(Config(), 1, 1, 1);
  env.SetNow(Instant::FromNanoseconds(int64_t{100} * 1'000'000'000));
  Prng dice(1);
  int believed = 0;
  HalfOpen h;
  for (int i = 0; i < 1 << 24; ++i) {
    const uint64_t random = dice.Next();
    wire::Segment ack;
    ack.flags = wire::kAck;
    ack.seq = SeqNum(static_cast<uint32_t>(random));
    ack.ack = SeqNum(static_cast<uint32_t>(random >> 32));
    if (CheckSynCookie(kKey, ack, 0, env, &h)) ++believed;
  }
  EXPECT_LE(believed, 8);
}

// Every bit of the tuple, of the peer's number and of the key counts.
TEST(SynCookie, BelongsToOneTupleAndOneNumber) {
  Env env(Config(), 1, 1, 1);
  env.SetNow(Instant::FromNanoseconds(int64_t{100} * 1'000'000'000));
  HalfOpen h{};
  h.irs = SeqNum(77);
  h.peer_mss = 1460;
  wire::Segment ack;
  ack.flags = wire::kAck;
  ack.seq = SeqNum(78);
  ack.ack = MakeSynCookie(kKey, h, env) + 1;
  HalfOpen out;
  ASSERT_TRUE(CheckSynCookie(kKey, ack, 0, env, &out));
  EXPECT_EQ(out.irs, SeqNum(77));
  EXPECT_EQ(out.peer_mss, 1460);
  for (int bit = 0; bit < 64; ++bit) {
    SynCookieKey other = kKey;
    other.addresses ^= 1ull << bit;
    EXPECT_FALSE(CheckSynCookie(other, ack, 0, env, &out));
    other = kKey;
    other.ports ^= 1ull << bit;
    EXPECT_FALSE(CheckSynCookie(other, ack, 0, env, &out));
    other = kKey;
    other.key.k1 ^= 1ull << bit;
    EXPECT_FALSE(CheckSynCookie(other, ack, 0, env, &out));
    wire::Segment changed = ack;
    changed.ack = SeqNum(ack.ack.value() ^ 1u << (bit & 31));
    EXPECT_FALSE(CheckSynCookie(kKey, changed, 0, env, &out)) << bit;
    changed = ack;
    changed.seq = SeqNum(ack.seq.value() ^ 1u << (bit & 31));
    EXPECT_FALSE(CheckSynCookie(kKey, changed, 0, env, &out)) << bit;
  }
}

}  // namespace
}  // namespace millrace::tcp
