// load/failure.h - why a connection failed: every one that does has exactly one of these reasons,
// and the sum over the reasons is the number of failures.
#ifndef MILLRACE_APPS_LOAD_FAILURE_H_
#define MILLRACE_APPS_LOAD_FAILURE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>

namespace millrace::apps {

// X(enumerator, printed name, what it means)
#define MILLRACE_LOAD_FAILURES(X)                                                              \
  X(kSynTimeout, "syn_timeout", "no answer to the SYN in time")                                \
  X(kRstInSynSent, "rst_in_syn_sent", "the SYN was answered by a reset")                       \
  X(kUnreachable, "unreachable", "no neighbour answers, or ICMP says that there is no way")    \
  X(kRstAfterEstablished, "rst_after_established", "reset before the last response was whole") \
  X(kRstInClose, "rst_in_close", "reset after the last response")                              \
  X(kTcpTimeout, "tcp_timeout", "retransmitted until TCP gave up")                             \
  X(kFirstByteTimeout, "first_byte_timeout", "no octet of a response in time")                 \
  X(kLastByteTimeout, "last_byte_timeout", "a response began but was not whole in time")       \
  X(kCloseTimeout, "close_timeout", "the close did not end in time")                           \
  X(kClosedEarly, "closed_early", "the server closed before a response was whole")             \
  X(kExtraData, "extra_data", "more octets than the response has")                             \
  X(kNotHttp, "not_http", "the response is malformed")                                         \
  X(kHttpStatus, "http_status", "an HTTP status other than 2xx or 3xx")                        \
  X(kWrongLength, "wrong_length", "the body has another length than --resp-size")              \
  X(kWrongPayload, "wrong_payload", "octets other than the expected ones")                     \
  X(kNoSourcePort, "no_source_port", "every source address and port was in use")               \
  X(kNoMemory, "no_memory", "a pool of the generator was empty")                               \
  X(kNoRoute, "no_route", "neither on the attached network nor behind a gateway")              \
  X(kOpenMax, "open_max", "as many as --open-max were under way until the time was over")      \
  X(kPortFull, "port_full", "the port had no room for more until the time was over")           \
  X(kNotStarted, "not_started", "the generator had not started it when the time was over")     \
  X(kUnfinished, "unfinished", "under way when the run was over")

enum class LoadFailure : uint8_t {
#define MILLRACE_DECLARE_FAILURE(enumerator, name, meaning) enumerator,
  MILLRACE_LOAD_FAILURES(MILLRACE_DECLARE_FAILURE)
#undef MILLRACE_DECLARE_FAILURE
      kNone
};

inline constexpr size_t kLoadFailures = static_cast<size_t>(LoadFailure::kNone);

constexpr const char* ToString(LoadFailure failure) {
  switch (failure) {
#define MILLRACE_NAME_FAILURE(enumerator, name, meaning) \
  case LoadFailure::enumerator:                          \
    return name;
    MILLRACE_LOAD_FAILURES(MILLRACE_NAME_FAILURE)
#undef MILLRACE_NAME_FAILURE
    case LoadFailure::kNone:
      break;
  }
  return "none";
}

constexpr const char* MeaningOf(LoadFailure failure) {
  switch (failure) {
#define MILLRACE_EXPLAIN_FAILURE(enumerator, name, meaning) \
  case LoadFailure::enumerator:                             \
    return meaning;
    MILLRACE_LOAD_FAILURES(MILLRACE_EXPLAIN_FAILURE)
#undef MILLRACE_EXPLAIN_FAILURE
    case LoadFailure::kNone:
      break;
  }
  return "";
}

struct FailureCounts {
  std::array<uint64_t, kLoadFailures> counts{};

  uint64_t& operator[](LoadFailure failure) { return counts[static_cast<size_t>(failure)]; }
  uint64_t operator[](LoadFailure failure) const { return counts[static_cast<size_t>(failure)]; }
  uint64_t total() const { return std::accumulate(counts.begin(), counts.end(), uint64_t{0}); }
  // What the generator and not the target did.
  uint64_t of_generator() const {
    return (*this)[LoadFailure::kNoSourcePort] + (*this)[LoadFailure::kNoMemory] +
           (*this)[LoadFailure::kNoRoute] + (*this)[LoadFailure::kNotStarted];
  }
  void Add(const FailureCounts& other) {
    for (size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
  }
  // Calls visit(LoadFailure, count) for each reason that occurred.
  template <class Visit>
  void ForEach(Visit&& visit) const {
    for (size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] != 0) visit(static_cast<LoadFailure>(i), counts[i]);
    }
  }
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_FAILURE_H_
