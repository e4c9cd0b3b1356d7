// unit/ranks/rank_lines.h - what ranks of a group of tests say.
#ifndef MILLRACE_TESTS_UNIT_RANKS_RANK_LINES_H_
#define MILLRACE_TESTS_UNIT_RANKS_RANK_LINES_H_

#include <string>

#include "apps/ranks/message.h"

namespace millrace::apps {

inline JoinMessage JoinAs(uint32_t rank, uint32_t ranks) {
  return {.version = "1.2.3",
          .host = "bench-" + std::to_string(rank),
          .rank = rank,
          .ranks = ranks,
          .settings = {{"command", "load run"}, {"rate", "1k"}}};
}

// As a line arrives: without its end.
inline std::string LineOf(const RankMessage& message) {
  std::string line = RankLine(message);
  line.pop_back();
  return line;
}

inline ResultMessage ResultFrom(uint32_t rank, uint32_t ranks, uint64_t step) {
  ResultMessage message{.step = step};
  message.result.rank = {rank, ranks};
  message.result.counts.ok = 100 + rank;
  return message;
}

}  // namespace millrace::apps

#endif  // MILLRACE_TESTS_UNIT_RANKS_RANK_LINES_H_
