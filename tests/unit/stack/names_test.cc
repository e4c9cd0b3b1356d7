// What the programs print of results: every value has a text of its own.

#include <gtest/gtest.h>

#include <initializer_list>
#include <set>
#include <string>

#include "millrace/stack/engine_types.h"
#include "millrace/tcp/soft_error.h"
#include "millrace/tcp/tcb.h"

namespace millrace::stack {
namespace {

template <class Enum>
void ExpectNames(std::initializer_list<Enum> values) {
  std::set<std::string> names;
  for (const Enum value : values) names.insert(ToString(value));
  EXPECT_EQ(names.size(), values.size());
  EXPECT_FALSE(names.contains("?"));
  EXPECT_FALSE(names.contains(""));
}

TEST(Names, EveryResultHasItsOwn) {
  ExpectNames({ListenResult::kOk, ListenResult::kInUse, ListenResult::kNotOurs,
               ListenResult::kUnsupported});
  ExpectNames({ConnectResult::kOk, ConnectResult::kNoPorts, ConnectResult::kNoMemory,
               ConnectResult::kNoRoute, ConnectResult::kBadAddress, ConnectResult::kUnsupported});
  using tcp::CloseReason;
  ExpectNames({CloseReason::kNormal, CloseReason::kRefused, CloseReason::kReset,
               CloseReason::kTimedOut, CloseReason::kAborted, CloseReason::kUnreachable});
  using tcp::SoftError;
  ExpectNames({SoftError::kNone, SoftError::kNetUnreachable, SoftError::kHostUnreachable,
               SoftError::kProhibited, SoftError::kTimeExceeded, SoftError::kParameterProblem,
               SoftError::kProtocolUnreachable, SoftError::kPortUnreachable, SoftError::kNoAnswer,
               SoftError::kOther});
}

}  // namespace
}  // namespace millrace::stack
