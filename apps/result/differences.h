// result/differences.h - what was not the same when two groups of runs were made.
#ifndef MILLRACE_APPS_RESULT_DIFFERENCES_H_
#define MILLRACE_APPS_RESULT_DIFFERENCES_H_

#include <string>
#include <vector>

#include "apps/result/result.h"

namespace millrace::apps {

// Compares configuration, machine, program, labels and load, field by field: "path: base -> new"
// for each that differs between the sides, and a note for each that varies within one.
void FindDifferences(const std::vector<const Result*>& base, const std::vector<const Result*>& now,
                     std::vector<std::string>& different, std::vector<std::string>& notes);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_DIFFERENCES_H_
