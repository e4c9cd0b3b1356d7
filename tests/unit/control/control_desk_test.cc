#include "apps/control/control_desk.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <vector>

#include "millrace/stack/engine.h"

namespace millrace::apps {
namespace {

constexpr Endpoint kAt{IpAddress::V4(0), 80};

// Two workers that answer when they are polled.
class ControlDeskTest : public ::testing::Test {
 protected:
  struct Worker {
    Worker() {
      stack::EngineConfig config;
      config.address = *IpPrefix::Parse("10.0.0.1/24");
      config.limits = {.connections = 16, .half_open = 16, .time_wait = 16};
      config.pages = Region::Pages::kPlain;
      engine = std::make_unique<stack::Engine>(config, stack::PortCapabilities(),
                                               stack::EngineSecrets(), Instant());
    }
    std::unique_ptr<stack::Engine> engine;
    stack::Control control;
  };

  void Work(size_t i) {
    for (int turn = 0; turn < 4; ++turn) workers_[i].control.Poll(*workers_[i].engine, now_);
  }
  bool Ask(const stack::ControlRequest& request, uint32_t rows = 0) {
    return desk_.Ask(
        {&request, 1}, kPatience, now_,
        [this](const ControlDesk::Answers& answers) { told_.push_back(answers); }, rows);
  }

  static constexpr Duration kPatience = Duration::Seconds(1);
  Instant now_ = Instant::FromNanoseconds(1'000'000'000);
  std::array<Worker, 2> workers_;
  ControlDesk desk_{{&workers_[0].control, &workers_[1].control}};
  std::vector<ControlDesk::Answers> told_;
};

TEST_F(ControlDeskTest, TellsOnceWhenAllHaveAnswered) {
  ASSERT_TRUE(Ask({.kind = stack::ControlKind::kCount}));
  Work(0);
  desk_.Poll(now_);
  EXPECT_TRUE(told_.empty());
  Work(1);
  desk_.Poll(now_);
  desk_.Poll(now_ + kPatience);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].snapshots.size(), 2u);
  EXPECT_EQ(told_[0].snapshots[1].at, now_);
  EXPECT_TRUE(told_[0].silent.empty());
  EXPECT_EQ(desk_.under_way(), 0u);
}

TEST_F(ControlDeskTest, SilentWorkersAreNamedAndWhatTheyMayWriteToStays) {
  ASSERT_TRUE(Ask({.kind = stack::ControlKind::kList}, 10));
  Work(1);
  desk_.Poll(now_ + kPatience);
  ASSERT_EQ(told_.size(), 1u);
  EXPECT_EQ(told_[0].silent, std::vector<uint32_t>{0});
  EXPECT_TRUE(told_[0].rows[1].empty());
  EXPECT_EQ(desk_.under_way(), 1u);
  Work(0);
  desk_.Poll(now_ + kPatience);
  EXPECT_EQ(told_.size(), 1u);
  EXPECT_EQ(desk_.under_way(), 0u);
}

TEST_F(ControlDeskTest, AsksAreBounded) {
  for (size_t i = 0; i < ControlDesk::kAsksMax; ++i) {
    EXPECT_TRUE(Ask({.kind = stack::ControlKind::kCount}));
  }
  EXPECT_FALSE(Ask({.kind = stack::ControlKind::kCount}));
  // The end of a worker still finds room.
  EXPECT_TRUE(workers_[0].control.Ask({.kind = stack::ControlKind::kDrain, .tag = UINT64_MAX}));
}

TEST_F(ControlDeskTest, ABacklogIsSharedOut) {
  ASSERT_TRUE(Ask({.kind = stack::ControlKind::kListen, .endpoint = kAt, .backlog = 7}));
  Work(0);
  Work(1);
  desk_.Poll(now_);
  ASSERT_EQ(told_.size(), 1u);
  ASSERT_EQ(told_[0].answers.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const stack::ListenerTable& listeners = workers_[i].engine->listeners();
    const uint16_t at = listeners.Find(IpAddress::V4(0x0A00'0001), kAt.port);
    ASSERT_NE(at, stack::ListenerTable::kNone);
    EXPECT_EQ(listeners[at].backlog, i == 0 ? 4u : 3u);
  }
}

// Who is told asks again, as a list of changes does.
TEST_F(ControlDeskTest, WhoIsToldMayAskAgain) {
  int told = 0;
  const stack::ControlRequest request{.kind = stack::ControlKind::kCount};
  const auto again = [&](const ControlDesk::Answers&) {
    ++told;
    EXPECT_TRUE(desk_.Ask({&request, 1}, kPatience, now_,
                          [&told](const ControlDesk::Answers&) { ++told; }));
  };
  ASSERT_TRUE(desk_.Ask({&request, 1}, kPatience, now_, again));
  for (int turn = 0; turn < 2; ++turn) {
    Work(0);
    Work(1);
    desk_.Poll(now_);
  }
  EXPECT_EQ(told, 2);
  EXPECT_EQ(desk_.under_way(), 0u);
}

}  // namespace
}  // namespace millrace::apps
