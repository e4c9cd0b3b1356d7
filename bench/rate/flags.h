// bench/rate/flags.h - what bench/rate is asked to do.
#ifndef MILLRACE_BENCH_RATE_FLAGS_H_
#define MILLRACE_BENCH_RATE_FLAGS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "apps/common/setup.h"
#include "bench/rate/plan.h"
#include "millrace/base/time.h"

namespace millrace::bench {

struct Flags {
  Duration seconds = Duration::Seconds(5);
  uint64_t count = 0;
  uint32_t concurrency = 0;  // 0: see Concurrency()
  uint32_t request_bytes = 1, response_bytes = 1;
  uint32_t cores = 1, pairs = 1;
  uint32_t workers = 0, queues = 0;  // queues 0: as many as workers
  bool in_turn = false, indirect = false;
  uint32_t time_waits = 0;
  uint16_t mtu = 0;
  bool ipv6 = false, null = false, bulk = false, transactions = false;
  bool memif = false, driver = false, json = false;
  std::string dev, role = "client";
  uint32_t cpu = kNoCpu;
  bool owned = false;  // a process of a pair: see bench/rate/processes.h
  apps::TcpFlags tcp;
  apps::MachineFlags machine;

  static constexpr uint32_t kNoCpu = 0xFFFF'FFFF;

  void AddTo(CLI::App& app);
  uint32_t Concurrency() const;
  Plan ToPlan(bool metered) const;
  // "ring, one core", "ring, two cores", "memif, two processes", or the device; and ", IPv6".
  std::string ModeText() const;
};

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_FLAGS_H_
