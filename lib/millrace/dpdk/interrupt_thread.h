// dpdk/interrupt_thread.h - work for the thread in which DPDK handles interrupts and alarms.
#ifndef MILLRACE_DPDK_INTERRUPT_THREAD_H_
#define MILLRACE_DPDK_INTERRUPT_THREAD_H_

#include "absl/functional/function_ref.h"

namespace millrace::dpdk {

// Does `work` in that thread, between its other work, and returns when it is done; in the calling
// thread when no alarm can be set. What a driver does in answer to an event can then not happen at
// the same time. Costs some microseconds of waiting. REQUIRES: EAL runs, and this is another
// thread.
void DoInInterruptThread(absl::FunctionRef<void()> work);

// Lets that thread do nothing more for as long as the process lives. rte_eal_cleanup (22.11) takes
// EAL's memory away and not the thread, which then reads the handles that drivers have left behind:
// that of a memif leaves one for each socket it listened on.
void ParkInterruptThread();

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_INTERRUPT_THREAD_H_
