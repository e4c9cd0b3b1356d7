#include "millrace/tcp/soft_error.h"

namespace millrace::tcp {

const char* ToString(SoftError error) {
  switch (error) {
    case SoftError::kNone:
      return "none";
    case SoftError::kNetUnreachable:
      return "network unreachable";
    case SoftError::kHostUnreachable:
      return "host unreachable";
    case SoftError::kProhibited:
      return "administratively prohibited";
    case SoftError::kTimeExceeded:
      return "time exceeded";
    case SoftError::kParameterProblem:
      return "parameter problem";
    case SoftError::kProtocolUnreachable:
      return "protocol unreachable";
    case SoftError::kPortUnreachable:
      return "port unreachable";
    case SoftError::kNoAnswer:
      return "no answer";
    case SoftError::kOther:
      break;
  }
  return "other error";
}

}  // namespace millrace::tcp
