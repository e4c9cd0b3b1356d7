// stack/path_mtu.h - what routers said about the MTU of paths (RFC 1191, RFC 8201): a bounded cache
// by destination, for connections that open later.
//
// An entry ages: a smaller MTU than the link's is forgotten after kLife, and the next connection
// tries the link's again (RFC 1191 6.3, RFC 8201 4). The least recently confirmed of four places
// makes room, so that forged messages about one set of destinations displace at most each other.
// Threading: one owner. Nothing allocates. Memory: 10 KiB. Cost: with nothing learnt, a load and a
// compare per opening.
#ifndef MILLRACE_STACK_PATH_MTU_H_
#define MILLRACE_STACK_PATH_MTU_H_

#include <array>
#include <cstdint>

#include "millrace/base/ip_address.h"
#include "millrace/base/time.h"

namespace millrace::stack {

class PathMtus {
 public:
  static constexpr Duration kLife = Duration::Seconds(600);  // RFC 1191 6.3: 10 minutes

  explicit PathMtus(uint64_t hash_secret) : hash_secret_(hash_secret) {}

  // The path to `destination` carries packets of `mtu` octets.
  void Learn(const IpAddress& destination, uint16_t mtu, Instant now);
  // Octets of a packet; 0 when nothing is known.
  uint16_t Find(const IpAddress& destination, Instant now) const;
  bool empty() const { return newest_expires_ == Instant(); }

 private:
  static constexpr size_t kSets = 64, kWays = 4;

  struct Entry {
    IpAddress destination;
    Instant expires;
    uint16_t mtu = 0;
  };
  size_t SetOf(const IpAddress& destination) const;

  uint64_t hash_secret_;
  Instant newest_expires_;  // zero: nothing was ever learnt
  std::array<std::array<Entry, kWays>, kSets> sets_{};
};

// RFC 1191 7: the next smaller one of the usual MTUs, for a router that does not say. 0: none.
uint16_t PlateauBelow(uint16_t mtu);

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_PATH_MTU_H_
