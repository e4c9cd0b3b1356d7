// The state table of RFC 9293 section 3.3.2, and its drawing.

#include "millrace/tcp/state.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace millrace::tcp {
namespace {

State At(int i) { return static_cast<State>(i); }

TEST(State, DrawingMatchesTheGoldenFile) {
  std::ifstream file(MILLRACE_GOLDEN_DIR "/tcp_states.dot");
  ASSERT_TRUE(file.good());
  const std::string golden((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(TransitionsToDot(), golden);
}

TEST(State, NamesAreThoseOfTheRfc) {
  EXPECT_STREQ(ToString(State::kSynReceived), "SYN-RECEIVED");
  EXPECT_STREQ(ToString(State::kFinWait2), "FIN-WAIT-2");
  EXPECT_STREQ(ToString(State::kTimeWait), "TIME-WAIT");
}

TEST(State, NoStateFollowsItself) {
  for (int i = 0; i < kStateCount; ++i) EXPECT_FALSE(IsLegalTransition(At(i), At(i))) << i;
}

TEST(State, EveryStateIsReachedAndEveryStateEndsInClosed) {
  uint32_t reached = StateBit(State::kClosed);
  for (int round = 0; round < kStateCount; ++round) {
    for (int i = 0; i < kStateCount; ++i) {
      if ((reached & StateBit(At(i))) != 0) reached |= kLegalTransitions[i];
    }
  }
  EXPECT_EQ(reached, (1u << kStateCount) - 1);
  for (int i = 1; i < kStateCount; ++i) {
    EXPECT_TRUE(IsLegalTransition(At(i), State::kClosed)) << ToString(At(i));
  }
}

TEST(State, NothingLeadsBackIntoEstablishedOnceItWasLeft) {
  for (State s : {State::kFinWait1, State::kFinWait2, State::kCloseWait, State::kClosing,
                  State::kLastAck, State::kTimeWait}) {
    EXPECT_FALSE(IsLegalTransition(s, State::kEstablished)) << ToString(s);
  }
}

TEST(State, SynchronizedStatesBeginWithEstablished) {
  EXPECT_FALSE(IsSynchronized(State::kSynSent));
  EXPECT_FALSE(IsSynchronized(State::kSynReceived));
  for (int i = static_cast<int>(State::kEstablished); i < kStateCount; ++i) {
    EXPECT_TRUE(IsSynchronized(At(i))) << ToString(At(i));
  }
}

}  // namespace
}  // namespace millrace::tcp
