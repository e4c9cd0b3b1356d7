#include "apps/load/ranks.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

namespace millrace::apps {
namespace {

struct Source {
  const char* index;
  const char* count;
  const char* first = nullptr;  // the index of the first rank, where it need not be 0
};
// The more special first: Open MPI under Slurm sets both. An array of jobs of one task each is one
// of ranks.
constexpr Source kSources[] = {
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
    {"SLURM_PROCID", "SLURM_NTASKS"},
    {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"},
    {"PMIX_RANK", "MILLRACE_RANK_COUNT"},
    {"JOB_COMPLETION_INDEX", "MILLRACE_RANK_COUNT"}};

bool ParseWhole(std::string_view text, uint32_t* value) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *value);
  return !text.empty() && parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

}  // namespace

absl::StatusOr<LoadRank> ReadRank(const std::string& text,
                                  const std::function<const char*(const char*)>& get) {
  std::string index_text, count_text, first_text = "0", where = "\"" + text + "\"";
  if (text == "auto") {
    for (const Source& source : kSources) {
      const char* const index = get(source.index);
      if (index == nullptr) continue;
      const char* const count = get(source.count);
      const bool alone = count != nullptr && std::string_view(count) == "1";
      if (alone && get("SLURM_ARRAY_TASK_COUNT") != nullptr && source.first == nullptr) continue;
      if (count == nullptr) {
        return absl::InvalidArgumentError(std::string("auto: ") + source.index + " is set, but " +
                                          source.count + " does not say how many there are");
      }
      index_text = index;
      count_text = count;
      const char* const first = source.first == nullptr ? nullptr : get(source.first);
      if (first != nullptr) first_text = first;
      where =
          std::string("auto: ") + source.index + "=" + index + ", " + source.count + "=" + count;
      break;
    }
    if (index_text.empty()) {
      return absl::InvalidArgumentError(
          "auto: neither Slurm, Open MPI, PMIx nor Kubernetes says which rank this is; "
          "write --ranks 0/2");
    }
  } else {
    const size_t slash = text.find('/');
    index_text = text.substr(0, slash);
    if (slash != std::string::npos) count_text = text.substr(slash + 1);
  }
  LoadRank rank;
  uint32_t first = 0;
  constexpr uint32_t kRanksMax = 65'536;
  if (!ParseWhole(index_text, &rank.index) || !ParseWhole(count_text, &rank.count) ||
      !ParseWhole(first_text, &first) || rank.count > kRanksMax || rank.index < first ||
      rank.index - first >= rank.count) {
    return absl::InvalidArgumentError(where + " is no rank; the first of two is 0/2");
  }
  rank.index -= first;
  return rank;
}

absl::StatusOr<LoadRank> ReadRank(const std::string& text) {
  return ReadRank(text, [](const char* name) { return std::getenv(name); });
}

}  // namespace millrace::apps
