// bench/rate/report.h - the figures of a run, as text and as JSON.
#ifndef MILLRACE_BENCH_RATE_REPORT_H_
#define MILLRACE_BENCH_RATE_REPORT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "bench/rate/flags.h"
#include "bench/rate/modes.h"

namespace millrace::bench {

// What main prints: the run without a meter, and one with it when that was asked for.
struct Measured {
  RunResult run;
  std::optional<RunResult> metered;
  uint64_t cycles_per_s = 0;
  bool huge_pages = false;
};

std::string Text(const Flags& flags, const Measured& measured);
nlohmann::ordered_json Json(const Flags& flags, const Measured& measured);

// What is wrong with the run, or "": failures, nothing done, or a plain exchange that did not take
// six packets.
std::string Objection(const Flags& flags, const RunResult& run);

// How processes of a pair tell each other.
nlohmann::json EndToJson(const EndReport& report);
EndReport EndFromJson(const nlohmann::json& json);

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_REPORT_H_
