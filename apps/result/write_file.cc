#include "apps/result/write_file.h"

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

}  // namespace

absl::Status WriteFile(const std::string& path, const std::string& text) {
  if (path == "-") {
    const int error = WriteAll(stdout, text);
    return error == 0 ? absl::OkStatus() : CannotWrite("the standard output", error);
  }
  const std::string beside = path + ".part";
  FILE* file = std::fopen(beside.c_str(), "wb");
  if (file == nullptr) return CannotWrite(path, errno);
  int error = WriteAll(file, text);
  if (std::fclose(file) != 0 && error == 0) error = errno;
  std::error_code failure;
  if (error == 0) {
    std::filesystem::rename(beside, path, failure);
    return failure ? CannotWrite(path, failure.value()) : absl::OkStatus();
  }
  std::filesystem::remove(beside, failure);
  return CannotWrite(path, error);
}

}  // namespace millrace::apps
