// load/start_gate.h - how many handshakes a schedule that is behind has under way, and what becomes
// of starts that had to wait for others.
#ifndef MILLRACE_APPS_LOAD_START_GATE_H_
#define MILLRACE_APPS_LOAD_START_GATE_H_

#include <algorithm>
#include <cstdint>

#include "millrace/base/time.h"

namespace millrace::apps {

// A schedule on time starts whatever becomes of its connections. Behind a pause (of the host, or of
// the other end) thousands are due at once: as many records are in no cache, a connection costs
// twice as much then, and above half of the maximum the generator never gets out of it again. What
// is due costs nothing while it waits in the schedule. So a schedule that is behind starts no more
// while twice as many handshakes are under way as usual, and a few at least. That is a clock of
// their answers: when there are none for 10 ms, nothing is held back.
// Cost: a few instructions a start. Threading: one owner.
class StartGate {
 public:
  static constexpr uint32_t kLeast = 128;  // as many as keep a server over a memif busy
  static constexpr Duration kBehind = Duration::Microseconds(100);
  static constexpr Duration kSilence = Duration::Milliseconds(10);

  // `burst`: starts that the schedule means to make at once.
  explicit StartGate(uint32_t burst) : least_(std::max(kLeast, burst)), bound_(least_) {}

  void OnSyn() { ++under_way_; }
  // Whatever became of it.
  void OnHandshakeOver() { --under_way_; }
  void OnAnswer(Instant now) {
    silent_from_ = now + kSilence;
    waited_ = false;
  }
  // Once a millisecond: what is usual is the mean of the last second. A bound that is too low for
  // the schedule raises itself, twofold in 0.7 s.
  void Sample() {
    samples_ = std::min(samples_ + 1, 1'024u);
    usual_ += (under_way_ - usual_) / samples_;
    bound_ = std::max(least_, static_cast<uint32_t>(2 * usual_));
  }

  // Whether a start has to wait for answers.
  bool Hold(Instant intended, Instant now) {
    if (Full(intended, now) && now >= silent_from_ && !waited_) {
      // The last answer is old: it may be that nobody looked.
      waited_ = true;
      silent_from_ = now + kSilence;
    }
    return Holds(intended, now);
  }
  // The same once more.
  bool Holds(Instant intended, Instant now) const {
    return Full(intended, now) && now < silent_from_;
  }
  // Until when what is held now is held at most.
  Instant silent_from() const { return silent_from_; }
  uint32_t bound() const { return bound_; }

 private:
  bool Full(Instant intended, Instant now) const {
    return under_way_ >= bound_ && now - intended > kBehind;
  }

  uint32_t least_, bound_;
  uint32_t under_way_ = 0, samples_ = 0;
  double usual_ = 0;
  Instant silent_from_;
  bool waited_ = false;  // since the last answer
};

// The last time in which starts that were due waited for others and not for the generator.
class OthersTime {
 public:
  // They wait, since `oldest` was due.
  void Wait(Instant oldest, Instant now) {
    if (oldest > until_) from_ = now;
    until_ = now;
  }
  // The generator works off what has become due meanwhile: that is no lag of its own either.
  void CatchUp(Instant oldest, Instant now) {
    if (oldest <= until_) until_ = now;
  }
  // Whether what was due then has waited for others.
  bool Covers(Instant due) const { return due <= until_; }
  // How late the generator itself was with what was due then and is done now.
  Duration OwnLag(Instant due, Instant now) const {
    const Duration before = Covers(due) ? from_ - due : Duration();
    return std::max(before, Duration()) + std::max(now - std::max(due, until_), Duration());
  }

 private:
  Instant from_, until_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_START_GATE_H_
