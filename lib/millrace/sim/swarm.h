// sim/swarm.h - one simulated life, all of it drawn from a seed: two shipped stacks, a bad network,
// applications with whims.
//
// The seed turns each feature on or off (loss, bursts, reordering, duplication, corruption, delay,
// rates, small buffers, options, allocation failures, ...), so that different seeds explore
// different corners. The network misbehaves for a while, then heals; then every connection has to
// end. Checked on the way: every octet that arrives is the right one, sim/checkers.h after each
// step, and in the end nothing is left of anything.
// The same seed gives the same run to the last frame.
#ifndef MILLRACE_SIM_SWARM_H_
#define MILLRACE_SIM_SWARM_H_

#include <cstdint>
#include <string>

namespace millrace::sim {

struct SwarmOptions {
  uint64_t seed = 0;
  std::string pcap_path;  // frames of the run, when not empty
  bool v6 = false;        // over IPv6; the same draws
  bool verbose = false;   // prints the draw and the counters
};

struct SwarmResult {
  std::string failure;       // empty: everything held
  uint64_t frames = 0;       // sent by both sides
  uint64_t octets = 0;       // delivered to the applications
  uint64_t connections = 0;  // opened
  uint64_t retransmits = 0;
  uint64_t digest = 0;  // of the whole run, to compare repetitions
};

SwarmResult RunSwarm(const SwarmOptions& options);

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_SWARM_H_
