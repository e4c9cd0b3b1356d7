#include "apps/serve/delay_line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <vector>

namespace millrace::apps {
namespace {

constexpr Instant AtMs(int64_t ms) { return Instant::FromNanoseconds(ms * 1'000'000); }

// Connections by their index, and which of them still wait.
class Line {
 public:
  void Push(int64_t due_ms, uint32_t index) {
    line_.Push(AtMs(due_ms), {.index = index, .generation = 1});
    there_.insert(index);
  }
  void Go(uint32_t index) {
    there_.erase(index);
    line_.OnGone(Waits());
  }
  std::vector<uint32_t> PopAll(int64_t now_ms) {
    std::vector<uint32_t> popped;
    for (stack::ConnectionId id; line_.Pop(AtMs(now_ms), Waits(), &id);) popped.push_back(id.index);
    return popped;
  }
  const DelayLine& line() const { return line_; }

 private:
  std::function<bool(stack::ConnectionId)> Waits() {
    return [this](stack::ConnectionId id) { return there_.contains(id.index); };
  }

  DelayLine line_;
  std::set<uint32_t> there_;
};

TEST(DelayLine, GivesWhatIsDueTheEarliestFirst) {
  Line line;
  line.Push(30, 3);
  line.Push(10, 1);
  line.Push(20, 2);
  EXPECT_EQ(line.line().NextDue(), AtMs(10));
  EXPECT_EQ(line.PopAll(25), (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(line.line().NextDue(), AtMs(30));
  EXPECT_EQ(line.PopAll(30), (std::vector<uint32_t>{3}));
  EXPECT_EQ(line.line().NextDue(), Instant::Never());
}

TEST(DelayLine, ForgetsWhoHasGone) {
  Line line;
  line.Push(10, 1);
  line.Push(20, 2);
  line.Go(1);
  EXPECT_EQ(line.PopAll(50), (std::vector<uint32_t>{2}));
  EXPECT_EQ(line.line().size(), 0u);
}

// A hundred thousand connections come and go before their answers are due.
TEST(DelayLine, IsNoLongerThanTwiceWhatWaits) {
  Line line;
  for (uint32_t i = 0; i < 10; ++i) line.Push(5'000 + i, i);
  size_t longest = 0;
  for (uint32_t i = 10; i < 100'000; ++i) {
    line.Push(1'000'000 - i, i);
    line.Go(i);
    longest = std::max(longest, line.line().size());
  }
  EXPECT_LE(longest, 2 * 64u + 10);
  EXPECT_EQ(line.PopAll(2'000'000).size(), 10u);
}

}  // namespace
}  // namespace millrace::apps
