// base/check.h - broken invariants end the process; peers cannot reach one.
//
// MR_CHECK is always on and belongs on cold paths. MR_DCHECK is on in debug, sanitizer and fuzz
// builds (MILLRACE_DCHECK) and belongs on hot paths. Neither may depend on bytes that a peer
// sends: that is data, see tcp/input.cc.
#ifndef MILLRACE_BASE_CHECK_H_
#define MILLRACE_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

namespace millrace {

[[noreturn]] inline void CheckFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace millrace

#define MR_CHECK(condition) \
  ((condition) ? (void)0 : ::millrace::CheckFailed(#condition, __FILE__, __LINE__))

#if defined(MILLRACE_DCHECK)
#define MR_DCHECK(condition) MR_CHECK(condition)
#else
#define MR_DCHECK(condition) ((void)sizeof(!(condition)))
#endif

#endif  // MILLRACE_BASE_CHECK_H_
