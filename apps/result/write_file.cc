#include "apps/result/write_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

namespace millrace::apps {
namespace {

absl::Status CannotWrite(const std::string& path, int error) {
  return absl::FailedPreconditionError("cannot write " + path + ": " + std::strerror(error));
}

// 0 or the error number.
int WriteAll(FILE* file, const std::string& text) {
  errno = 0;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return written && std::fflush(file) == 0 ? 0 : errno;
}

// Whether another file may take the place of what is at `path`.
bool MayReplace(const std::string& path) {
  std::error_code failure;
  const auto type = std::filesystem::symlink_status(path, failure).type();
  return type == std::filesystem::file_type::not_found ||
         type == std::filesystem::file_type::regular;
}

}  // namespace

absl::Status CheckWritable(const std::string& path) {
  if (path == "-") return absl::OkStatus();
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return CannotWrite(path, EISDIR);
  const bool replaces = MayReplace(path);
  // "/.": a folder, or it is said that there is none.
  const std::string place = !replaces ? path : folder.empty() ? "." : folder.string() + "/.";
  if (access(place.c_str(), W_OK) == 0) return absl::OkStatus();
  const bool made = !replaces && errno == ENOENT;  // where a symbolic link leads to
  return made ? absl::OkStatus() : CannotWrite(path, errno);
}

absl::Status WriteFile(const std::string& path, const std::string& text) {
  if (path == "-") {
    const int error = WriteAll(stdout, text);
    return error == 0 ? absl::OkStatus() : CannotWrite("the standard output", error);
  }
  const bool replaces = MayReplace(path);
  const std::string written = replaces ? path + ".part" : path;
  FILE* file = std::fopen(written.c_str(), "wb");
  if (file == nullptr) return CannotWrite(path, errno);
  int error = WriteAll(file, text);
  if (std::fclose(file) != 0 && error == 0) error = errno;
  std::error_code failure;
  if (error == 0) {
    if (replaces) std::filesystem::rename(written, path, failure);
    return failure ? CannotWrite(path, failure.value()) : absl::OkStatus();
  }
  if (replaces) std::filesystem::remove(written, failure);
  return CannotWrite(path, error);
}

}  // namespace millrace::apps
