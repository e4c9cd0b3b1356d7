// result/stream.h - lines of a run that is still going on: JSON, one object a line.
//
// "begin" comes first, "interval" at each --interval (the first ones may belong to the warm-up),
// "trial" after each trial of a search, "end" last. share/millrace/stream.schema.json says what
// each field means; it is made from result_fields.h, as that of results.
#ifndef MILLRACE_APPS_RESULT_STREAM_H_
#define MILLRACE_APPS_RESULT_STREAM_H_

#include <string>

#include "apps/result/result.h"

namespace millrace::apps {

struct StreamBegin {
  std::string type = "begin";
  uint32_t schema = kResultSchema;
  int64_t time_unix_ns = 0;
  RunIdentity run;
  std::string load;  // "open loop, 20 k conn/s poisson, ..."
};

// Of one interval, from the intended start.
struct StreamLatency {
  uint64_t count = 0, p50_ns = 0, p90_ns = 0, p99_ns = 0, p999_ns = 0, max_ns = 0;
};

struct StreamInterval {
  std::string type = "interval";
  int64_t time_unix_ns = 0;
  bool measured = false;
  Interval interval;
  ByName<StreamLatency> latency;  // by state, as in Result::latency
};

struct StreamTrial {
  std::string type = "trial";
  int64_t time_unix_ns = 0;
  Trial trial;
};

struct StreamEnd {
  std::string type = "end";
  int64_t time_unix_ns = 0;
  LoadShape load;
  Counts counts;
  ByName<uint64_t> failures;
  Verdict verdict;
};

StreamLatency StreamLatencyOf(const Histogram& histogram);

// Without a line end.
std::string StreamLine(const StreamBegin& line);
std::string StreamLine(const StreamInterval& line);
std::string StreamLine(const StreamTrial& line);
std::string StreamLine(const StreamEnd& line);

// JSON Schema (draft 7) of a line.
nlohmann::ordered_json StreamSchema();

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_STREAM_H_
