#include "millrace/tcp/syn_cookie_keys.h"

namespace millrace::tcp {

SynCookieKeys::SynCookieKeys(SipKey seed, Instant now) : chain_(seed), epoch_(EpochOf(now)) {
  for (SipKey& key : keys_) key = Draw();
}

SipKey SynCookieKeys::Draw() {
  const auto derive = [&](uint64_t what) { return SipHash24(chain_, what, 0); };
  const SipKey key{derive(0), derive(1)};
  chain_ = {derive(2), derive(3)};
  return key;
}

void SynCookieKeys::Advance(Instant now) {
  const uint64_t epoch = EpochOf(now);
  if (epoch == epoch_) return;
  // The key of the epoch before the present one was used only if that epoch was the last one here.
  if (epoch != epoch_ + 1) keys_[(epoch + 1) & 1] = Draw();
  keys_[epoch & 1] = Draw();
  epoch_ = epoch;
}

}  // namespace millrace::tcp
