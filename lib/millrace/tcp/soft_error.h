// tcp/soft_error.h - what the network says about a connection without ending it.
//
// RFC 9293 3.9.2.2 (MUST-56, SHLD-25): soft errors "MUST NOT abort" a connection, and an
// application SHOULD be able to learn of them: Socket::TakeSoftError. RFC 5461 says why: most are
// over before TCP gives up.
#ifndef MILLRACE_TCP_SOFT_ERROR_H_
#define MILLRACE_TCP_SOFT_ERROR_H_

#include <cstdint>

namespace millrace::tcp {

// The ICMP and ICMPv6 errors by meaning. kProtocolUnreachable and kPortUnreachable are hard for an
// opening, which they end, and soft for a connection that is synchronized (RFC 5927 5.2).
enum class SoftError : uint8_t {
  kNone,
  kNetUnreachable,
  kHostUnreachable,
  kProhibited,    // by an administrator
  kTimeExceeded,  // a loop of routes, or a fragment that was missing
  kParameterProblem,
  kProtocolUnreachable,
  kPortUnreachable,
  kNoAnswer,  // no ICMP: R1 was reached (RFC 9293 3.8.3, SHLD-9)
  kOther,
};
const char* ToString(SoftError error);

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_SOFT_ERROR_H_
