// result/resolution.h - what one run can tell of a figure at best.
//
// Standard errors, in the unit of the figure, of values that were measured by one ruler: however
// many repeats find the same value, the true one may lie anywhere between two of its marks. What
// varies from run to run is not in them. Pure functions.
#ifndef MILLRACE_APPS_RESULT_RESOLUTION_H_
#define MILLRACE_APPS_RESULT_RESOLUTION_H_

#include "apps/result/result.h"

namespace millrace::apps {

// The maximum lies between the highest rate that passed and the lowest that did not.
double ErrorOfSearch(const Goal& goal);
// One connection more or less in the window.
double ErrorOfRate(const Result& result);
// One failure more or less.
double ErrorOfFailedShare(const Result& result);
// The width of the counter that the quantile is in.
double ErrorOfQuantile(const Histogram& histogram, double quantile);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_RESOLUTION_H_
