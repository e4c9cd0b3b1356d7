#include "apps/load/plan.h"

#include <gtest/gtest.h>

#include "apps/load/failure.h"
#include "apps/load/request.h"
#include "apps/load/weighted.h"

namespace millrace::apps {
namespace {

TEST(LoadTarget, IsReadWithPortPathAndWeight) {
  Target target;
  EXPECT_EQ(ParseTarget("tcp://10.2.0.1:9000", &target), "");
  EXPECT_EQ(target.endpoint, *Endpoint::Parse("10.2.0.1:9000"));
  EXPECT_FALSE(target.http());
  EXPECT_EQ(ParseTarget("http://10.2.0.1/1k*3", &target), "");
  EXPECT_EQ(target.endpoint, *Endpoint::Parse("10.2.0.1:80"));
  EXPECT_EQ(target.path, "/1k");
  EXPECT_EQ(target.host, "10.2.0.1");
  EXPECT_EQ(target.weight, 3u);
  EXPECT_EQ(ParseTarget("http://[2001:db8::1]:8080", &target), "");
  EXPECT_EQ(target.endpoint, *Endpoint::Parse("[2001:db8::1]:8080"));
  EXPECT_EQ(target.path, "/");
  EXPECT_EQ(ParseTarget("http://ring/10k", &target), "");
  EXPECT_TRUE(target.ring);
  EXPECT_TRUE(target.http());
}

TEST(LoadTarget, NamesAreLookedUp) {
  Target target;
  EXPECT_EQ(ParseTarget("http://localhost:8000/x", &target), "");
  EXPECT_TRUE(target.named);
  EXPECT_EQ(target.host, "localhost:8000");
  EXPECT_EQ(ResolveTarget(Family::kV4, &target), "");
  EXPECT_EQ(target.endpoint, *Endpoint::Parse("127.0.0.1:8000"));
  // RFC 6761 6.4: nobody has it.
  EXPECT_EQ(ParseTarget("tcp://name.invalid:80", &target), "");
  EXPECT_NE(ResolveTarget(Family::kV4, &target).find("name.invalid has no IPv4 address"),
            std::string::npos);
  EXPECT_EQ(ParseTarget("tcp://10.2.0.1:80", &target), "");
  EXPECT_FALSE(target.named);
}

TEST(LoadTarget, SaysWhatIsWrong) {
  Target target;
  for (const char* text :
       {"", "10.2.0.1:80", "tcp://10.2.0.1", "tcp://example.org", "tcp://exa mple.org:80",
        "tcp://a:b:80", "tcp://10.2.0.1.5:80", "http://name:0/", "http://", "udp://10.0.0.1:1",
        "tcp://10.2.0.1:0", "tcp://10.2.0.1:70000", "http://10.2.0.1/a b", "tcp://10.2.0.1:80*0",
        "tcp://10.2.0.1:80*x", "tcp://[::1:80", "http://10.0.0.1:80:80/"}) {
    EXPECT_NE(ParseTarget(text, &target), "") << text;
  }
  EXPECT_NE(ParseTarget("https://10.2.0.1/", &target).find("TLS"), std::string::npos);
}

TEST(LoadPlan, WordsAreRead) {
  EXPECT_EQ(ParseArrival("poisson")->kind, ArrivalKind::kPoisson);
  EXPECT_EQ(ParseArrival("burst:16")->burst, 16u);
  for (const char* text : {"burst", "burst:", "burst:0", "burst:x", "gauss", ""}) {
    EXPECT_FALSE(ParseArrival(text)) << text;
  }
  EXPECT_EQ(ParseCloseMode("half"), CloseMode::kHalf);
  EXPECT_FALSE(ParseCloseMode("client"));
}

TEST(LoadPlan, TimeoutsNameTheirPhases) {
  PhaseTimeouts timeouts;
  EXPECT_EQ(ParseTimeouts("connect=250ms, close=1s", &timeouts), "");
  EXPECT_EQ(timeouts.connect, Duration::Milliseconds(250));
  EXPECT_EQ(timeouts.first_byte, PhaseTimeouts().first_byte);
  EXPECT_EQ(timeouts.close, Duration::Seconds(1));
  EXPECT_EQ(ParseTimeouts("conect=1s", &timeouts),
            "\"conect\" is no phase (did you mean \"connect\"?)");
  for (const char* text : {"", "connect", "connect=", "connect=x", "close=1s,close=2s", "=1s"}) {
    EXPECT_NE(ParseTimeouts(text, &timeouts), "") << text;
  }
}

TEST(LoadPlan, MixesHaveSizesAndWeights) {
  std::vector<Exchange> mix;
  EXPECT_EQ(ParseMix("64:1k*3, 1:0", &mix), "");
  ASSERT_EQ(mix.size(), 2u);
  EXPECT_EQ(mix[0].response_bytes, 1024u);
  EXPECT_EQ(mix[0].weight, 3u);
  EXPECT_EQ(mix[1].response_bytes, 0u);
  for (const char* text : {"", "1", "1:", ":1", "1:1*0", "1:1*x", "1:2g", "1:1,,2:2"}) {
    EXPECT_NE(ParseMix(text, &mix), "") << text;
  }
}

TEST(LoadPlan, RanksAddUpToTheWhole) {
  RunPlan plan;
  plan.concurrency = 1'000;
  plan.hold = 17;
  plan.count = 100'001;
  plan.open_max = 3;
  for (const uint32_t machines : {1u, 3u, 7u}) {
    RunPlan sum;
    sum.concurrency = sum.hold = sum.open_max = 0;
    sum.count = 0;
    for (uint32_t machine = 0; machine < machines; ++machine) {
      RunPlan whole = plan;
      whole.rank = {machine, machines};
      for (uint32_t core = 0; core < 4; ++core) {
        const RunPlan part = PlanOf(whole, {core, 4});
        EXPECT_EQ(part.rank.count, machines * 4);
        sum.concurrency += part.concurrency;
        sum.hold += part.hold;
        sum.count += part.count;
        sum.open_max += part.open_max;
        EXPECT_LE(part.concurrency, plan.concurrency / (machines * 4) + 1);
      }
    }
    EXPECT_EQ(sum.concurrency, plan.concurrency);
    EXPECT_EQ(sum.hold, plan.hold);
    EXPECT_EQ(sum.count, plan.count);
    EXPECT_EQ(sum.open_max, plan.open_max);
  }
  EXPECT_EQ(PlanOf(RunPlan(), {1, 2}).count, RunPlan::kUnlimited);
}

TEST(WeightedChoice, IsExactAndEven) {
  struct Item {
    uint32_t weight;
  };
  WeightedChoice choice(std::vector<Item>{{5}, {1}, {2}});
  std::vector<int> counts(3);
  for (int i = 0; i < 800; ++i) ++counts[choice.Next()];
  EXPECT_EQ(counts, (std::vector<int>{500, 100, 200}));
  // Never the same more than three times in a row, though five of eight are.
  int run = 0, longest = 0;
  for (int i = 0; i < 800; ++i) {
    run = choice.Next() == 0 ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  EXPECT_LE(longest, 3);
}

TEST(WeightedChoice, GoesRoundWhenAllWeighTheSame) {
  struct Item {
    uint32_t weight;
  };
  WeightedChoice choice(std::vector<Item>{{3}, {3}, {3}}, 4);
  for (const size_t expected : {1u, 2u, 0u, 1u, 2u, 0u}) EXPECT_EQ(choice.Next(), expected);
}

TEST(RequestTemplate, FillsInHostPathAndNumber) {
  Target target;
  ASSERT_EQ(ParseTarget("http://10.0.0.1:81/x", &target), "");
  EXPECT_EQ(RequestTemplate::Get(target, true).octets(),
            "GET /x HTTP/1.1\r\nHost: 10.0.0.1:81\r\nUser-Agent: millrace\r\nAccept: */*\r\n"
            "Connection: close\r\n\r\n");
  const auto numbered = RequestTemplate::FromText(
      "POST {path}?{n} HTTP/1.1\nHost: {host}\nX: {n}\nContent-Length: 4\n\n{n}!\n\n", target);
  EXPECT_FALSE(numbered.constant());
  std::string text;
  numbered.Render(12, &text);
  EXPECT_EQ(
      text,
      "POST /x?12 HTTP/1.1\r\nHost: 10.0.0.1:81\r\nX: 12\r\nContent-Length: 4\r\n\r\n12!\n\n");
  const auto bare = RequestTemplate::FromText("HEAD / HTTP/1.0", target);
  EXPECT_EQ(bare.octets(), "HEAD / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(bare.head_only());
}

TEST(LoadFailure, NamesAreAllDifferent) {
  std::vector<std::string> names;
  for (size_t i = 0; i < kLoadFailures; ++i) {
    names.emplace_back(ToString(static_cast<LoadFailure>(i)));
    EXPECT_NE(MeaningOf(static_cast<LoadFailure>(i)), std::string());
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace millrace::apps
