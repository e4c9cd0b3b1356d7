// result/write_file.h - writes a regular file whole or not at all.
#ifndef MILLRACE_APPS_RESULT_WRITE_FILE_H_
#define MILLRACE_APPS_RESULT_WRITE_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace millrace::apps {

// Writes beside `path` first and renames, so that a full disk leaves no half of a file. What is
// there and no regular file (a pipe, a device, a symbolic link) stays what it is and is written
// into. "-" is the standard output. kFailedPrecondition: "cannot write PATH: No space left on
// device".
absl::Status WriteFile(const std::string& path, const std::string& text);
// Whether it can be expected to, so that this is said before a long run and not after it.
absl::Status CheckWritable(const std::string& path);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_WRITE_FILE_H_
