// result/show.h - a result as text for a terminal or a log: about 100 columns, no colours.
#ifndef MILLRACE_APPS_RESULT_SHOW_H_
#define MILLRACE_APPS_RESULT_SHOW_H_

#include <string>

#include "apps/result/result.h"

namespace millrace::apps {

// Load, machine, rates, latency by state from both starts, failures, TCP, NIC, generator,
// objectives, trials, ranks, verdict. Parts that a result does not have are left out.
std::string ShowResult(const Result& result);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_SHOW_H_
