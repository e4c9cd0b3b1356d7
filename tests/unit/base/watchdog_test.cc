#include "millrace/base/watchdog.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

constexpr Instant At(int64_t ms) { return Instant::FromNanoseconds(ms * 1'000'000); }

TEST(Watchdog, SaysOnceThatAWorkerIsStuckAndOnceThatItGoesOn) {
  Watchdog watchdog(2, Duration::Milliseconds(120), At(0));
  uint64_t beat = 0;
  for (int64_t ms = 0; ms <= 300; ms += 30) {
    EXPECT_EQ(watchdog.Check(0, ++beat, At(ms)), Watchdog::Event::kNone);
    EXPECT_EQ(watchdog.Check(1, 7, At(ms)),
              ms == 120 ? Watchdog::Event::kStuck : Watchdog::Event::kNone)
        << ms;
  }
  EXPECT_EQ(watchdog.Check(1, 8, At(330)), Watchdog::Event::kRecovered);
  EXPECT_EQ(watchdog.silence(1), Duration::Milliseconds(300));
  EXPECT_EQ(watchdog.Check(1, 9, At(360)), Watchdog::Event::kNone);
}

TEST(Watchdog, TheNextSilenceIsAnAlarmAgain) {
  Watchdog watchdog(1, Duration::Milliseconds(100), At(0));
  EXPECT_EQ(watchdog.Check(0, 0, At(100)), Watchdog::Event::kStuck);
  EXPECT_EQ(watchdog.Check(0, 1, At(150)), Watchdog::Event::kRecovered);
  EXPECT_EQ(watchdog.Check(0, 1, At(249)), Watchdog::Event::kNone);
  EXPECT_EQ(watchdog.Check(0, 1, At(250)), Watchdog::Event::kStuck);
}

}  // namespace
}  // namespace millrace
