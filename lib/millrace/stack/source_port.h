// stack/source_port.h - source address and port of outgoing connections (RFC 6056).
//
// The tuples (address, port) of the configured prefix and port range are numbered. For each
// destination a keyed random permutation of these numbers is walked by a counter, so that a tuple
// is given to a destination again only after all others were (a TIME-WAIT has the longest possible
// time to end), the next one cannot be told from the ones seen, and what one destination sees says
// nothing about another. This is the double hash of RFC 6056 3.3.4 (algorithm 4) with one
// difference: its offset + counter walks ports in sequence, a permutation does not.
//
// The counters are few: destinations with the same hash share one, and each then skips what the
// other took. That shortens no distance between two uses of a tuple.
//
// With several workers each walks only the tuples whose answers come home to it: blocks of ports
// times the buckets of the redirection table that it owns are numbered, and the port is computed by
// inverting the Toeplitz hash (stack/steering.h). Nothing is tried, and the workers' tuples are
// disjoint and together all.
// Threading: one owner; each worker has its own, with its own secret.
// Memory: 8 KiB. Cost: Next about 30 ns.
#ifndef MILLRACE_STACK_SOURCE_PORT_H_
#define MILLRACE_STACK_SOURCE_PORT_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "millrace/base/ip_address.h"
#include "millrace/base/siphash.h"
#include "millrace/stack/steering.h"

namespace millrace::stack {

// A bijection of [0, size) chosen by a key: a Feistel network over the next power of two, applied
// again while the result is outside ("cycle walking", Black and Rogaway 2002; under two rounds of
// it on average, as the power of two is less than twice the size).
class KeyedPermutation {
 public:
  explicit KeyedPermutation(uint64_t size);  // 1 to 2^48
  // REQUIRES: n < size.
  uint64_t operator()(uint64_t key, uint64_t n) const;
  // The images of `first` and the three behind it. REQUIRES: they are < size.
  std::array<uint64_t, 4> FourFrom(uint64_t key, uint64_t first) const;
  uint64_t size() const { return size_; }
  // From now on every number is its own image.
  void MakeIdentity() {
    low_bits_ = 0;
    low_mask_ = high_mask_ = 0;
  }

 private:
  template <class Word>
  void Once(uint64_t key, Word& n) const;

  uint64_t size_;
  uint32_t low_bits_;
  uint64_t low_mask_, high_mask_;
};

struct SourcePortConfig {
  // IPv4: of /30 and shorter the first and the last are left out. IPv6: of /126 and shorter the
  // first is left out (RFC 4291 2.6.1), and of those shorter than /96 addresses are chosen that
  // differ in the last 32 bits.
  IpPrefix addresses;
  uint16_t first_port = 1024;  // RFC 6056 3.2: "SHOULD use the range 1024-65535"
  uint16_t last_port = 65535;  // inclusive
  SipKey secret;
  // In order, address by address, from the first port on, instead of by permutation: for tests that
  // have to foresee tuples. Whoever sees one knows the next.
  bool sequential = false;
  // The prefix lies inside of a network: its first and last address are those of hosts too.
  bool all_addresses = false;
  // Several workers: how tuples are shared out, copied; and which of them this is. Only whole
  // blocks of steering->buckets() ports are used then, counted from port 0.
  const Steering* steering = nullptr;
  uint32_t worker = 0;
};

// Ports of the range that several workers share: what is left of it in whole blocks.
uint32_t SteerablePorts(uint16_t first_port, uint16_t last_port, uint32_t buckets);

class SourcePorts {
 public:
  static constexpr uint32_t kTriesMax = 64;

  struct Candidate {
    uint32_t address_low = 0;  // the IPv4 address, or the low 32 bits of the IPv6 address
    uint16_t port = 0;
    bool operator==(const Candidate&) const = default;
  };

  // REQUIRES: first_port <= last_port; first_port > 0.
  explicit SourcePorts(const SourcePortConfig& config);

  // The next tuple for this destination; it may be in use.
  Candidate Next(const Endpoint& destination);

  struct Choice {
    Candidate candidate;
    uint64_t prepared = 0;  // what prepare(candidate) returned
    uint64_t secret = 0;    // what finish put there
  };
  struct NothingMore {
    void operator()(std::span<Choice>) const {}
  };

  // The next tuple for which is_free(Candidate, prepared) -> bool holds, or null after
  // kTriesMax, which the application sees as EADDRNOTAVAIL. As tuples come round in order of their
  // last use, those in the way are connections that have outlived a whole round.
  // From the second call for the same destination on, candidates are drawn kBatch at a time and,
  // from the third, at least as many calls before they are offered. prepare(Candidate) -> uint64_t
  // is called then, and finish(std::span<Choice>) for all of the batch: it fetches
  // what is_free will look at, and computes what is cheaper for several together. The connection
  // table of an opener has nothing of a random tuple in cache, and waiting for it was 11 % of the
  // exchange. Where pages miss the TLB too a prefetch waits for the walk, unless the next ones walk
  // at the same time: one by one took 73 ns a connection beside 10 M idle ones.
  // `prepare` and `finish` are copied and best small: their addresses would keep what they capture
  // in memory, 20 instructions a call. What is returned is valid until the next call.
  template <class Prepare, class IsFree, class Finish = NothingMore>
  const Choice* Choose(const Endpoint& destination, Prepare prepare, IsFree&& is_free,
                       Finish finish = {});

