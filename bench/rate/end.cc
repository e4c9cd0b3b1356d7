#include "bench/rate/end.h"

#include <utility>

#include "apps/common/report.h"
#include "bench/rate/bulk.h"
#include "bench/rate/connections.h"
#include "bench/rate/metered_port.h"
#include "bench/rate/null_exchange.h"
#include "bench/rate/transactions.h"
#include "millrace/stack/stack.h"

namespace millrace::bench {
namespace {

// An engine over a port, or over a meter on one.
template <stack::Port P, stack::App A>
class EngineEnd final : public End {
 public:
  EngineEnd(const Plan& plan, P& port, std::unique_ptr<MeteredPort> meter,
            const stack::EngineConfig& config, Instant now)
      : meter_(std::move(meter)),
        app_(plan),
        stack_(port, app_, config, stack::EngineSecrets::FromOperatingSystem(), now) {}

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
    if (meter_ != nullptr) report.driver_cycles = meter_->cycles();
    return report;
  }

  std::unique_ptr<MeteredPort> meter_;  // the port of stack_, when there is one
  A app_;
  stack::Stack<P, A> stack_;
};

struct Made {
  std::unique_ptr<End> end;
  stack::Engine* engine;
};

template <class A>
absl::StatusOr<Made> Make(const Plan& plan, dpdk::DpdkPort& port, stack::EngineConfig config,
                          Instant now) {
  config.limits.connections += static_cast<uint32_t>(plan.idle);
  Made made;
  if (plan.metered) {
    auto meter = std::make_unique<MeteredPort>(port);
    MeteredPort& metered = *meter;
    auto end =
        std::make_unique<EngineEnd<MeteredPort, A>>(plan, metered, std::move(meter), config, now);
    made.engine = &end->engine();
    made.end = std::move(end);
  } else {
    auto end = std::make_unique<EngineEnd<dpdk::DpdkPort, A>>(plan, port, nullptr, config, now);
    made.engine = &end->engine();
    made.end = std::move(end);
  }
  if (!made.engine->ok()) return absl::ResourceExhaustedError("no memory for the tables");
  return made;
}

std::unique_ptr<End> MakeNull(const Plan& plan, dpdk::DpdkPort& port, bool client) {
  return std::make_unique<NullEnd>(port, plan, client);
}

}  // namespace

absl::StatusOr<std::unique_ptr<End>> MakeClient(const Plan& plan, dpdk::DpdkPort& port,
                                                Instant now) {
  if (plan.null) return MakeNull(plan, port, true);
  const stack::EngineConfig config = apps::LoopbackClientConfig(plan.exchange);
  absl::StatusOr<Made> made;
  switch (plan.work) {
    case Work::kConnections:
      made = Make<ConnectionsClient>(plan, port, config, now);
      break;
    case Work::kTransactions:
      made = Make<TransactionsClient>(plan, port, config, now);
      break;
    case Work::kBulk:
      made = Make<BulkClient>(plan, port, config, now);
      break;
  }
  if (!made.ok()) return made.status();
  return std::move(made->end);
}

absl::StatusOr<std::unique_ptr<End>> MakeServer(const Plan& plan, dpdk::DpdkPort& port,
                                                const MacAddress& client_mac, Instant now) {
  if (plan.null) return MakeNull(plan, port, false);
  const stack::EngineConfig config = apps::LoopbackServerConfig(plan.exchange);
  absl::StatusOr<Made> made = plan.work == Work::kBulk
                                  ? Make<BulkServer>(plan, port, config, now)
                                  : Make<ConnectionsServer>(plan, port, config, now);
  if (!made.ok()) return made.status();
  const absl::Status prepared =
      apps::PrepareLoopbackServer(*made->engine, plan.exchange.network, client_mac);
  if (!prepared.ok()) return prepared;
  return std::move(made->end);
}

}  // namespace millrace::bench
