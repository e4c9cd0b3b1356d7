// kernel/kernel_sources.h - from which local addresses and ports connections over the kernel's
// sockets are opened, and how many tuples that are.
//
// Where nothing is asked for the kernel chooses (RFC 6056, by destination), which is also the
// quickest. A range of ports, or sequential ones, are gone through here: each comes again when all
// others had their turn, so that it has been unused for the longest time.
#ifndef MILLRACE_APPS_KERNEL_KERNEL_SOURCES_H_
#define MILLRACE_APPS_KERNEL_KERNEL_SOURCES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/source_ports.h"
#include "millrace/base/ip_address.h"
#include "millrace/base/time.h"

namespace millrace::apps {

// What the kernel is set to (/proc/sys/net/ipv4).
struct KernelPortSettings {
  uint16_t port_min = 32'768, port_max = 60'999;  // ip_local_port_range
  int time_wait_reuse = 2;                        // tcp_tw_reuse: 0 never, 1 always, 2 on loopback
  bool timestamps = true;

  static KernelPortSettings Read();
  // For how long a tuple cannot be used again after we closed first.
  Duration TimeWaitTo(const IpAddress& remote) const;
};

struct KernelSources {
  std::vector<IpAddress> addresses;  // of one family; empty: the kernel's choice
  // The first and the last port; nullopt: the kernel's choice.
  std::optional<std::pair<uint16_t, uint16_t>> ports;
  bool sequential = false;

  // --src and --src-port for targets of a family; `settings` has the range of "sequential".
  static absl::StatusOr<KernelSources> Parse(const std::string& src, const SourcePortChoice& choice,
                                             bool v4, const KernelPortSettings& settings);
  // Tries whether the kernel lets us have all of them.
  absl::Status Check() const;
};

// One worker's way through the sources that `of` workers share.
class SourceWalk {
 public:
  SourceWalk() = default;
  SourceWalk(std::shared_ptr<const KernelSources> sources, uint32_t worker, uint32_t of,
             uint64_t seed);

  // Binds a socket to the next source. 0, or errno.
  int Bind(int fd, bool v4);
  // The next one: an unspecified address, or port 0, is left to the kernel.
  Endpoint Next(bool v4);
  // How many sources are tried for a connection before there is none.
  int tries() const { return tries_; }

 private:
  std::shared_ptr<const KernelSources> sources_;
  uint64_t tuples_ = 1;
  uint64_t at_ = 0, first_ = 0, step_ = 1;  // numbers of this worker
  uint64_t factor_ = 1, offset_ = 0;        // from a number to its tuple
  int tries_ = 1;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_KERNEL_KERNEL_SOURCES_H_
