// result/hgrm.h - a histogram as HdrHistogram's percentile text (.hgrm), which its plotter and
// many other programs draw. Values in milliseconds, five lines per halving of what is left.
#ifndef MILLRACE_APPS_RESULT_HGRM_H_
#define MILLRACE_APPS_RESULT_HGRM_H_

#include <string>

#include "millrace/base/histogram.h"

namespace millrace::apps {

std::string HgrmText(const Histogram& histogram);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_HGRM_H_
