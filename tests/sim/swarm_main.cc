// sim/swarm_main.cc - runs seeds of the swarm simulation (lib/millrace/sim/swarm.h).
//
//   swarm --first=0 --seeds=5000        a range; stops at the first failure
//   swarm --seed=4711 --verbose --pcap=run.pcap    one seed again, with its counters and frames
// Prints TAP, so that the runner counts it; a failure names its seed and the command to repeat it.

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "millrace/sim/swarm.h"

namespace {

using millrace::sim::RunSwarm;
using millrace::sim::SwarmOptions;
using millrace::sim::SwarmResult;

bool Flag(const char* argument, const char* name, std::string* value) {
  const size_t length = std::strlen(name);
  if (std::strncmp(argument, name, length) != 0 || argument[length] != '=') return false;
  *value = argument + length + 1;
  return true;
}

struct Totals {
  uint64_t frames = 0, octets = 0, connections = 0, retransmits = 0;
  void Add(const SwarmResult& r) {
    frames += r.frames;
    octets += r.octets;
    connections += r.connections;
    retransmits += r.retransmits;
  }
};

bool RunSeed(const SwarmOptions& options, const char* program, bool twice, Totals* totals) {
  const SwarmResult result = RunSwarm(options);
  totals->Add(result);
  std::string failure = result.failure;
  // A seed that does not repeat exactly is worth nothing, so some are run again.
  if (failure.empty() && twice && RunSwarm(options).digest != result.digest) {
    failure = "the same seed gave another run";
  }
  if (failure.empty()) return true;
  std::printf("# seed %" PRIu64 ": %s\n# repeat: %s --seed=%" PRIu64
              "%s --verbose --pcap=swarm.pcap\n",
              options.seed, failure.c_str(), program, options.seed, options.v6 ? " --v6" : "");
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  SwarmOptions options;
  uint64_t first = 0, count = 1000;
  for (int i = 1; i < argc; ++i) {
    std::string value;
    if (Flag(argv[i], "--first", &value)) {
      first = std::strtoull(value.c_str(), nullptr, 10);
    } else if (Flag(argv[i], "--seeds", &value)) {
      count = std::strtoull(value.c_str(), nullptr, 10);
    } else if (Flag(argv[i], "--seed", &value)) {
      first = std::strtoull(value.c_str(), nullptr, 10);
      count = 1;
    } else if (Flag(argv[i], "--pcap", &value)) {
      options.pcap_path = value;
    } else if (std::strcmp(argv[i], "--verbose") == 0) {
      options.verbose = true;
    } else if (std::strcmp(argv[i], "--v6") == 0) {
      options.v6 = true;
    } else {
      std::fprintf(stderr,
                   "usage: %s [--first=N] [--seeds=N] [--seed=N] [--v6] [--verbose] [--pcap=F]\n",
                   argv[0]);
      return 2;
    }
  }
  constexpr uint64_t kRepeatEvery = 100;
  Totals totals;
  std::printf("1..1\n");
  for (uint64_t seed = first; seed < first + count; ++seed) {
    options.seed = seed;
    if (!RunSeed(options, argv[0], seed % kRepeatEvery == 0, &totals)) {
      std::printf("not ok 1 - seeds %" PRIu64 " to %" PRIu64 "\n", first, first + count - 1);
      return 1;
    }
  }
  std::printf("# %" PRIu64 " connections, %" PRIu64 " frames, %" PRIu64 " octets, %" PRIu64
              " retransmits\n",
              totals.connections, totals.frames, totals.octets, totals.retransmits);
  std::printf("ok 1 - seeds %" PRIu64 " to %" PRIu64 "\n", first, first + count - 1);
  return 0;
}
