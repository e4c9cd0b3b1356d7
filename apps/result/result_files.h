// result/result_files.h - results in files and folders.
#ifndef MILLRACE_APPS_RESULT_RESULT_FILES_H_
#define MILLRACE_APPS_RESULT_RESULT_FILES_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/result/result.h"

namespace millrace::apps {

// `path`: a file, a folder with a result.json in it, or "-" for the standard input.
// kInvalidArgument, with the path in the message, when it cannot be read or is no result.
absl::StatusOr<Result> ReadResult(const std::string& path);

// All of `paths`; a folder without a result.json stands for the folders in it that have one, in
// the order of their names. Never empty.
absl::StatusOr<std::vector<Result>> ReadResults(std::span<const std::string> paths);

// By WriteFile: whole or not at all, "-" is the standard output.
absl::Status WriteResult(const Result& result, const std::string& path);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_RESULT_FILES_H_
