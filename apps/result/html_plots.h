// result/html_plots.h - the plots of a result's page; "" for one that has nothing to show.
#ifndef MILLRACE_APPS_RESULT_HTML_PLOTS_H_
#define MILLRACE_APPS_RESULT_HTML_PLOTS_H_

#include <string>

#include "apps/result/result.h"

namespace millrace::apps {

// Connections per second by interval: due, started, ok, failed.
std::string RatePlot(const Result& result);
// Latency by percentile: a line per state from the intended start, dashed from the actual one.
std::string LatencyPlot(const Result& result);
// A bar per reason.
std::string FailurePlot(const Result& result);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_HTML_PLOTS_H_
