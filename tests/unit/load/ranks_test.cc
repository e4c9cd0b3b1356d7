#include "apps/load/ranks.h"

#include <gtest/gtest.h>

#include <map>

namespace millrace::apps {
namespace {

using Environment = std::map<std::string, std::string>;

absl::StatusOr<LoadRank> Read(const std::string& text, const Environment& environment = {}) {
  return ReadRank(text, [&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(Ranks, AreWrittenAsIndexOfCount) {
  EXPECT_EQ(Read("2/8")->index, 2u);
  EXPECT_EQ(Read("2/8")->count, 8u);
  for (const char* text : {"", "2", "8/8", "-1/2", "0/0", "a/b", "1/2/3", "0/70000"}) {
    EXPECT_FALSE(Read(text).ok()) << text;
  }
}

TEST(Ranks, AreFoundInTheEnvironmentOfEachStarter) {
  const Environment environments[] = {
      {{"SLURM_PROCID", "3"}, {"SLURM_NTASKS", "4"}},
      {{"SLURM_ARRAY_TASK_ID", "3"}, {"SLURM_ARRAY_TASK_COUNT", "4"}},
      // sbatch --array=1-4 with a task each
      {{"SLURM_PROCID", "0"},
       {"SLURM_NTASKS", "1"},
       {"SLURM_ARRAY_TASK_ID", "4"},
       {"SLURM_ARRAY_TASK_MIN", "1"},
       {"SLURM_ARRAY_TASK_COUNT", "4"}},
      {{"OMPI_COMM_WORLD_RANK", "3"},
       {"OMPI_COMM_WORLD_SIZE", "4"},
       {"SLURM_PROCID", "0"},
       {"SLURM_NTASKS", "1"}},
      {{"PMIX_RANK", "3"}, {"MILLRACE_RANK_COUNT", "4"}},
      {{"JOB_COMPLETION_INDEX", "3"}, {"MILLRACE_RANK_COUNT", "4"}}};
  for (const Environment& environment : environments) {
    const auto rank = Read("auto", environment);
    ASSERT_TRUE(rank.ok()) << rank.status();
    EXPECT_EQ(rank->index, 3u);
    EXPECT_EQ(rank->count, 4u);
  }
}

TEST(Ranks, MissingPiecesAreNamed) {
  EXPECT_FALSE(Read("auto").ok());
  const auto job = Read("auto", {{"JOB_COMPLETION_INDEX", "3"}});
  ASSERT_FALSE(job.ok());
  EXPECT_NE(job.status().message().find("MILLRACE_RANK_COUNT"), std::string::npos);
  EXPECT_FALSE(Read("auto", {{"SLURM_PROCID", "4"}, {"SLURM_NTASKS", "4"}}).ok());
}

}  // namespace
}  // namespace millrace::apps
