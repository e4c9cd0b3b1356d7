#include "millrace/base/secret.h"

#include <sys/random.h>

#include <cerrno>

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

}  // namespace millrace
