// apps/common/worker_group.h - the workers of all ports: a stack and an instance of the application
// each, pinned, watched, asked and stopped from one controlling thread.
//
// A port with one worker has a stack over the bare device. Of several, each has its share of the
// port's limits, its own tables, and what belongs to it (stack/steered_port.h); they share nothing
// but the rings between them, and workers of different ports not even those.
// Threading: everything here belongs to the controlling thread; an app and an engine may be touched
// before Start and after Stop.
#ifndef MILLRACE_APPS_COMMON_WORKER_GROUP_H_
#define MILLRACE_APPS_COMMON_WORKER_GROUP_H_

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/common/hosted_stack.h"
#include "apps/common/setup.h"
#include "apps/common/stop_signals.h"
#include "millrace/base/watchdog.h"
#include "millrace/dpdk/cpus.h"
#include "millrace/dpdk/worker.h"
#include "millrace/stack/control.h"

namespace millrace::apps {

template <stack::App A>
class WorkerGroup {
 public:
  using MakeApp = std::function<std::unique_ptr<A>(uint32_t worker)>;

  // A worker that shows no sign of life for this long is reported; it is looked at four times as
  // often.
  static constexpr Duration kStuckAfter = Duration::Milliseconds(120);
  static constexpr Duration kWatchInterval = Duration::Milliseconds(30);

  // `devices` outlives the group; a port's config is that of its workers together.
  static absl::StatusOr<std::unique_ptr<WorkerGroup>> Create(Devices& devices,
                                                             const MakeApp& make_app,
                                                             dpdk::Clock clock);
  ~WorkerGroup() { Join(); }
  WorkerGroup(const WorkerGroup&) = delete;
  WorkerGroup& operator=(const WorkerGroup&) = delete;

  uint32_t size() const { return static_cast<uint32_t>(members_.size()); }
  A& app(uint32_t worker) { return *members_[worker].app; }
  stack::Engine& engine(uint32_t worker) { return members_[worker].stack->engine(); }
  const PortLayers* layers(uint32_t worker) { return members_[worker].stack->layers(); }
  stack::Control& control(uint32_t worker) { return *members_[worker].control; }

  // Polls all until duplicate address detection is through (a second), when there is IPv6.
  absl::Status AwaitAddress();
  absl::Status Start(const std::string& name);
  // Sleeps for at most `interval`, and reports workers that are stuck, or go on, to stderr.
  // True when a signal came.
  bool Watch(StopSignals& signals, Duration interval = kWatchInterval);
  // Closes everything: listeners, then connections by FIN, and after `grace`, or at a second
  // signal, by RST. The workers have ended then.
  void Stop(Duration grace, StopSignals& signals);

 private:
  struct Member {
    std::unique_ptr<A> app;
    std::unique_ptr<HostedStack<A>> stack;
    std::unique_ptr<stack::Control> control;
    std::unique_ptr<dpdk::Worker> worker;
  };

  WorkerGroup(dpdk::IdleMode idle, std::vector<int> cpus, dpdk::Clock clock)
      : idle_(idle), cpus_(std::move(cpus)), clock_(clock) {}
  absl::Status AddWorkers(Device& device, LayerOptions layers, const MakeApp& make_app);
  void Join();

