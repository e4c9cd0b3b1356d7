// load/ranks.h - which of several generators this one is.
#ifndef MILLRACE_APPS_LOAD_RANKS_H_
#define MILLRACE_APPS_LOAD_RANKS_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "apps/load/plan.h"

namespace millrace::apps {

// "2/8": the third of eight. "auto": from what Slurm (tasks, then job arrays), Open MPI, PMIx or a
// Kubernetes Indexed Job leave in the environment; the last two do not say how many there are, so
// MILLRACE_RANK_COUNT has to. `get`: the environment, for tests; null when a variable is not set.
absl::StatusOr<LoadRank> ReadRank(const std::string& text,
                                  const std::function<const char*(const char*)>& get);
absl::StatusOr<LoadRank> ReadRank(const std::string& text);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_RANKS_H_
