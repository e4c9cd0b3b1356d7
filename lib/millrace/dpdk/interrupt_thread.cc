#include "millrace/dpdk/interrupt_thread.h"

#include <rte_alarm.h>
#include <rte_interrupts.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <semaphore>

namespace millrace::dpdk {
namespace {

constexpr uint64_t kSoonUs = 1;

struct Task {
  absl::FunctionRef<void()> work;
  std::binary_semaphore done{0};
};

[[noreturn]] void Park(void* argument) {
  static_cast<std::binary_semaphore*>(argument)->release();  // the caller's, gone from here on
  while (true) pause();
}

}  // namespace

void DoInInterruptThread(absl::FunctionRef<void()> work) {
  Task task{work};
  const auto run = [](void* argument) {
    Task& of_caller = *static_cast<Task*>(argument);
    of_caller.work();
    of_caller.done.release();
  };
  if (rte_eal_alarm_set(kSoonUs, run, &task) != 0) return work();
  task.done.acquire();
}

void ParkInterruptThread() {
  // An event that is there at once. Not an alarm: to clean up, EAL waits for the end of one.
  const int event = eventfd(1, EFD_CLOEXEC);
  rte_intr_handle* handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
  std::binary_semaphore parked{0};
  if (event >= 0 && handle != nullptr && rte_intr_fd_set(handle, event) == 0 &&
      rte_intr_type_set(handle, RTE_INTR_HANDLE_EXT) == 0 &&
      rte_intr_callback_register(handle, Park, &parked) == 0) {
    parked.acquire();
  } else if (event >= 0) {
    close(event);
  }
  rte_intr_instance_free(handle);  // EAL has a copy
}

}  // namespace millrace::dpdk
