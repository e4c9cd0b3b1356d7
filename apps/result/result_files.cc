#include "apps/result/result_files.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <system_error>

#include "apps/common/read_file.h"
#include "apps/result/result_json.h"
#include "apps/result/write_file.h"

namespace millrace::apps {
namespace {

namespace fs = std::filesystem;

bool IsFolder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// The run folders in `folder`, sorted.
std::vector<std::string> RunsIn(const std::string& folder) {
  std::vector<std::string> runs;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (fs::exists(at->path() / "result.json", ignored)) runs.push_back(at->path().string());
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

}  // namespace

absl::StatusOr<Result> ReadResult(const std::string& path) {
  if (path == "-") {
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    return ParseResult(text, path);
  }
  const std::string file = IsFolder(path) ? (fs::path(path) / "result.json").string() : path;
  const absl::StatusOr<std::string> text = ReadFile(file);
  return text.ok() ? ParseResult(*text, file) : text.status();
}

absl::StatusOr<std::vector<Result>> ReadResults(std::span<const std::string> paths) {
  std::vector<Result> results;
  for (const std::string& path : paths) {
    std::vector<std::string> runs = {path};
    std::error_code ignored;
    if (IsFolder(path) && !fs::exists(fs::path(path) / "result.json", ignored)) {
      runs = RunsIn(path);
      if (runs.empty()) {
        return absl::InvalidArgumentError(path +
                                          ": neither it nor a folder in it has a "
                                          "result.json");
      }
    }
    for (const std::string& run : runs) {
      absl::StatusOr<Result> result = ReadResult(run);
      if (!result.ok()) return result.status();
      results.push_back(*std::move(result));
    }
  }
  if (results.empty()) return absl::InvalidArgumentError("no result was named");
  return results;
}

absl::Status WriteResult(const Result& result, const std::string& path) {
  return WriteFile(path, ResultText(result));
}

}  // namespace millrace::apps
