// testing/golden.h - compares a text with a file of the tree, named from its root.
//
// MILLRACE_UPDATE_GOLDEN=1 in the environment writes the file instead; look at the difference.
#ifndef MILLRACE_TESTING_GOLDEN_H_
#define MILLRACE_TESTING_GOLDEN_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#ifndef MILLRACE_SOURCE_ROOT  // the build says it; else the working directory is taken for it
#define MILLRACE_SOURCE_ROOT "."
#endif

// The root of the tree; meson.build names it for tests that use this header.
#ifndef MILLRACE_SOURCE_ROOT
#define MILLRACE_SOURCE_ROOT "."
#endif

namespace millrace::testing {

// `name`: "tests/golden/result.json".
inline std::string ReadGolden(const std::string& name) {
  std::ifstream file(MILLRACE_SOURCE_ROOT "/" + name, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void ExpectGolden(const std::string& text, const std::string& name) {
  if (std::getenv("MILLRACE_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(MILLRACE_SOURCE_ROOT "/" + name, std::ios::binary) << text;
  }
  EXPECT_EQ(text, ReadGolden(name)) << name;
}

}  // namespace millrace::testing

#endif  // MILLRACE_TESTING_GOLDEN_H_
