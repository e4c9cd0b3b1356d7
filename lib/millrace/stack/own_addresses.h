// stack/own_addresses.h - what the addresses that are ours are in the network around them.
#ifndef MILLRACE_STACK_OWN_ADDRESSES_H_
#define MILLRACE_STACK_OWN_ADDRESSES_H_

#include <cstdint>

#include "millrace/base/ip_address.h"
#include "millrace/stack/engine_config.h"

namespace millrace::stack {

// Of an IPv4 address; `bits` from 0 to 32.
inline uint32_t MaskOf(int bits) { return bits <= 0 ? 0 : 0xFFFF'FFFFu << (32 - bits); }

// Whether `owned`, our addresses of one family, are some of a network without its own and its
// broadcast address: the first and the last of them are those of hosts then.
inline bool IsInside(const EngineConfig& config, const IpPrefix& owned) {
  if (!owned.address.IsV4()) return !owned.Contains(config.host_v6.address.Network());
  const uint32_t ours = MaskOf(config.owned_bits), network = MaskOf(config.address.length_bits);
  const uint32_t first = config.address.address.v4() & ours;
  return (first & ~network) != 0 && ((first | ~ours) & ~network) != ~network;
}

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_OWN_ADDRESSES_H_
