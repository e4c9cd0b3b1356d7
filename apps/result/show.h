// result/show.h - a result as text for a terminal or a log: about 100 columns, no colours.
#ifndef MILLRACE_APPS_RESULT_SHOW_H_
#define MILLRACE_APPS_RESULT_SHOW_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/result/result.h"

namespace millrace::apps {

// Columns of the table of latencies: name and quantile. Empty: 50 to 99.999.
using PercentileColumns = std::vector<std::pair<std::string, double>>;
// "50,99,99.9": rising, above 0 and below 100, at most 12. Empty when it is no such list.
PercentileColumns ParsePercentiles(std::string_view text);

// From which start latencies are shown.
enum class LatencyFrom : uint8_t { kBoth, kIntended, kActual };

// Load, machine, rates, latency by state from both starts, failures, TCP, NIC, generator,
// objectives, trials, ranks, verdict. Parts that a result does not have are left out.
std::string ShowResult(const Result& result, const PercentileColumns& percentiles = {},
                       LatencyFrom from = LatencyFrom::kBoth);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_SHOW_H_
