// tests/dpdk/environment.h - the one EAL of the test process.
#ifndef MILLRACE_TESTS_DPDK_ENVIRONMENT_H_
#define MILLRACE_TESTS_DPDK_ENVIRONMENT_H_

#include <gtest/gtest.h>

#include <memory>

#include "millrace/dpdk/eal.h"

namespace millrace::dpdk {

class EalEnvironment : public ::testing::Environment {
 public:
  void SetUp() override;
  void TearDown() override;

  static EalOptions Options();
  const Eal& eal() const { return *eal_; }
  bool affinity_was_kept() const { return affinity_was_kept_; }

 private:
  std::unique_ptr<Eal> eal_;
  bool affinity_was_kept_ = false;
};

EalEnvironment& TestEnvironment();

}  // namespace millrace::dpdk

#endif  // MILLRACE_TESTS_DPDK_ENVIRONMENT_H_
