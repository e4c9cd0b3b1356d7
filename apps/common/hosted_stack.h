// apps/common/hosted_stack.h - a Stack over a DPDK port, with or without layers in between.
//
// Threading: made and destroyed by one thread, polled by one worker in between. Destroyed before
// the port: the engine gives its packets back.
#ifndef MILLRACE_APPS_COMMON_HOSTED_STACK_H_
#define MILLRACE_APPS_COMMON_HOSTED_STACK_H_

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/port_layers.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/dpdk_port.h"
#include "millrace/stack/stack.h"

namespace millrace::apps {

template <stack::App A>
class HostedStack {
 public:
  // `port` and `app` outlive the result.
  static absl::StatusOr<std::unique_ptr<HostedStack>> Create(dpdk::DpdkPort& port, A& app,
                                                             const stack::EngineConfig& config,
                                                             const LayerOptions& layers,
                                                             Instant now) {
    std::unique_ptr<HostedStack> hosted(new HostedStack);
    const auto secrets = stack::EngineSecrets::FromOperatingSystem();
    if (layers.any()) {
      hosted->layers_ = std::make_unique<PortLayers>(port, layers);
      hosted->layered_ = std::make_unique<stack::Stack<stack::AnyPort, A>>(
          hosted->layers_->top(), app, config, secrets, now);
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

  size_t Poll(Instant now) {
    if (plain_ != nullptr) return plain_->Poll(now);
    return layered_->Poll(now) + layers_->TakePassedOn();
  }
  // Polls until duplicate address detection is through (a second), when there is IPv6.
  absl::Status AwaitAddress(dpdk::Clock& clock) {
    const stack::HostV6& host = engine().host_v6();
    while (host.address_state() == stack::AddressState::kTentative) Poll(clock.Now());
    if (host.address_state() != stack::AddressState::kDuplicate) return absl::OkStatus();
    return absl::AlreadyExistsError(engine().config().host_v6.address.address.ToString() +
                                    " is in use by another station of this network");
  }
  stack::Engine& engine() { return plain_ != nullptr ? plain_->engine() : layered_->engine(); }
  // Null when there are none.
  const PortLayers* layers() const { return layers_.get(); }

 private:
  HostedStack() = default;

  std::unique_ptr<PortLayers> layers_;
  std::unique_ptr<stack::Stack<stack::AnyPort, A>> layered_;
  std::unique_ptr<stack::Stack<dpdk::DpdkPort, A>> plain_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_HOSTED_STACK_H_
