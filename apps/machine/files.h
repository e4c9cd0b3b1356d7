// machine/files.h - small files of /proc and /sys.
#ifndef MILLRACE_APPS_MACHINE_FILES_H_
#define MILLRACE_APPS_MACHINE_FILES_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::apps {

// At most 1 MiB of the file, without white space at its end; "" when it cannot be read.
std::string ReadSmall(const std::filesystem::path& path);
// What stands behind `label` in a line of `text` that begins with it: "MemAvailable:".
std::string ValueOf(std::string_view text, std::string_view label);
// The first number of a text; 0 when it begins with none.
uint64_t NumberOf(std::string_view text);
bool Exists(const std::filesystem::path& path);
// Names in a folder, sorted; none when it cannot be read.
std::vector<std::string> NamesIn(const std::filesystem::path& folder);
// The last part of what a symbolic link points to; "" when it is none.
std::string LinkName(const std::filesystem::path& path);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MACHINE_FILES_H_
