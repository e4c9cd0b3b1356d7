// common/read_file.h - a file as a whole, for settings and results.
#ifndef MILLRACE_APPS_COMMON_READ_FILE_H_
#define MILLRACE_APPS_COMMON_READ_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace millrace::apps {

// What is in the file. kInvalidArgument: "cannot read PATH: Is a directory".
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_READ_FILE_H_
