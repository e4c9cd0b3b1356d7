// differential [--first=N] [--seeds=N] [--verbose] - random sequences to the Linux kernel and to
// Millrace; their replies have to be the same, or a rule of rules.cc says why not. Needs root;
// skips with the reason (status 77) where it cannot run. A line per unexplained difference, with
// its seed.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "differential/compare.h"
#include "model/alphabet.h"

namespace {

using millrace::differential::Compare;
using millrace::differential::KernelHost;
using millrace::differential::Outcome;

// The number behind --NAME=, or `otherwise`.
uint64_t Flag(int argc, char** argv, const char* name, uint64_t otherwise) {
  for (int i = 1; i < argc; ++i) {
    if (std::strncmp(argv[i], name, std::strlen(name)) == 0) {
      return std::strtoull(argv[i] + std::strlen(name), nullptr, 10);
    }
  }
  return otherwise;
}

// The kernel's timers run in real time, the first after 200 ms: a sequence during which the machine
// was busy elsewhere for long is run again, on a connection of its own. `connections` counts them.
Outcome CompareUndisturbed(KernelHost& host, millrace::model::Opening opening,
                           const std::vector<millrace::model::Symbol>& sequence, uint32_t peer_isn,
                           uint32_t& connections) {
  constexpr auto kQuick = std::chrono::milliseconds(100);
  for (int tries = 1;; ++tries) {
    // tidy: allow(clock) the kernel has no virtual time
    const auto begin = std::chrono::steady_clock::now();
    Outcome outcome = Compare(host, opening, sequence, connections++, peer_isn);
    // tidy: allow(clock) as above
    const auto end = std::chrono::steady_clock::now();
    if (end - begin < kQuick || tries == 50) return outcome;
  }
}

}  // namespace

int main(int argc, char** argv) {
  KernelHost host;
  if (const std::string reason = host.Start(); !reason.empty()) {
    std::printf("1..0 # SKIP %s\n", reason.c_str());
    return 77;
  }
  const uint64_t first = Flag(argc, argv, "--first=", 0);
  const uint64_t seeds = Flag(argc, argv, "--seeds=", 1000);
  std::map<std::string, size_t> explained;
  size_t differences = 0, steps = 0;
  uint32_t connections = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    millrace::model::Opening opening;
    uint32_t peer_isn;
    const auto sequence = millrace::model::RandomSequence(seed, &opening, &peer_isn);
    const Outcome outcome = CompareUndisturbed(host, opening, sequence, peer_isn, connections);
    steps += outcome.steps;
    for (const auto& [rule, count] : outcome.explained) explained[rule] += count;
    if (outcome.difference.empty()) continue;
    if (++differences <= 20) {
      std::printf("# seed %llu: %s\n", static_cast<unsigned long long>(seed),
                  outcome.difference.c_str());
    }
  }
  for (const auto& [rule, count] : explained) std::printf("# %7zu %s\n", count, rule.c_str());
  std::printf("%s 1 - %llu sequences, %zu steps, %zu unexplained differences\n1..1\n",
              differences == 0 ? "ok" : "not ok", static_cast<unsigned long long>(seeds), steps,
              differences);
  return differences == 0 ? 0 : 1;
}
