// The list of connections to visit: first in, first out, however full it is kept and however long.
#include "millrace/stack/visit_list.h"

#include <deque>
#include <vector>

#include "gtest/gtest.h"
#include "millrace/base/prng.h"

namespace millrace::stack {
namespace {

TEST(VisitList, GivesThemInTheOrderInWhichTheyCame) {
  std::vector<Connection> connections(3);
  VisitList list(3);
  ASSERT_TRUE(list.ok());
  EXPECT_TRUE(list.empty());
  for (Connection& c : connections) list.Push(c);
  for (Connection& c : connections) {
    EXPECT_FALSE(list.empty());
    EXPECT_EQ(&list.Pop(), &c);
  }
  EXPECT_TRUE(list.empty());
}

// A connection that was visited comes again while others still wait, so that the list never runs
// empty and moves on until it has to begin anew.
TEST(VisitList, NeverRunsEmptyNorOver) {
  for (const uint32_t capacity : {1u, 2u, 7u, 5000u}) {
    std::vector<Connection> connections(capacity);
    VisitList list(capacity);
    std::deque<Connection*> expected;
    for (Connection& c : connections) {
      list.Push(c);
      expected.push_back(&c);
    }
    for (int poll = 0; poll < 50; ++poll) {
      list.MakeRoom();
      for (size_t visits = 0; visits < VisitList::kPopsMax; ++visits) {
        Connection& c = list.Pop();
        ASSERT_EQ(&c, expected.front()) << capacity << " poll " << poll;
        expected.pop_front();
        list.Push(c);
        expected.push_back(&c);
      }
    }
  }
}

TEST(VisitList, SomeComeAndSomeGoInEachPoll) {
  Prng prng(3);
  constexpr uint32_t kCapacity = 100;
  std::vector<Connection> connections(kCapacity);
  std::deque<Connection*> away, expected;
  for (Connection& c : connections) away.push_back(&c);
  VisitList list(kCapacity);
  for (int poll = 0; poll < 2000; ++poll) {
    list.MakeRoom();
    for (uint64_t n = prng.Below(away.size() + 1); n > 0; --n) {
      list.Push(*away.front());
      expected.push_back(away.front());
      away.pop_front();
    }
    for (uint64_t n = prng.Below(expected.size() + 1); n > 0; --n) {
      Connection& c = list.Pop();
      ASSERT_EQ(&c, expected.front()) << "poll " << poll;
      expected.pop_front();
      away.push_back(&c);
    }
    ASSERT_EQ(list.empty(), expected.empty());
  }
}

}  // namespace
}  // namespace millrace::stack
