// base/inline.h - inlining where it decides about more than a call.
#ifndef MILLRACE_BASE_INLINE_H_
#define MILLRACE_BASE_INLINE_H_

// For small functions that take or fill a struct by reference: inlined before structs are taken
// apart into registers, which later inlining is not. Without it the fields of a header go through
// the stack by wide stores and narrow loads, and each of those loads waits.
#define MR_ALWAYS_INLINE [[gnu::always_inline]] inline

#endif  // MILLRACE_BASE_INLINE_H_
