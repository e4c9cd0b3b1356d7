// base/secret.h - keys that nobody outside the process can guess.
#ifndef MILLRACE_BASE_SECRET_H_
#define MILLRACE_BASE_SECRET_H_

#include <cstddef>

#include "millrace/base/siphash.h"

namespace millrace {

// 128 bits from the operating system's generator, getrandom(2). Waits, early after boot, until
// that is seeded; ends the process when there is none. For set-up code: the engine takes its keys
// as arguments, so that the simulator can give fixed ones.
SipKey RandomSipKey();

// Leaves the pages of `object` out of core dumps, madvise(MADV_DONTDUMP): a dump that goes to
// somebody else's desk has no keys. What shares its first and last page is left out too.
void ExcludeFromCoreDump(const void* object, size_t bytes);

}  // namespace millrace

#endif  // MILLRACE_BASE_SECRET_H_
