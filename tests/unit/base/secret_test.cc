#include "millrace/base/secret.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

namespace millrace {
namespace {

// ISN-03: keys are the kernel's; a process that starts again has others. Fails by chance once in
// 2^64 runs.
TEST(RandomSipKey, DiffersFromCallToCallInBothHalves) {
  const SipKey a = RandomSipKey(), b = RandomSipKey();
  EXPECT_NE(a.k0, b.k0);
  EXPECT_NE(a.k1, b.k1);
  EXPECT_NE(a.k0, a.k1);
}

// Whether the kernel leaves the page of `object` out of a core dump: "dd" among its flags.
bool IsExcluded(const void* object) {
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool inside = false;
  while (std::getline(maps, line)) {
    uint64_t begin = 0, end = 0;
    char dash = 0;
    std::istringstream range(line);
    if (range >> std::hex >> begin >> dash >> end && dash == '-') {
      const auto at = reinterpret_cast<uintptr_t>(object);
      inside = at >= begin && at < end;
    } else if (inside && line.rfind("VmFlags:", 0) == 0) {
      return line.find(" dd") != std::string::npos;
    }
  }
  return false;
}

// ISN-04
TEST(Secrets, AreLeftOutOfCoreDumps) {
  std::vector<std::byte> memory(64 * 1024);
  std::byte* const object = &memory[20 * 1024];
  EXPECT_FALSE(IsExcluded(object));
  ExcludeFromCoreDump(object, 10'000);
  EXPECT_TRUE(IsExcluded(object));
  EXPECT_TRUE(IsExcluded(object + 9'999));
  EXPECT_FALSE(IsExcluded(&memory[0]));
  EXPECT_FALSE(IsExcluded(&memory[40 * 1024]));
}

// ISN-04: nothing can print a key by accident.
template <class T>
concept Printable = requires(std::ostream& out, T value) {
  out << value;
};
static_assert(Printable<int> && !Printable<SipKey>);

}  // namespace
}  // namespace millrace
