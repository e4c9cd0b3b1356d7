// kernel/kernel_counters.h - what is counted of connections over the kernel's sockets, with the
// names of tcp/counters.h where both count the same.
#ifndef MILLRACE_APPS_KERNEL_KERNEL_COUNTERS_H_
#define MILLRACE_APPS_KERNEL_KERNEL_COUNTERS_H_

#include <cstdint>

namespace millrace::apps {

// X(member, printed name)
#define MILLRACE_KERNEL_COUNTERS(X)                      \
  X(active_opens, "TcpActiveOpens")                      \
  X(in_segs, "TcpInSegs")                                \
  X(out_segs, "TcpOutSegs")                              \
  X(retrans_segs, "TcpRetransSegs")                      \
  X(rst_received, "TcpExtRstReceived")                   \
  X(abort_by_user, "TcpExtTCPAbortByUser")               \
  X(abort_on_timeout, "TcpExtTCPAbortOnTimeout")         \
  X(connections_full, "TcpExtConnectionsFull")           \
  X(ports_exhausted, "TcpExtPortsExhausted")             \
  X(ports_tried, "KernelPortsTriedAgain")                \
  X(sends_cut_short, "KernelSendsCutShort")              \
  X(descriptors_exhausted, "KernelDescriptorsExhausted") \
  X(memory_exhausted, "KernelMemoryExhausted")           \
  X(no_route, "KernelNoRoute")                           \
  X(unreachable, "KernelUnreachable")                    \
  X(not_counted, "KernelInfoMissing")

struct KernelCounters {
#define MILLRACE_DECLARE_COUNTER(member, name) uint64_t member = 0;
  MILLRACE_KERNEL_COUNTERS(MILLRACE_DECLARE_COUNTER)
#undef MILLRACE_DECLARE_COUNTER

  // Calls visit(name, value) for each counter, in the order above.
  template <class Visit>
  void ForEach(Visit&& visit) const {
#define MILLRACE_VISIT_COUNTER(member, name) visit(name, member);
    MILLRACE_KERNEL_COUNTERS(MILLRACE_VISIT_COUNTER)
#undef MILLRACE_VISIT_COUNTER
  }
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_KERNEL_KERNEL_COUNTERS_H_
