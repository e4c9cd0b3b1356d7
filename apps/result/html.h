// result/html.h - a result as one page of HTML: opens offline, loads nothing, runs no script.
//
// Plots are inline SVG: rate over time, latency by percentile for each state on logarithmic scales,
// failures by reason. Dark and light follow the reader's system; on paper it is dark on white.
#ifndef MILLRACE_APPS_RESULT_HTML_H_
#define MILLRACE_APPS_RESULT_HTML_H_

#include <string>

#include "apps/result/result.h"

namespace millrace::apps {

// Well-formed XML as well as HTML 5. Whatever the result contains stays text: '<', '&' and quotes
// are escaped, control characters replaced.
std::string HtmlPage(const Result& result);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_HTML_H_
