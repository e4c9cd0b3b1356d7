// apps/common/hosted_stack.h - a Stack over a DPDK port, with or without a bad network in between.
//
// Threading: made and destroyed by one thread, polled by one worker in between. Destroyed before
// the port: the engine gives its packets back.
#ifndef MILLRACE_APPS_COMMON_HOSTED_STACK_H_
#define MILLRACE_APPS_COMMON_HOSTED_STACK_H_

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/dpdk_port.h"
#include "millrace/sim/impaired_port.h"
#include "millrace/stack/stack.h"

namespace millrace::apps {

// Frames that an impaired port holds at most, per direction; the pool of packets must have room.
inline constexpr uint32_t kHeldPacketsMax = 8192;

template <stack::App A>
class HostedStack {
 public:
  using ImpairedPort = sim::ImpairedPort<dpdk::DpdkPort>;

  // `port` and `app` outlive the result. `impairment` is applied in both directions.
  static absl::StatusOr<std::unique_ptr<HostedStack>> Create(
      dpdk::DpdkPort& port, A& app, const stack::EngineConfig& config,
      const std::optional<sim::Impairment>& impairment, Instant now) {
    std::unique_ptr<HostedStack> hosted(new HostedStack);
    const auto secrets = stack::EngineSecrets::FromOperatingSystem();
    if (impairment) {
      hosted->impaired_port_ =
          std::make_unique<ImpairedPort>(port, *impairment, *impairment, kHeldPacketsMax);
      hosted->impaired_ = std::make_unique<stack::Stack<ImpairedPort, A>>(
          *hosted->impaired_port_, app, config, secrets, now);
    } else {
      hosted->plain_ =
          std::make_unique<stack::Stack<dpdk::DpdkPort, A>>(port, app, config, secrets, now);
    }
    if (!hosted->engine().ok()) {
      return absl::ResourceExhaustedError(
          "the machine gives no memory for the connection tables: ask for fewer connections");
    }
    return hosted;
  }

  size_t Poll(Instant now) { return plain_ != nullptr ? plain_->Poll(now) : impaired_->Poll(now); }
  // Polls until duplicate address detection is through (a second), when there is IPv6.
  absl::Status AwaitAddress(dpdk::Clock& clock) {
    const stack::HostV6& host = engine().host_v6();
    while (host.address_state() == stack::AddressState::kTentative) Poll(clock.Now());
    if (host.address_state() != stack::AddressState::kDuplicate) return absl::OkStatus();
    return absl::AlreadyExistsError(engine().config().host_v6.address.address.ToString() +
                                    " is in use by another station of this network");
  }
  stack::Engine& engine() { return plain_ != nullptr ? plain_->engine() : impaired_->engine(); }
  // Null when the network is as it is.
  const ImpairedPort* impaired_port() const { return impaired_port_.get(); }

 private:
  HostedStack() = default;

  std::unique_ptr<ImpairedPort> impaired_port_;
  std::unique_ptr<stack::Stack<ImpairedPort, A>> impaired_;
  std::unique_ptr<stack::Stack<dpdk::DpdkPort, A>> plain_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_HOSTED_STACK_H_
