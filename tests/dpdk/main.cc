#include <sched.h>

#include "dpdk/environment.h"

namespace millrace::dpdk {

EalOptions EalEnvironment::Options() {
  EalOptions options;
  options.memory_mb = 64;
  options.huge_pages = HugePages::kOff;
  return options;
}

void EalEnvironment::SetUp() {
  cpu_set_t before, after;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  auto eal = Eal::Start(Options());
  ASSERT_TRUE(eal.ok()) << eal.status();
  eal_ = *std::move(eal);
  ASSERT_EQ(sched_getaffinity(0, sizeof after, &after), 0);
  affinity_was_kept_ = CPU_EQUAL(&before, &after) != 0;
}

void EalEnvironment::TearDown() { eal_.reset(); }

EalEnvironment& TestEnvironment() {
  // gtest owns and deletes it.
  // tidy: allow(mutable-global) GoogleTest owns it, the EAL is one per process
  static auto* environment =
      static_cast<EalEnvironment*>(::testing::AddGlobalTestEnvironment(new EalEnvironment));
  return *environment;
}

}  // namespace millrace::dpdk

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  millrace::dpdk::TestEnvironment();
  return RUN_ALL_TESTS();
}
