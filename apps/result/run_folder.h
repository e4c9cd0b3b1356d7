// result/run_folder.h - what a run leaves behind: result.json, series.csv, STATE.intended.hgrm and
// STATE.actual.hgrm for each state, and log.txt.
#ifndef MILLRACE_APPS_RESULT_RUN_FOLDER_H_
#define MILLRACE_APPS_RESULT_RUN_FOLDER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "apps/result/result.h"

namespace millrace::apps {

// "2026-11-21T10-12-05_NAME", of UTC; letters, digits, '-', '.' and '_' of `name` are kept, all
// else becomes '-'.
std::string RunId(int64_t unix_ns, const std::string& name);

// Makes the folder, and those above it, unless it is there. kFailedPrecondition when it cannot be
// written: better said before a run than after it.
absl::Status MakeRunFolder(const std::string& folder);

// Makes the folder as MakeRunFolder does. `log` is what the run printed. Everything is tried even
// if one file cannot be written, result.json first; the first error is returned.
absl::Status WriteRunFolder(const Result& result, const std::string& log,
                            const std::string& folder);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_RUN_FOLDER_H_
