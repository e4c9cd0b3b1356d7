// bench/rate/cpu_time.h - processor time of the calling thread, or of the process (RUSAGE_SELF): on
// a machine that others use too it says more than the clock on the wall.
#ifndef MILLRACE_BENCH_RATE_CPU_TIME_H_
#define MILLRACE_BENCH_RATE_CPU_TIME_H_

#include <sys/resource.h>
#include <sys/time.h>

namespace millrace::bench {

inline double CpuSeconds(int whose = RUSAGE_THREAD) {
  rusage usage{};
  getrusage(whose, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_CPU_TIME_H_