  // What Choose would offer next, when that is known without drawing: null for the first of a
  // batch, with which Choose draws the other. It is taken by TakeNext, or Choose offers it again.
  const Choice* PeekNext(const Endpoint& destination) const {
    if (!drawn_ahead_ || ahead_at_ % kBatch == 0 || destination != last_destination_) [[unlikely]]
      return nullptr;
    return &ahead_[ahead_at_];
  }
  void TakeNext() { ahead_at_ = (ahead_at_ + 1) % kAhead; }

  // The address of a candidate. REQUIRES: the prefix is of IPv6.
  IpAddress AddressOf(const Candidate& candidate) const {
    return IpAddress::V6(network_v6_.high(), network_v6_.low() | candidate.address_low);
  }

  // Calls visit(Candidate) for `count` tuples spread evenly over the walk of a destination: a gauge
  // of how many are in use costs no more than that.
  template <class Visit>
  void Sample(const Endpoint& destination, uint32_t count, Visit&& visit) {
    const Walk walk = WalkTo(destination);
    for (uint64_t i = 0; i < count && capacity() > 0; ++i) {
      visit(CandidateOf(walk, permutation_(walk.key, capacity() * i / count)));
    }
  }

  // Tuples per destination; 0 for a worker that owns none.
  uint64_t capacity() const { return capacity_; }
  uint64_t taken() const { return taken_; }          // candidates that were in use
  uint64_t exhausted() const { return exhausted_; }  // Choose found none

 private:
  static constexpr size_t kCounters = 1024;  // RFC 6056 3.3.4: TABLE_LENGTH, "e.g., 1024"
  static constexpr size_t kBatch = 8;
  static constexpr size_t kAhead = 2 * kBatch;

  struct Walk {
    uint64_t key;                 // of the destination's permutation
    uint64_t* counter = nullptr;  // position in it
    Fold fold = 0;                // of the destination, and of an IPv6 source's first 96 bits
  };
  Walk WalkTo(const Endpoint& destination);
  // Puts back what was drawn ahead for the last destination.
  void LeaveLast();
  Candidate Step(const Walk& walk);
  void Draw(const Walk& walk, std::span<Choice> drawn);
  template <class Prepare, class Finish>
  [[gnu::noinline]] void Fill(std::span<Choice> batch, Prepare prepare, Finish finish);
  Candidate CandidateOf(const Walk& walk, uint64_t number) const {
    if (steered_) [[unlikely]]
      return SteeredCandidateOf(walk, number);
    return {.address_low = first_address_low_ + static_cast<uint32_t>(number / port_count_),
            .port = static_cast<uint16_t>(first_port_ + number % port_count_)};
  }
  Candidate SteeredCandidateOf(const Walk& walk, uint64_t number) const;

  IpAddress network_v6_;  // without the low 32 bits
  uint32_t first_address_low_ = 0;
  uint16_t first_port_;
  bool steered_ = false;
  uint32_t port_count_;  // that one address has for this worker
  uint64_t capacity_;
  uint32_t tries_;  // of Choose
  KeyedPermutation permutation_;
  SipKey secret_;
  std::vector<uint64_t> counters_;
  // The destination of the last Choose, its walk (which spares a SipHash), and what was drawn ahead
  // of it: a ring of two batches. With drawn_ahead_ it holds all but what was offered of the batch
  // that ahead_at_ is in, or, before its first is offered, that batch alone.
  Endpoint last_destination_;
  Walk last_walk_;
  std::array<Choice, kAhead> ahead_{};
  Choice alone_;  // drawn before that
  size_t ahead_at_ = 0;
  bool drawn_ahead_ = false;
  uint64_t taken_ = 0, exhausted_ = 0;
  // Several workers.
  std::optional<Steering> steering_;
  std::vector<uint16_t> buckets_;  // ours
};

// Inline definitions

template <class Prepare, class IsFree, class Finish>
const SourcePorts::Choice* SourcePorts::Choose(const Endpoint& destination, Prepare prepare,
                                               IsFree&& is_free, Finish finish) {
  if (last_walk_.counter == nullptr || destination != last_destination_) [[unlikely]] {
    LeaveLast();
    last_destination_ = destination;
    last_walk_ = WalkTo(destination);
  } else if (!drawn_ahead_) [[unlikely]] {
    Fill(std::span(ahead_).first(kBatch), prepare, finish);
    drawn_ahead_ = true;
  }
  for (uint32_t left = tries_; left > 0; --left) {
    const Choice* choice = &alone_;
    if (drawn_ahead_) [[likely]] {
      const size_t at = ahead_at_;
      if (at % kBatch == 0) [[unlikely]]  // the other batch is used up
        Fill(std::span(ahead_).subspan(at ^ kBatch, kBatch), prepare, finish);
      ahead_at_ = (at + 1) % kAhead;
      choice = &ahead_[at];
    } else {
      Fill({&alone_, 1}, prepare, finish);
    }
    if (is_free(choice->candidate, choice->prepared)) [[likely]]
      return choice;
    ++taken_;
  }
  ++exhausted_;
  return nullptr;
}

template <class Prepare, class Finish>
void SourcePorts::Fill(std::span<Choice> batch, Prepare prepare, Finish finish) {
  Draw(last_walk_, batch);
  for (Choice& choice : batch) choice.prepared = prepare(choice.candidate);
  finish(batch);
}

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_SOURCE_PORT_H_
