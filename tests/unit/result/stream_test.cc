#include "apps/result/stream.h"

#include <gmock/gmock.h>

#include <string>

#include "testing/golden.h"
#include "unit/result/sample.h"

namespace millrace::apps {
namespace {

constexpr int64_t kNoon_ns = 1'790'000'000'000'000'000;

// One line of each kind, from the sample of every field.
std::string Lines() {
  const Result result = SampleOfEveryField();
  StreamBegin begin{.time_unix_ns = kNoon_ns, .run = result.run, .load = "open loop"};
  begin.run.name = "quote \" line\n octet \xFF";
  StreamInterval interval{
      .time_unix_ns = kNoon_ns + 1'000'000'000, .measured = true, .interval = result.series.at(4)};
  interval.latency.emplace_back("connect", StreamLatencyOf(SampleHistogram(48'000, 500)));
  const StreamTrial trial{.time_unix_ns = kNoon_ns + 2'000'000'000,
                          .trial = result.search->trials.front()};
  const StreamEnd end{.time_unix_ns = kNoon_ns + 3'000'000'000,
                      .load = result.load,
                      .counts = result.counts,
                      .failures = result.failures,
                      .verdict = result.verdict};
  return StreamLine(begin) + "\n" + StreamLine(interval) + "\n" + StreamLine(trial) + "\n" +
         StreamLine(end) + "\n";
}

TEST(Stream, IsTheGoldenFile) {
  millrace::testing::ExpectGolden(Lines(), "tests/golden/stream.jsonl");
}

TEST(Stream, SchemaIsTheFileOfTheRepository) {
  millrace::testing::ExpectGolden(StreamSchema().dump(1) + "\n",
                                  "share/millrace/stream.schema.json");
}

TEST(Stream, EveryLineIsOneLineWhateverTheUserNamed) {
  const std::string lines = Lines();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 4);
  const auto begin = nlohmann::ordered_json::parse(lines.substr(0, lines.find('\n')));
  EXPECT_EQ(begin["run"]["name"], "quote \" line\n octet \xEF\xBF\xBD");
}

TEST(Stream, LatencyOfNothingIsZero) {
  const StreamLatency none = StreamLatencyOf(Histogram());
  EXPECT_EQ(none.count, 0u);
  EXPECT_EQ(none.p50_ns + none.p999_ns + none.max_ns, 0u);
}

}  // namespace
}  // namespace millrace::apps
