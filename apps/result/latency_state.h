// result/latency_state.h - stages of a connection whose length is measured.
#ifndef MILLRACE_APPS_RESULT_LATENCY_STATE_H_
#define MILLRACE_APPS_RESULT_LATENCY_STATE_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace millrace::apps {

enum class LatencyState : uint8_t {
  kConnect,    // start to ESTABLISHED (SYN to SYN-ACK)
  kFirstByte,  // request to the first octet of its response
  kLastByte,   // request to the last octet of its response
  kClose,      // FIN to CLOSED or TIME-WAIT
  kTotal,      // start to end
};
inline constexpr size_t kLatencyStates = 5;

constexpr const char* ToString(LatencyState state) {
  constexpr std::array<const char*, kLatencyStates> kNames{"connect", "first_byte", "last_byte",
                                                           "close", "total"};
  return kNames[static_cast<size_t>(state)];
}

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_LATENCY_STATE_H_
