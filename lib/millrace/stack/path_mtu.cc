#include "millrace/stack/path_mtu.h"

#include <algorithm>

namespace millrace::stack {

size_t PathMtus::SetOf(const IpAddress& destination) const {
  const uint64_t words = destination.low() ^ destination.high() * 0xC2B2'AE3D'27D4'EB4F;
  const uint64_t mixed = (words ^ hash_secret_) * 0x9E37'79B9'7F4A'7C15;
  return (mixed >> 40) % kSets;
}

void PathMtus::Learn(const IpAddress& destination, uint16_t mtu, Instant now) {
  std::array<Entry, kWays>& set = sets_[SetOf(destination)];
  auto place = std::find_if(set.begin(), set.end(),
                            [&](const Entry& e) { return e.destination == destination; });
  if (place == set.end()) {
    place = std::min_element(set.begin(), set.end(),
                             [](const Entry& a, const Entry& b) { return a.expires < b.expires; });
  }
  *place = {.destination = destination, .expires = now + kLife, .mtu = mtu};
  newest_expires_ = place->expires;
}

uint16_t PathMtus::Find(const IpAddress& destination, Instant now) const {
  if (now >= newest_expires_) return 0;
  for (const Entry& e : sets_[SetOf(destination)]) {
    if (e.destination == destination && now < e.expires) return e.mtu;
  }
  return 0;
}

uint16_t PlateauBelow(uint16_t mtu) {
  // RFC 1191 7.1, table 7-1, without those that no link has today.
  constexpr uint16_t kPlateaus[] = {32'000, 17'914, 8'166, 4'352, 2'002, 1'492, 1'006, 552};
  for (const uint16_t plateau : kPlateaus) {
    if (plateau < mtu) return plateau;
  }
  return 0;
}

}  // namespace millrace::stack
