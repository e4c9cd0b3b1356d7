#include "apps/result/result_json.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "apps/result/show.h"
#include "testing/golden.h"
#include "unit/result/sample.h"

namespace millrace::apps {
namespace {

using ::testing::StartsWith;
using Json = nlohmann::ordered_json;

// What reading `json` says is wrong; "" for nothing.
std::string ErrorOf(const Json& json) {
  const auto result = ResultFromJson(json);
  return result.ok() ? "" : std::string(result.status().message());
}

TEST(ResultJson, IsTheGoldenFile) {
  millrace::testing::ExpectGolden(ResultText(SampleOfEveryField()), "tests/golden/result.json");
}

TEST(ResultJson, SchemaIsTheFileOfTheRepository) {
  millrace::testing::ExpectGolden(ResultSchema().dump(1) + "\n",
                                  "share/millrace/result.schema.json");
}

TEST(ResultJson, WhatWasWrittenIsReadWithoutLoss) {
  const std::string text = ResultText(SampleOfEveryField());
  const auto result = ParseResult(text, "x");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(ResultText(*result), text);
  EXPECT_EQ(result->latency[0].second.intended, SampleLatency(48'000).intended);
  EXPECT_EQ(result->window.seconds(), 10.0);
}

TEST(ResultJson, HistogramsOfOtherLayoutsAndEmptyOnesSurvive) {
  Result r = SampleResult();
  Latency latency{Histogram(5, 1'000'000), Histogram(1, 10)};
  latency.intended.Record(0);
  latency.intended.Record(2'000'000);
  r.latency = {{"connect", latency}};
  const auto read = ResultFromJson(ToJson(r));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->latency[0].second.intended, latency.intended);
  EXPECT_EQ(read->latency[0].second.actual, latency.actual);
}

TEST(ResultJson, ReaderPassesOverFieldsItDoesNotKnow) {
  Json json = ToJson(SampleResult());
  json["later"] = 1;
  json["load"]["later"] = "x";
  EXPECT_EQ(ErrorOf(json), "");
}

// What is not known without frames is absent then.
constexpr std::array<std::string_view, 5> kOfFrames = {
    "rx_bits_per_s", "tx_bits_per_s", "packet_pool_low_share", "tx_dropped", "rx_missed"};

TEST(ResultJson, WithoutFramesTheirFieldsAreAbsent) {
  Result r = SampleResult();
  r.load.rx_bits_per_s = r.load.tx_bits_per_s = std::nullopt;
  r.generator.packet_pool_low_share = std::nullopt;
  r.generator.tx_dropped = r.generator.rx_missed = std::nullopt;
  const Json json = ToJson(r);
  for (const std::string_view name : kOfFrames) {
    EXPECT_FALSE(json["load"].contains(name) || json["generator"].contains(name)) << name;
  }
  const auto read = ResultFromJson(json);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->load.rx_bits_per_s, std::nullopt);
  EXPECT_EQ(read->generator.rx_missed, std::nullopt);
  EXPECT_EQ(ShowResult(*read).find("bit/s"), std::string::npos);
}

// Every other field is asked for: dropping any one, at any depth, is an error that names it.
TEST(ResultJson, EveryFieldIsRequired) {
  const Json whole = ToJson(SampleResult());
  for (const auto& [name, value] : whole.items()) {
    Json json = whole;
    json.erase(name);
    EXPECT_EQ(ErrorOf(json), name + ": is missing");
    if (!value.is_object() || name == "configuration") continue;
    for (const auto& [inner, ignored] : value.items()) {
      if (name == "failures" || name == "latency" || name == "counters" || name == "nic") continue;
      if (std::find(kOfFrames.begin(), kOfFrames.end(), inner) != kOfFrames.end()) continue;
      json = whole;
      json[name].erase(inner);
      EXPECT_EQ(ErrorOf(json), name + "." + inner + ": is missing");
    }
  }
}

struct Broken {
  const char* pointer;
  Json value;
  const char* error;
};

TEST(ResultJson, WrongTypesAndContradictionsNameTheirField) {
  const Broken cases[] = {
      {"/schema", 2, "schema: 2 is not known here, only 1"},
      {"/run/id", 7, "run.id: is no text"},
      {"/run/command_line/1", nullptr, "run.command_line[1]: is no text"},
      {"/counts/ok", -1, "counts.ok: is no whole number from 0"},
      {"/counts/ok", 1.5, "counts.ok: is no whole number from 0"},
      {"/machine/numa_nodes", uint64_t{1} << 32, "machine.numa_nodes: is no number that fits"},
      {"/machine/core_list", Json::object(), "machine.core_list: is no list"},
      {"/load/offered_per_s", "fast", "load.offered_per_s: is no number"},
      {"/verdict/outcome", "good", "verdict.outcome: \"good\" is not known"},
      {"/verdict/interrupted", 0, "verdict.interrupted: is no true or false"},
      {"/latency", Json::array(), "latency: is no object"},
      {"/latency/close/actual/significant_digits", 9,
       "latency.close.actual: is no layout of a histogram"},
      {"/latency/connect/intended/count", 1, "latency.connect.intended: is no histogram"},
      {"/latency/connect/intended/max_ns", 1, "latency.connect.intended: is no histogram"},
      {"/latency/connect/intended/buckets/0", Json::array({1}),
       "latency.connect.intended: is no histogram"},
      {"/failures/syn_timeout", 7, "failures: their sum is 11, but counts.failed is 10"},
      {"/window/end_unix_ns", 0, "window: ends before it starts"},
      {"/rank/count", 0, "rank: index is not below count"},
  };
  for (const Broken& broken : cases) {
    Json json = ToJson(SampleResult());
    json[Json::json_pointer(broken.pointer)] = broken.value;
    EXPECT_THAT(ErrorOf(json), StartsWith(broken.error)) << broken.pointer;
  }
  EXPECT_EQ(ErrorOf(Json::array()), "is no result");
}

TEST(ResultJson, TextThatIsNoJsonNamesPlace) {
  EXPECT_EQ(ParseResult("{\"schema\": }", "a.json").status().message(),
            "a.json: is no JSON (at octet 12)");
}

}  // namespace
}  // namespace millrace::apps
