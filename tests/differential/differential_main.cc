// differential [--first=N] [--seeds=N] [--verbose] - random sequences to the Linux kernel and to
// Millrace; their replies have to be the same, or a rule of rules.cc says why not. Needs root;
// skips with the reason (status 77) where it cannot run. A line per unexplained difference, with
// its seed.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

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
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    millrace::model::Opening opening;
    uint32_t peer_isn;
    const auto sequence = millrace::model::RandomSequence(seed, &opening, &peer_isn);
    const Outcome outcome =
        Compare(host, opening, sequence, static_cast<uint32_t>(seed - first), peer_isn);
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
