// stack/engine_config.h - what an engine is made of: addresses, limits, secrets. Fixed at start.
#ifndef MILLRACE_STACK_ENGINE_CONFIG_H_
#define MILLRACE_STACK_ENGINE_CONFIG_H_

#include <cstdint>

#include "millrace/base/ip_address.h"
#include "millrace/base/memory.h"
#include "millrace/base/secret.h"
#include "millrace/base/siphash.h"
#include "millrace/stack/flow_table.h"
#include "millrace/stack/host_v6.h"
#include "millrace/stack/steering.h"
#include "millrace/tcp/config.h"

namespace millrace::stack {

// Bounds of one worker; memory is reserved for all of it at start (and touched when used).
struct Limits {
  uint32_t connections = 65'536;    // 252 octets each, with their share of the flow table
  uint32_t half_open = 65'536;      // 64 octets each, likewise
  uint32_t time_wait = 1'048'576;   // 60 octets each, likewise; when full, the oldest goes early
  uint32_t send_extents = 131'072;  // 24 octets each: pieces of data not yet acknowledged
  uint32_t send_chunks = 16'384;    // 2 KiB each: copied data not yet acknowledged
  uint32_t receive_nodes = 65'536;  // 32 octets each: packets held for the application
  uint32_t receive_chunks = 4'096;  // 2 KiB each: octets of tiny segments, copied together
  uint32_t extras = 65'536;         // 68 octets each: keepalive, user timeout, window tuning
  uint32_t recoveries = 16'384;     // 408 octets each: connections with segments in flight
  uint32_t sent_runs = 65'536;      // 20 octets each: what their scoreboards tell apart
  // 52 octets each, with IPv6 only: pairs of addresses that flows have, whatever their state.
  uint32_t address_pairs = 262'144;
};

struct EngineConfig {
  tcp::Config tcp;
  Limits limits;
  // "10.1.0.1/24": our address and the attached network. Length 0: no IPv4.
  IpPrefix address;
  // The prefix of addresses that are ours, all of which are answered and opened from:
  // 32 for one address. At least address.length_bits.
  int owned_bits = 32;
  uint32_t gateway_v4 = 0;  // 0: none, only the attached network is reached
  // Local ports of active opens, per source address (RFC 6056 3.2: the whole range 1024-65535).
  uint16_t source_port_min = 1024, source_port_max = 65535;
  bool source_ports_sequential = false;  // stack/source_port.h
  HostV6Config host_v6;                  // without an address: no IPv6
  uint8_t ttl = 64;                      // MUST-49; the hop limit too
  // Answers to nobody's segments and packets: RST to closed ports, ICMP errors.
  uint32_t stateless_replies_per_s = 1000;
  uint32_t stateless_replies_burst = 100;
  // SYNs that one source (an IPv4 address, or an IPv6 /64) may send to listeners; 0: no limit.
  uint32_t syns_per_source_per_s = 0;
  uint32_t syns_per_source_burst = 64;
  Region::Pages pages = Region::Pages::kPreferHuge;
  // Several workers over one device: how tuples are shared out (read when the engine is made), and
  // which worker this is. Null: one worker.
  const Steering* steering = nullptr;
  uint32_t worker = 0;

  // The part of worker `index` of `steering`: limits and rates are split exactly, so that together
  // they are what they were. `steering` outlives the making of the engine.
  EngineConfig ForWorker(const Steering& of, uint32_t index) const;
};

// Different keys for different purposes (tcp-ISN, table, ports), from the operating system; the
// simulator gives fixed ones so that a seed repeats a run.
struct EngineSecrets {
  SipKey isn;
  FlowTable::Key table;
  SipKey ports;
  SipKey syn_cookie;  // the engine forgets it: tcp/syn_cookie_keys.h
  SipKey address_pairs;
  SipKey fast_open;
  SipKey source_limit;
  uint64_t neighbor = 0;

  static EngineSecrets FromOperatingSystem() {
    EngineSecrets s;
    s.isn = RandomSipKey();
    s.ports = RandomSipKey();
    s.syn_cookie = RandomSipKey();
    s.address_pairs = RandomSipKey();
    s.fast_open = RandomSipKey();
    s.source_limit = RandomSipKey();
    const SipKey a = RandomSipKey(), b = RandomSipKey();
    s.table = {{a.k0, a.k1, b.k0, b.k1}};
    s.neighbor = RandomSipKey().k0;
    return s;
  }
};

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_ENGINE_CONFIG_H_
