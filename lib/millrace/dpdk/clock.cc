#include "millrace/dpdk/clock.h"

#include <cpuid.h>
#include <time.h>

namespace millrace::dpdk {
namespace {

constexpr int64_t kCalibrationNs = 20'000'000;
constexpr int kReadings = 8;

// Both clocks at one moment.
struct Reading {
  uint64_t cycles = 0;
  int64_t ns = 0;
};

// The closest of a few tries: a try that an interrupt tore apart took longer.
Reading ReadBoth() {
  Reading best;
  uint64_t best_width = UINT64_MAX;
  for (int i = 0; i < kReadings; ++i) {
    const uint64_t before = rte_rdtsc();
    const int64_t ns = MonotonicNs();
    const uint64_t width = rte_rdtsc() - before;
    if (width < best_width) {
      best_width = width;
      best = {.cycles = before + width / 2, .ns = ns};
    }
  }
  return best;
}

}  // namespace

int64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool Clock::TscIsInvariant() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kPowerManagement = 0x8000'0007, kInvariantTsc = 1u << 8;
  return __get_cpuid(kPowerManagement, &eax, &ebx, &ecx, &edx) != 0 && (edx & kInvariantTsc) != 0;
}

Clock Clock::Calibrate() {
  Clock clock = Monotonic();
  if (!TscIsInvariant()) return clock;
  const Reading start = ReadBoth();
  while (MonotonicNs() - start.ns < kCalibrationNs) {
    const timespec pause = {.tv_sec = 0, .tv_nsec = kCalibrationNs / 10};
    nanosleep(&pause, nullptr);
  }
  const Reading end = ReadBoth();
  const double seconds = static_cast<double>(end.ns - start.ns) * 1e-9;
  const double rate_hz = static_cast<double>(end.cycles - start.cycles) / seconds;
  constexpr double kTwoTo32 = 4294967296.0;
  clock.cycles_per_second_ = static_cast<uint64_t>(rate_hz);
  clock.ns_per_cycle_q32_ = static_cast<uint64_t>(1e9 / rate_hz * kTwoTo32);
  clock.base_cycles_ = end.cycles;
  clock.base_ns_ = end.ns;
  clock.source_ = Source::kTsc;
  return clock;
}

Clock Clock::Monotonic() {
  Clock clock;
  clock.cycles_per_second_ = rte_get_tsc_hz();  // 0 before EAL has started; only for shares
  return clock;
}

}  // namespace millrace::dpdk
