// model/sequence.h - comparison of sequence numbers modulo 2^32 (RFC 9293 3.4).
#ifndef MILLRACE_TESTS_MODEL_SEQUENCE_H_
#define MILLRACE_TESTS_MODEL_SEQUENCE_H_

#include <cstdint>

namespace millrace::model {

// `a` comes behind `b`: the way from b to a is shorter than half of the circle.
inline bool Above(uint32_t a, uint32_t b) { return a != b && a - b < 0x8000'0000u; }
inline bool AtMost(uint32_t a, uint32_t b) { return !Above(a, b); }
// first =< n < first + length.
inline bool Inside(uint32_t n, uint32_t first, uint32_t length) { return n - first < length; }

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_SEQUENCE_H_
