// tests/unit/sim/impairment_text_test.cc - the text of --impair, and what is said of wrong ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "millrace/sim/impairment.h"

namespace millrace::sim {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Impairment Parsed(const std::string& text) {
  const auto result = ParseImpairment(text);
  if (const auto* error = std::get_if<std::string>(&result)) {
    ADD_FAILURE() << *error;
    return {};
  }
  return std::get<Impairment>(result);
}

std::string Error(const std::string& text) {
  const auto result = ParseImpairment(text);
  const auto* error = std::get_if<std::string>(&result);
  return error == nullptr ? "(accepted)" : *error;
}

TEST(ParseImpairment, ReadsEveryKey) {
  const Impairment expected{.loss = 0.01,
                            .burst_loss = 0.02,
                            .burst_frames = 8,
                            .reorder = 0.03,
                            .reorder_delay = Duration::Milliseconds(5),
                            .duplicate = 0.005,
                            .corrupt = 0.001,
                            .delay = Duration::Milliseconds(20),
                            .jitter = Duration::Microseconds(1500),
                            .rate_bps = 100'000'000,
                            .queue_packets_max = 50,
                            .mark_packets = 20,
                            .seed = 7};
  EXPECT_EQ(Parsed("loss=1%,burst=2%:8,reorder=3%:5ms,duplicate=0.5%,corrupt=0.1%,delay=20ms,"
                   "jitter=1.5ms,rate=100M,queue=50,mark=20,seed=7"),
            expected);
}

TEST(ParseImpairment, LeavesAbsentKeysAtTheirDefaults) {
  Impairment expected;
  expected.reorder = 0.25;
  expected.burst_loss = 1;
  EXPECT_EQ(Parsed("burst=100%,reorder=0.25"), expected);
}

TEST(ParseImpairment, ReadsUnits) {
  EXPECT_EQ(Parsed("delay=1s").delay, Duration::Seconds(1));
  EXPECT_EQ(Parsed("delay=7us").delay, Duration::Microseconds(7));
  EXPECT_EQ(Parsed("delay=0.5us").delay, Duration::Nanoseconds(500));
  EXPECT_EQ(Parsed("delay=9ns").delay, Duration::Nanoseconds(9));
  EXPECT_EQ(Parsed("rate=2.5G").rate_bps, 2'500'000'000);
  EXPECT_EQ(Parsed("rate=64k").rate_bps, 64'000);
  EXPECT_EQ(Parsed("rate=9600").rate_bps, 9'600);
  EXPECT_EQ(Parsed("seed=18446744073709551615").seed, ~uint64_t{0});
}

TEST(ParseImpairment, ErrorIsOneLineThatNamesCulpritAndKeys) {
  for (const char* item : {"los=1%",
                           "loss",
                           "loss=",
                           "loss=x",
                           "loss=101%",
                           "loss=1.01",
                           "loss=-1%",
                           "loss=1%%",
                           "loss=nan",
                           "loss=inf",
                           "loss=1e-2",
                           "burst=1%:0.5",
                           "burst=1%:",
                           "burst=:4",
                           "burst=1%:4x",
                           "reorder=1%:5",
                           "reorder=1%:",
                           "duplicate=2",
                           "corrupt=1 %",
                           "delay=20",
                           "delay=20m",
                           "delay=3601s",
                           "delay=-1ms",
                           "delay=999999999999999999999s",
                           "jitter=ms",
                           "rate=0",
                           "rate=100T",
                           "rate=1e3",
                           "queue=-1",
                           "queue=4294967296",
                           "queue=1.5",
                           "seed=abc",
                           "seed=",
                           "=1%",
                           "seed=18446744073709551616"}) {
    EXPECT_THAT(Error(std::string("duplicate=1%,") + item),
                AllOf(HasSubstr("\"" + std::string(item) + "\": "),
                      HasSubstr("valid keys: loss, burst, reorder, duplicate, corrupt, delay, "
                                "jitter, rate, queue, mark, seed"),
                      Not(HasSubstr("\n"))))
        << item;
  }
}

TEST(ParseImpairment, SaysWhatWasExpected) {
  EXPECT_THAT(Error("loss=2"), HasSubstr("expected a probability from 0% to 100%"));
  EXPECT_THAT(Error("delay=20"), HasSubstr("expected a time up to 3600s with its unit"));
  EXPECT_THAT(Error("lag=20ms"), HasSubstr("unknown key"));
  EXPECT_THAT(Error("loss=1%,loss=2%"), HasSubstr("\"loss=2%\": key given twice"));
}

TEST(ParseImpairment, RefusesEmptyItems) {
  for (const char* text : {"", ",", "loss=1%,", ",loss=1%", "loss=1%,,seed=1"}) {
    EXPECT_THAT(Error(text), HasSubstr("\"\": ")) << text;
  }
}

TEST(ImpairmentToString, IsReadBackToAnEqualValue) {
  for (const char* text :
       {"seed=1", "loss=0.1%,burst=3%:2.5,reorder=1%:7us,duplicate=33.3%,corrupt=0.0001%",
        "delay=1234567ns,jitter=3ms,rate=123456789,queue=0,seed=99"}) {
    const Impairment value = Parsed(text);
    EXPECT_EQ(Parsed(ToString(value)), value) << ToString(value);
  }
}

}  // namespace
}  // namespace millrace::sim
