#include "apps/result/run_folder.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "apps/result/hgrm.h"
#include "apps/result/result_files.h"
#include "apps/result/series_csv.h"
#include "apps/result/text.h"
#include "apps/result/write_file.h"

namespace millrace::apps {
namespace {

std::string FileName(std::string name) {
  for (char& c : name) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '.' || c == '_';
    if (!kept) c = '-';
  }
  return name;
}

}  // namespace

std::string RunId(int64_t unix_ns, const std::string& name) {
  std::string id = FormatUnixNs(unix_ns).substr(0, 19);  // "2026-11-21 10:12:05"
  id[10] = 'T';
  id[13] = id[16] = '-';
  return name.empty() ? id : id + "_" + FileName(name);
}

absl::Status MakeRunFolder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return absl::FailedPreconditionError("cannot make the folder " + folder + ": " +
                                         error.message());
  }
  if (access(folder.c_str(), W_OK) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError("cannot write in the folder " + folder + ": " +
                                       std::generic_category().message(errno));
}

absl::Status WriteRunFolder(const Result& result, const std::string& log,
                            const std::string& folder) {
  if (absl::Status made = MakeRunFolder(folder); !made.ok()) return made;
  absl::Status first = WriteResult(result, folder + "/result.json");
  const auto write = [&](const std::string& name, const std::string& text) {
    absl::Status written = WriteFile(folder + "/" + name, text);
    if (first.ok()) first = std::move(written);
  };
  write("log.txt", log);
  write("series.csv", SeriesCsv(result));
  for (const auto& [state, latency] : result.latency) {
    write(FileName(state) + ".intended.hgrm", HgrmText(latency.intended));
    write(FileName(state) + ".actual.hgrm", HgrmText(latency.actual));
  }
  return first;
}

}  // namespace millrace::apps
