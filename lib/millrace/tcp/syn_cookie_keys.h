// tcp/syn_cookie_keys.h - the two keys that SYN cookies are believed under (RFC 4987 3.6).
//
// Time is cut into epochs of 15 s. A cookie is made under the key of the present epoch; the one of
// the epoch before is still believed, so a cookie lives 15 to 30 s. Keys come from a chain that
// only goes forward: each step draws a key and the next secret of the chain from a pseudo-random
// function of the last secret, which is overwritten. So what memory holds tells nothing about
// cookies older than the two epochs, and a key that got out tells nothing about the one after it.
// The chain is moved when it is used: after a longer pause both keys are new.
// Threading: one owner; each engine has a seed of its own. Cost: a division when nothing is due,
// four to eight SipHashes per epoch.
#ifndef MILLRACE_TCP_SYN_COOKIE_KEYS_H_
#define MILLRACE_TCP_SYN_COOKIE_KEYS_H_

#include <cstdint>

#include "millrace/base/siphash.h"
#include "millrace/base/time.h"

namespace millrace::tcp {

inline constexpr Duration kSynCookieEpoch = Duration::Seconds(15);
// A cookie is never believed for longer than this after it was sent.
inline constexpr Duration kSynCookieLife = kSynCookieEpoch * 2;

class SynCookieKeys {
 public:
  // Whoever gives the seed forgets it.
  SynCookieKeys(SipKey seed, Instant now);

  // Drops keys whose time is over. Before the accessors.
  void Advance(Instant now);

  // Which of the two a cookie was made under: the low bit of its epoch's number.
  uint32_t parity() const { return static_cast<uint32_t>(epoch_) & 1; }
  const SipKey& key(uint32_t parity_bit) const { return keys_[parity_bit]; }

 private:
  static uint64_t EpochOf(Instant now) {
    return static_cast<uint64_t>(now.ns() / kSynCookieEpoch.ns());
  }
  SipKey Draw();

  SipKey chain_;
  SipKey keys_[2];  // by parity of their epoch
  uint64_t epoch_;
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_SYN_COOKIE_KEYS_H_
