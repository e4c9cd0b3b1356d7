#include "millrace/base/secret.h"

#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "millrace/base/check.h"

namespace millrace {

SipKey RandomSipKey() {
  SipKey key;
  ssize_t got;
  do {
    got = getrandom(&key, sizeof key, 0);
  } while (got < 0 && errno == EINTR);
  // getrandom(2): requests of up to 256 octets are never cut short once the generator is seeded.
  MR_CHECK(got == static_cast<ssize_t>(sizeof key));
  return key;
}

void ExcludeFromCoreDump(const void* object, size_t bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(object) & ~(page - 1);
  const auto end = (reinterpret_cast<uintptr_t>(object) + bytes + page - 1) & ~(page - 1);
  // A kernel that does not know the advice dumps them: nothing to be done about it.
  (void)madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTDUMP);
}

}  // namespace millrace
