#include "apps/control/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::apps {
namespace {

TEST(ControlCommand, IsAWordWithItsArguments) {
  EXPECT_EQ(ParseControlCommand("count")->verb, ControlVerb::kCount);
  EXPECT_EQ(ParseControlCommand(" list ")->rows, 100u);
  EXPECT_EQ(ParseControlCommand("list 7")->rows, 7u);
  EXPECT_EQ(ParseControlCommand("close 65535")->port, 65535);
  EXPECT_EQ(ParseControlCommand("drain")->grace, std::nullopt);
  EXPECT_EQ(ParseControlCommand("drain 500ms")->grace, Duration::Milliseconds(500));
  for (const char* line : {"listen 80 echo backlog=2k", "listen 80 backlog=2k echo"}) {
    const auto command = ParseControlCommand(line);
    ASSERT_TRUE(command.ok()) << line;
    EXPECT_EQ(command->verb, ControlVerb::kListen);
    EXPECT_EQ(command->port, 80);
    EXPECT_EQ(command->service, "echo");
    EXPECT_EQ(command->backlog, 2000u);
  }
}

TEST(ControlCommand, WrongOnesAreToldWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "no command"},
      {"cout", "did you mean count?"},
      {"frobnicate", "`help` lists"},
      {"count 3", "too many words"},
      {"list 0", "from 1 to 10000"},
      {"list 10001", "from 1 to 10000"},
      {"listen", "write listen PORT"},
      {"listen 0", "no port"},
      {"listen 65536", "no port"},
      {"listen http", "no port"},
      {"listen 80 http echo", "two services"},
      {"listen 80 backlog=0", "backlog=N"},
      {"listen 80 http backlog=1 x", "too many words"},
      {"close", "write close PORT"},
      {"close -1", "no port"},
      {"drain soon", "no time"},
      {"drain 2h", "no time"},
  };
  for (const auto& [line, piece] : cases) {
    const auto command = ParseControlCommand(line);
    ASSERT_FALSE(command.ok()) << line;
    EXPECT_THAT(std::string(command.status().message()), ::testing::HasSubstr(piece)) << line;
  }
}

}  // namespace
}  // namespace millrace::apps
