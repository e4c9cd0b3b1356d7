// What a connection costs: a golden table, so that no change makes one dearer unnoticed.

#include <gtest/gtest.h>

#include <cstddef>

#include "millrace/stack/records.h"
#include "millrace/tcp/half_open.h"
#include "millrace/tcp/tcb.h"
#include "millrace/tcp/time_wait.h"

namespace millrace {
namespace {

struct Fact {
  const char* what;
  size_t actual, golden;
};

constexpr Fact kFacts[] = {
    {"sizeof(tcp::Tcb)", sizeof(tcp::Tcb), 192},
    {"alignof(tcp::Tcb)", alignof(tcp::Tcb), 4},
    {"sizeof(tcp::HalfOpen)", sizeof(tcp::HalfOpen), 24},
    {"sizeof(tcp::TimeWait)", sizeof(tcp::TimeWait), 20},
    {"sizeof(tcp::SendBuffer)", sizeof(tcp::SendBuffer), 20},
    {"sizeof(tcp::ReceiveQueue)", sizeof(tcp::ReceiveQueue), 24},
    {"sizeof(tcp::TimerTable)", sizeof(tcp::TimerTable), 20},
    {"sizeof(tcp::Extent)", sizeof(tcp::Extent), 24},
    {"sizeof(tcp::ReceiveNode)", sizeof(tcp::ReceiveNode), 32},
    {"sizeof(stack::Connection)", sizeof(stack::Connection), 240},
    {"sizeof(stack::HalfOpen)", sizeof(stack::HalfOpen), 52},
    {"sizeof(stack::TimeWait)", sizeof(stack::TimeWait), 48},
};

TEST(Sizes, AreThoseOfTheTable) {
  for (const Fact& fact : kFacts) EXPECT_EQ(fact.actual, fact.golden) << fact.what;
}

// The fields of the path of every segment lie together, at the beginning of the connection.
TEST(Sizes, HotFieldsLieTogether) {
  EXPECT_EQ(offsetof(stack::Connection, tcb), 0u);
  EXPECT_LT(offsetof(tcp::Tcb, snd_una), 64u);
  EXPECT_LT(offsetof(tcp::Tcb, rcv_nxt), 64u);
  EXPECT_LT(offsetof(tcp::Tcb, rcv_adv), 64u);
  EXPECT_LT(offsetof(tcp::Tcb, snd_wnd), 64u);
  EXPECT_LT(offsetof(tcp::Tcb, ts_recent), 64u);
  EXPECT_LT(offsetof(tcp::Tcb, bits), 64u);
  EXPECT_LT(offsetof(tcp::Tcb, state), 64u);
}

}  // namespace
}  // namespace millrace
