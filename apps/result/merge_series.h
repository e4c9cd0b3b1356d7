// result/merge_series.h - series and rates of several ranks, brought together on the wall clock.
#ifndef MILLRACE_APPS_RESULT_MERGE_SERIES_H_
#define MILLRACE_APPS_RESULT_MERGE_SERIES_H_

#include <vector>

#include "apps/result/result.h"

namespace millrace::apps {

// Intervals of the first rank's length from the start of `common`; each interval of a rank goes to
// the one its middle lies in, so that ranks may be out of step by up to half an interval. Counts
// are added; latency, lag and busy share are the worst rank's.
std::vector<Interval> MergedSeries(const std::vector<const Result*>& ranks, const Window& common);

// The first rank's load with the sum of all rates: of each rank over its intervals inside `common`,
// or over all of its window when it has no series.
LoadShape MergedRates(const std::vector<const Result*>& ranks, const Window& common);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_MERGE_SERIES_H_
