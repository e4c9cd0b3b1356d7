#include "millrace/base/secret.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

// Fails by chance once in 2^64 runs.
TEST(RandomSipKey, DiffersFromCallToCallInBothHalves) {
  const SipKey a = RandomSipKey(), b = RandomSipKey();
  EXPECT_NE(a.k0, b.k0);
  EXPECT_NE(a.k1, b.k1);
  EXPECT_NE(a.k0, a.k1);
}

}  // namespace
}  // namespace millrace
