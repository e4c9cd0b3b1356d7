#include "bench/rate/end.h"

#include <utility>

#include "bench/rate/bulk.h"
#include "bench/rate/connections.h"
#include "bench/rate/engine_end.h"
#include "bench/rate/metered_port.h"
#include "bench/rate/null_exchange.h"
#include "bench/rate/transactions.h"

namespace millrace::bench {
namespace {

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
    auto end = std::make_unique<EngineEnd<MeteredPort, A>>(
        plan, std::make_unique<MeteredPort>(port), config, now);
    made.engine = &end->engine();
    made.end = std::move(end);
  } else {
    auto end = std::make_unique<EngineEnd<dpdk::DpdkPort, A>>(plan, port, config, now);
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
  const stack::EngineConfig config = LoopbackClientConfig(plan.exchange);
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
  const stack::EngineConfig config = LoopbackServerConfig(plan.exchange);
  absl::StatusOr<Made> made = plan.work == Work::kBulk
                                  ? Make<BulkServer>(plan, port, config, now)
                                  : Make<ConnectionsServer>(plan, port, config, now);
  if (!made.ok()) return made.status();
  const absl::Status prepared =
      PrepareLoopbackServer(*made->engine, plan.exchange.network, client_mac);
  if (!prepared.ok()) return prepared;
  return std::move(made->end);
}

}  // namespace millrace::bench
