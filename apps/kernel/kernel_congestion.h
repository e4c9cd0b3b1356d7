// kernel/kernel_congestion.h - which algorithms govern the windows of the kernel's connections.
#ifndef MILLRACE_APPS_KERNEL_KERNEL_CONGESTION_H_
#define MILLRACE_APPS_KERNEL_KERNEL_CONGESTION_H_

#include <string>

#include "absl/status/statusor.h"
#include "millrace/tcp/config.h"

namespace millrace::apps {

// What the kernel calls the algorithm, when this process may use it; else what it may use, and what
// makes this one available.
absl::StatusOr<std::string> KernelCongestion(tcp::CongestionKind kind);
// What a socket has that nobody asks to have another; "" when that is not known.
std::string DefaultKernelCongestion();

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_KERNEL_KERNEL_CONGESTION_H_
