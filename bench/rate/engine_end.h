// bench/rate/engine_end.h - an engine with an application as an end of an exchange.
#ifndef MILLRACE_BENCH_RATE_ENGINE_END_H_
#define MILLRACE_BENCH_RATE_ENGINE_END_H_

#include <memory>
#include <type_traits>
#include <utility>

#include "apps/common/report.h"
#include "bench/rate/end.h"
#include "bench/rate/metered_port.h"
#include "millrace/stack/stack.h"

namespace millrace::bench {

template <stack::Port P, stack::App A>
class EngineEnd final : public End {
 public:
  // `port` outlives the end.
  EngineEnd(const Plan& plan, P& port, const stack::EngineConfig& config, Instant now)
      : app_(plan), stack_(port, app_, config, stack::EngineSecrets::FromOperatingSystem(), now) {}
  // Over what stands between it and a port that outlives it.
  EngineEnd(const Plan& plan, std::unique_ptr<P> layer, const stack::EngineConfig& config,
            Instant now)
      : layer_(std::move(layer)),
        app_(plan),
        stack_(*layer_, app_, config, stack::EngineSecrets::FromOperatingSystem(), now) {}

  size_t Poll(Instant now) override { return stack_.Poll(now); }
  bool done() const override { return app_.done(); }
  stack::Engine& engine() { return stack_.engine(); }

 private:
  EndReport Count() const override {
    EndReport report;
    app_.AddTo(report);
    const tcp::Counters& counters = stack_.engine().tcp_counters();
    report.packets = apps::TcpFrames(stack_.engine());
    report.retransmits = counters.retrans_segs;
    report.evicted = counters.time_wait_evicted;
    if constexpr (std::is_same_v<P, MeteredPort>) report.driver_cycles = layer_->cycles();
    return report;
  }

  std::unique_ptr<P> layer_;
  A app_;
  stack::Stack<P, A> stack_;
};

}  // namespace millrace::bench

#endif  // MILLRACE_BENCH_RATE_ENGINE_END_H_
