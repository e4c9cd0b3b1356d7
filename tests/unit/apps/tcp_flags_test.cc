// Flags of the protocol: what they come to in the engine's configuration.

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "apps/common/setup.h"

namespace millrace::testing {
namespace {

using tcp::CongestionKind;

// nullopt when the words are refused.
std::optional<tcp::Config> ConfigOf(const std::string& words) {
  CLI::App app;
  apps::TcpFlags flags;
  flags.AddTo(app);
  try {
    app.parse(words);
  } catch (const CLI::ParseError&) {
    return std::nullopt;
  }
  return flags.Config();
}

TEST(TcpFlags, CongestionControlIsChosenByItsName) {
  EXPECT_EQ(ConfigOf("")->congestion, CongestionKind::kCubic);
  for (int i = 0; i < tcp::kCongestionKinds; ++i) {
    const auto kind = static_cast<CongestionKind>(i);
    const auto config = ConfigOf(std::string("--congestion ") + apps::ToString(kind));
    ASSERT_TRUE(config.has_value()) << apps::ToString(kind);
    EXPECT_EQ(config->congestion, kind);
  }
  for (const char* wrong : {"vegas", "CUBIC", "\"\""}) {
    EXPECT_FALSE(ConfigOf(std::string("--congestion ") + wrong).has_value()) << wrong;
  }
}

TEST(TcpFlags, DctcpAsksForEcn) {
  EXPECT_EQ(ConfigOf("")->ecn, tcp::Ecn::kPassive);
  EXPECT_EQ(ConfigOf("--congestion bbr")->ecn, tcp::Ecn::kPassive);
  EXPECT_EQ(ConfigOf("--congestion dctcp")->ecn, tcp::Ecn::kActive);
}

}  // namespace
}  // namespace millrace::testing
