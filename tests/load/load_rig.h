// load/load_rig.h - the load generator against a server in virtual time.
//
// Both are woken when their applications have something to do, as polling workers would find out
// by themselves.
#ifndef MILLRACE_TESTS_LOAD_LOAD_RIG_H_
#define MILLRACE_TESTS_LOAD_LOAD_RIG_H_

#include <memory>

#include "apps/load/load_app.h"
#include "apps/serve/serve_app.h"
#include "millrace/sim/checkers.h"
#include "millrace/sim/host.h"
#include "millrace/sim/link.h"
#include "millrace/sim/world.h"

namespace millrace::testing {

// Wakes a host at the deadlines of its application, no more than once in a microsecond.
template <class App>
class AppClock {
 public:
  AppClock(sim::World& world, sim::Host<App>& host) : world_(world), host_(host) {
    world.Add(*this);
  }
  ~AppClock() { world_.Remove(*this); }
  AppClock(const AppClock&) = delete;
  AppClock& operator=(const AppClock&) = delete;

  Instant NextRunAt() const { return std::max(host_.app().NextDeadline(), earliest_); }
  void Run(Instant now) {
    earliest_ = now + Duration::Microseconds(1);
    host_.Wake();
  }

 private:
  sim::World& world_;
  sim::Host<App>& host_;
  Instant earliest_;
};

struct LoadRigOptions {
  apps::RunPlan plan;  // the targets' endpoints are set here
  apps::ServeOptions serve;
  apps::Service service = apps::Service::kExchange;
  sim::Impairment impairment;
  tcp::Config client_tcp;
  bool listens = true;
  uint16_t source_ports = 0;  // of the client; 0: all
};

inline LoadRigOptions OpenLoop(double rate_per_s, Duration duration) {
  LoadRigOptions options;
  options.plan.rate_per_s = rate_per_s;
  options.plan.duration = duration;
  options.serve.exchange.close_after = 1;
  return options;
}

class LoadRig {
 public:
  explicit LoadRig(const LoadRigOptions& options)
      : options_(WithTargets(options)),
        world_(1),
        client_(world_, Port(1), ClientConfig(options), options_.plan, pattern_, *live_),
        server_(world_, Port(2), ConfigOf("10.0.0.2/24", {}), options_.serve, pattern_),
        cable_(world_, client_.port(), server_.port(), options_.impairment),
        client_clock_(world_, client_),
        server_clock_(world_, server_) {
    const apps::Listening listening{options_.service, "", kPort};
    if (options_.listens) MR_CHECK(apps::ListenOn(server_.engine(), {listening}).ok());
  }

  // Runs until the generator is done; false when it is not within `limit` of virtual time.
  bool Run(Duration limit = Duration::Seconds(60)) {
    const auto done = [this] { return live_->done(); };
    return world_.RunUntil(done, world_.now() + limit) == sim::RunResult::kDone;
  }
  // Latencies from the intended start, of the whole run.
  const apps::Latencies& Intended() {
    live_->intervals.FinishInto(&sum_);
    return sum_.intended;
  }

  const apps::RunResult& result() { return client_.app().result(); }
  const apps::LoadCounts& counts() { return result().counts; }
  apps::LiveRun& live() { return *live_; }
  sim::World& world() { return world_; }
  sim::Host<apps::LoadApp>& client() { return client_; }
  sim::Host<apps::ServeApp>& server() { return server_; }
  sim::Cable& cable() { return cable_; }

 private:
  static constexpr uint16_t kPort = 80;

  static LoadRigOptions WithTargets(LoadRigOptions options) {
    apps::RunPlan& plan = options.plan;
    if (plan.targets.empty()) plan.targets.emplace_back();
    for (apps::Target& target : plan.targets) {
      if (options.service == apps::Service::kHttp) {
        target.protocol = apps::LoadProtocol::kHttp;
        target.host = "10.0.0.2";
      }
      if (target.endpoint.port == 0) target.endpoint = {*IpAddress::Parse("10.0.0.2"), kPort};
    }
    return options;
  }
  static stack::EngineConfig ConfigOf(const char* address, const tcp::Config& tcp) {
    stack::EngineConfig config;
    config.address = *IpPrefix::Parse(address);
    config.tcp = tcp;
    config.limits.connections = 20'000;
    config.limits.half_open = 20'000;
    config.limits.time_wait = 65'536;
    config.pages = Region::Pages::kPlain;
    return config;
  }
  static stack::EngineConfig ClientConfig(const LoadRigOptions& options) {
    stack::EngineConfig config = ConfigOf("10.0.0.1/24", options.client_tcp);
    if (options.source_ports > 0) {
      config.source_port_max =
          static_cast<uint16_t>(config.source_port_min + options.source_ports - 1);
    }
    return config;
  }
  static sim::SimPortOptions Port(uint8_t last) {
    sim::SimPortOptions options;
    options.capabilities.mac = {{2, 0, 0, 0, 0, last}};
    options.rx_queue_packets_max = 65'536;
    return options;
  }

  LoadRigOptions options_;
  apps::Pattern pattern_;
  std::unique_ptr<apps::LiveRun> live_ = std::make_unique<apps::LiveRun>();
  apps::IntervalLoad sum_;
  sim::World world_;
  sim::Host<apps::LoadApp> client_;
  sim::Host<apps::ServeApp> server_;
  sim::Cable cable_;
  AppClock<apps::LoadApp> client_clock_;
  AppClock<apps::ServeApp> server_clock_;
};

}  // namespace millrace::testing

#endif  // MILLRACE_TESTS_LOAD_LOAD_RIG_H_
