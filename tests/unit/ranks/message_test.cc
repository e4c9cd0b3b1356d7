#include "apps/ranks/message.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "apps/result/result_json.h"
#include "unit/ranks/rank_lines.h"
#include "unit/result/sample.h"

namespace millrace::apps {
namespace {

TEST(RankMessage, WhatIsSaidIsUnderstood) {
  const std::vector<RankMessage> all{JoinAs(2, 4),
                                     WelcomeMessage{},
                                     PingMessage{17},
                                     PongMessage{17, 18},
                                     StepMessage{1, 1.5e6, 2'000},
                                     ReadyMessage{1},
                                     StartMessage{1, 99},
                                     AliveMessage{1, 2, 3, 4},
                                     ResultFrom(1, 4, 3),
                                     StopMessage{},
                                     EndMessage{3, "rank 2: is \"gone\"\n"}};
  ASSERT_EQ(all.size(), std::variant_size_v<RankMessage>);
  for (const RankMessage& message : all) {
    const std::string line = LineOf(message);
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    const auto read = ParseRankLine(line);
    ASSERT_TRUE(read.ok()) << line << read.status();
    EXPECT_EQ(read->index(), message.index());
    EXPECT_EQ(LineOf(*read), line);
  }
}

TEST(RankMessage, ResultArrivesWithoutLoss) {
  ResultMessage message{.step = 7, .interrupted = true, .result = SampleResult()};
  const auto read = ParseRankLine(LineOf(message));
  ASSERT_TRUE(read.ok()) << read.status();
  const auto& got = std::get<ResultMessage>(*read);
  EXPECT_EQ(got.step, 7u);
  EXPECT_TRUE(got.interrupted);
  EXPECT_EQ(ResultText(got.result), ResultText(message.result));
}

TEST(RankMessage, WhatIsNoMessageIsRefused) {
  const std::string deep(1'000'000, '[');
  const std::vector<std::string> lines{
      "",
      "GET / HTTP/1.1",
      "\xff\xfe",
      "[]",
      "{}",
      R"({"type":5})",
      R"({"type":"jion"})",
      R"({"type":"join"})",
      R"({"type":"ready"})",
      R"({"type":"ready","step":-1})",
      R"({"type":"ready","step":1.5})",
      R"({"type":"ready","step":99999999999999999999999})",
      R"({"type":"ping","sent_unix_ns":18446744073709551615})",
      R"({"type":"end","code":-1,"why":""})",
      R"({"type":"end","code":0,"why":[]})",
      R"({"type":"step","step":1,"rate_per_s":"fast","length_ns":1})",
      R"({"type":"result","step":1,"interrupted":false,"result":{}})",
      R"({"type":"result","step":1,"interrupted":0,"result":{}})",
      deep,
      R"({"type":"join","settings":)" + deep,
      R"({"type":"ready","step":1} {"type":"ready","step":1})"};
  for (const std::string& line : lines) {
    EXPECT_FALSE(ParseRankLine(line).ok()) << line.substr(0, 80);
  }
  // Brackets inside text are none.
  EXPECT_TRUE(ParseRankLine(LineOf(EndMessage{1, std::string(1000, '[') + "\\\"{"})).ok());
}

TEST(RankMessage, HistogramsThatWouldTakeMuchMemoryAreRefused) {
  ResultMessage message{.step = 1, .result = SampleResult()};
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(LineOf(message));
  json["result"]["latency"]["connect"]["actual"]["significant_digits"] = 5;
  EXPECT_FALSE(ParseRankLine(json.dump()).ok());
  json = nlohmann::ordered_json::parse(LineOf(message));
  auto& latency = json["result"]["latency"];
  for (int i = 0; i < 20; ++i) latency["more" + std::to_string(i)] = latency["connect"];
  EXPECT_FALSE(ParseRankLine(json.dump()).ok());
}

}  // namespace
}  // namespace millrace::apps