  dpdk::IdleMode idle_;
  std::vector<int> cpus_;
  dpdk::Clock clock_;
  std::vector<std::unique_ptr<stack::HandOver>> hand_overs_;  // of ports with several workers
  std::vector<Member> members_;
  std::optional<Watchdog> watchdog_;
};

// Inline definitions

template <stack::App A>
absl::StatusOr<std::unique_ptr<WorkerGroup<A>>> WorkerGroup<A>::Create(Devices& devices,
                                                                       const MakeApp& make_app,
                                                                       dpdk::Clock clock) {
  std::unique_ptr<WorkerGroup> group(new WorkerGroup(devices.idle, devices.Cpus(), clock));
  for (Device& device : devices.ports) {
    absl::Status added = group->AddWorkers(device, devices.layers, make_app);
    if (!added.ok()) return added;
  }
  return group;
}

template <stack::App A>
absl::Status WorkerGroup<A>::AddWorkers(Device& device, LayerOptions layers,
                                        const MakeApp& make_app) {
  dpdk::AttachedPort& attached = *device.port;
  const stack::Steering* const steering = attached.steering();
  const uint32_t workers = attached.workers();
  if (steering != nullptr) {
    const auto packets = static_cast<uint32_t>(attached.port().pool()->capacity());
    hand_overs_.push_back(std::make_unique<stack::HandOver>(
        workers, stack::HandOver::RingFramesFor(workers, packets)));
  }
  for (uint32_t i = 0; i < workers; ++i) {
    Member member{.app = make_app(size()), .control = std::make_unique<stack::Control>()};
    stack::EngineConfig config = device.config;
    if (steering != nullptr) {
      layers.place = SteeredPlace{steering, hand_overs_.back().get(), i, attached.queues()};
      config = config.ForWorker(*steering, i);
    }
    const dpdk::OnCpu on(cpus_[size()]);
    auto stack =
        HostedStack<A>::Create(attached.port(i), *member.app, config, layers, clock_.Now());
    if (!stack.ok()) return stack.status();
    member.stack = *std::move(stack);
    members_.push_back(std::move(member));
  }
  return absl::OkStatus();
}

template <stack::App A>
absl::Status WorkerGroup<A>::AwaitAddress() {
  const auto state = [this](uint32_t i) { return engine(i).host_v6().address_state(); };
  const auto tentative = [&] {
    for (uint32_t i = 0; i < size(); ++i) {
      if (state(i) == stack::AddressState::kTentative) return true;
    }
    return false;
  };
  while (tentative()) {
    for (Member& member : members_) member.stack->Poll(clock_.Now());
  }
  for (uint32_t i = 0; i < size(); ++i) {
    if (state(i) != stack::AddressState::kDuplicate) continue;
    return absl::AlreadyExistsError(engine(i).config().host_v6.address.address.ToString() +
                                    " is in use by another station of this network");
  }
  return absl::OkStatus();
}

template <stack::App A>
absl::Status WorkerGroup<A>::Start(const std::string& name) {
  watchdog_.emplace(members_.size(), kStuckAfter, clock_.Now());
  for (uint32_t i = 0; i < size(); ++i) {
    dpdk::WorkerOptions options{.name = size() == 1 ? name : name + std::to_string(i),
                                .idle = idle_};
    if (cpus_[i] >= 0) options.cpu = cpus_[i];
    auto worker = dpdk::Worker::Start(options, clock_, [&member = members_[i]](Instant now) {
      const bool asked = member.control->Poll(member.stack->engine(), now);
      return member.stack->Poll(now) + (asked ? 1 : 0);
    });
    if (!worker.ok()) return worker.status();
    members_[i].worker = *std::move(worker);
  }
  return absl::OkStatus();
}

template <stack::App A>
bool WorkerGroup<A>::Watch(StopSignals& signals, Duration interval) {
  if (signals.Wait(interval)) return true;
  for (uint32_t i = 0; i < size(); ++i) {
    const auto event = watchdog_->Check(i, members_[i].worker->heartbeat(), clock_.Now());
    if (event == Watchdog::Event::kNone) continue;
    std::fprintf(
        stderr, "millrace: worker %u %s %.0f ms\n", i,
        event == Watchdog::Event::kStuck ? "is stuck: no sign of life for" : "goes on after",
        watchdog_->silence(i).seconds() * 1e3);
  }
  return false;
}

template <stack::App A>
void WorkerGroup<A>::Stop(Duration grace, StopSignals& signals) {
  constexpr uint64_t kTag = UINT64_MAX;  // of none that others have asked
  for (Member& member : members_) {
    (void)member.control->Ask({.kind = stack::ControlKind::kDrain, .tag = kTag, .grace = grace});
  }
  // Longer than the grace: the resets are sent in slices. A worker that is stuck is not waited for.
  const Instant end = clock_.Now() + grace + Duration::Seconds(1);
  size_t draining = members_.size();
  while (draining > 0 && clock_.Now() < end && !signals.Wait(Duration::Milliseconds(2))) {
    for (Member& member : members_) {
      const auto answer = member.control->NextAnswer();
      if (answer && answer->tag == kTag) --draining;
    }
  }
  Join();
}

template <stack::App A>
void WorkerGroup<A>::Join() {
  for (Member& member : members_) {
    if (member.worker != nullptr) member.worker->RequestStop();
  }
  for (Member& member : members_) {
    if (member.worker != nullptr) member.worker->Join();
  }
}

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_WORKER_GROUP_H_
