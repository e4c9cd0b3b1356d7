// result/series_csv.h - the intervals of a result as CSV: a head line with the names of the JSON, a
// line per interval.
#ifndef MILLRACE_APPS_RESULT_SERIES_CSV_H_
#define MILLRACE_APPS_RESULT_SERIES_CSV_H_

#include <string>

#include "apps/result/result.h"

namespace millrace::apps {

std::string SeriesCsv(const Result& result);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_SERIES_CSV_H_
