// bench/stages/stages.cc - what each step of the plain exchange costs: both ends on one core, in
// lockstep, 32 connections at a time.
//
// A step is one poll of one end in which 32 frames of one kind arrive, and it is a function of its
// own, so that callgrind tells its instructions (scripts/budget.py). Every 32 k connections their
// TIME-WAITs expire together, with a jump of the engine's time.
#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>

#include "apps/common/exit_code.h"
#include "apps/common/flags.h"
#include "apps/common/report.h"
#include "apps/common/setup.h"
#include "bench/common/load_client.h"
#include "bench/common/loopback.h"
#include "millrace/base/histogram.h"
#include "millrace/dpdk/clock.h"
#include "millrace/dpdk/eal.h"
#include "millrace/dpdk/ring_pair.h"
#include "millrace/stack/stack.h"

namespace millrace::bench {
namespace {

constexpr uint32_t kTogether = stack::kBurst;
constexpr uint32_t kRoundsUntilExpiry = 1000;

// Opens as many as it is told to in the next poll; asks, and closes when it is answered.
class StepClient {
 public:
  void OnOpen(stack::Socket socket) { (void)socket.SendStatic(kOctet); }
  size_t OnReceive(stack::Socket, std::span<const std::byte> data) { return data.size(); }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket, tcp::CloseReason reason) {
    if (reason == tcp::CloseReason::kNormal) ++closed;
  }
  void OnPoll(stack::Engine& engine, Instant) {
    for (; to_open > 0; --to_open) {
      if (engine.Connect(target, 0, nullptr) != stack::ConnectResult::kOk) return;
    }
  }
  Endpoint target;
  uint32_t to_open = 0;
  uint64_t closed = 0;

 private:
  static constexpr std::array<std::byte, 1> kOctet{};
};

struct Ends {
  stack::Stack<dpdk::DpdkPort, StepClient>& client;
  stack::Stack<dpdk::DpdkPort, ResponseServer>& server;
  Instant now;
  int step = 0;  // keeps the compiler from making one function of equal ones
};

#define MR_STEP [[gnu::noinline]] void

MR_STEP StepOpen(Ends& e) {
  e.step = 1;
  e.client.Poll(e.now);
}
MR_STEP StepSyn(Ends& e) {
  e.step = 2;
  e.server.Poll(e.now);
}
MR_STEP StepSynAck(Ends& e) {
  e.step = 3;
  e.client.Poll(e.now);
}
MR_STEP StepRequest(Ends& e) {
  e.step = 4;
  e.server.Poll(e.now);
}
MR_STEP StepResponse(Ends& e) {
  e.step = 5;
  e.client.Poll(e.now);
}
MR_STEP StepFin(Ends& e) {
  e.step = 6;
  e.server.Poll(e.now);
}
MR_STEP StepLastAck(Ends& e) {
  e.step = 7;
  e.client.Poll(e.now);
}
MR_STEP StepExpiry(Ends& e) {
  e.step = 8;
  while (e.server.engine().time_waits().used() > 0) e.server.Poll(e.now);
}

struct Step {
  const char* name;   // as the function above
  const char* group;  // of the budget
  const char* text;
  void (*run)(Ends&);
};
constexpr Step kSteps[] = {
    {"StepOpen", "handshake", "client: connect, SYN out", &StepOpen},
    {"StepSyn", "handshake", "server: SYN in, SYN-ACK out", &StepSyn},
    {"StepSynAck", "handshake", "client: SYN-ACK in, ACK with request out", &StepSynAck},
    {"StepRequest", "data", "server: ACK with request in, response with FIN out", &StepRequest},
    {"StepResponse", "close", "client: response with FIN in, FIN out", &StepResponse},
    {"StepFin", "close", "server: FIN in, ACK out, TIME-WAIT made", &StepFin},
    {"StepLastAck", "close", "client: ACK in, connection gone", &StepLastAck},
    {"StepExpiry", "expiry", "server: TIME-WAIT expires", &StepExpiry},
};
constexpr size_t kExpiry = std::size(kSteps) - 1;

// Thousandths of a cycle per connection, by step: the median is not moved by a core that is taken
// away in between.
using Cycles = std::array<Histogram, std::size(kSteps)>;

struct Flags {
  uint64_t rounds = 20'000;
  bool ipv6 = false, json = false;
  apps::TcpFlags tcp;
  apps::MachineFlags machine;
};

absl::StatusOr<Cycles> Measure(const Flags& flags) {
  dpdk::RingPairOptions options;
  options.port.packets = kLoopbackPacketsPerPort;
  auto rings = dpdk::RingPair::Create(options);
  if (!rings.ok()) return rings.status();
  dpdk::DpdkPort& first = (*rings)->first();
  dpdk::DpdkPort& second = (*rings)->second();
  LoopbackOptions exchange{.network = {flags.ipv6},
                           .tcp = flags.tcp.Config(),
                           .pages = flags.machine.pages(),
                           .time_waits = kTogether * (kRoundsUntilExpiry + 1)};
  const LoadPlan load;
  const apps::Pattern pattern;
  StepClient client_app;
  client_app.target = LoopbackTarget(exchange.network);
  ResponseServer server_app(load, pattern);
  Instant now = Instant::FromNanoseconds(1'000'000'000);
  const auto secrets = stack::EngineSecrets::FromOperatingSystem;
  auto client = std::make_unique<stack::Stack<dpdk::DpdkPort, StepClient>>(
      first, client_app, LoopbackClientConfig(exchange), secrets(), now);
  auto server = std::make_unique<stack::Stack<dpdk::DpdkPort, ResponseServer>>(
      second, server_app, LoopbackServerConfig(exchange), secrets(), now);
  if (!client->engine().ok() || !server->engine().ok()) {
    return absl::ResourceExhaustedError("no memory for the tables");
  }
  absl::Status ready =
      PrepareLoopbackServer(server->engine(), exchange.network, first.capabilities().mac);
  if (!ready.ok()) return ready;
  // No ARP: with it the first round would not be in step.
  if (!client->engine().neighbors().AddStatic(client_app.target.address,
                                              second.capabilities().mac)) {
    return absl::InternalError("no room for the server's address");
  }

  Ends ends{*client, *server, now};
  Cycles cycles;
  const auto run = [&](size_t step, uint64_t connections) {
    const uint64_t start = dpdk::Clock::Cycles();
    kSteps[step].run(ends);
    cycles[step].Record(1000 * (dpdk::Clock::Cycles() - start) / connections);
  };
  const uint64_t rounds = flags.rounds;
  for (uint64_t round = 1; round <= rounds; ++round) {
    client_app.to_open = kTogether;
    for (size_t step = 0; step < kExpiry; ++step) {
      run(step, kTogether);
      ends.now = ends.now + Duration::Microseconds(1);
    }
    if (round % kRoundsUntilExpiry != 0 && round != rounds) continue;
    ends.now = ends.now + Duration::Seconds(61);
    run(kExpiry, server->engine().time_waits().used());
  }
  if (client_app.closed != rounds * kTogether) {
    return absl::InternalError("not every connection went through its steps");
  }
  if (apps::TcpFrames(client->engine()) != 6 * client_app.closed) {
    return absl::InternalError("a connection did not take six packets");
  }
  return cycles;
}

int Run(const Flags& flags) {
  const uint64_t packets = 2 * uint64_t{kLoopbackPacketsPerPort} + 1;
  auto eal = dpdk::Eal::Start(flags.machine.EalFor(packets));
  if (!eal.ok()) return apps::Report(eal.status());
  const double ns_per_cycle =
      1e9 / static_cast<double>(dpdk::Clock::Calibrate().cycles_per_second());
  const auto cycles = Measure(flags);
  if (!cycles.ok()) return apps::Report(cycles.status());
  nlohmann::ordered_json json;
  json["schema"] = 1;
  json["machine"] = apps::MachineJson();
  json["family"] = flags.ipv6 ? "IPv6" : "IPv4";
  json["options"] = flags.tcp.OptionsText();
  json["huge_pages"] = (*eal)->huge_pages();
  json["connections"] = flags.rounds * kTogether;
  for (size_t i = 0; i < std::size(kSteps); ++i) {
    const double ns = ns_per_cycle * static_cast<double>((*cycles)[i].ValueAtQuantile(0.5)) / 1000;
    json["steps"].push_back({{"function", kSteps[i].name},
                             {"group", kSteps[i].group},
                             {"text", kSteps[i].text},
                             {"ns", ns}});
    if (!flags.json) std::printf("%8.1f ns  %-9s  %s\n", ns, kSteps[i].group, kSteps[i].text);
  }
  if (flags.json) std::printf("%s\n", json.dump(2).c_str());
  return apps::kPass;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  using namespace millrace;  // NOLINT: the one function outside
  bench::Flags flags;
  CLI::App app("cost of each step of the plain exchange", "stages");
  apps::AddCount(app, {"--rounds", "N", "of 32 connections", "20k"}, &flags.rounds, 1, 10'000'000);
  app.add_flag("--ipv6", flags.ipv6, "over IPv6 instead of IPv4");
  app.add_flag("--json", flags.json, "JSON instead of text");
  flags.tcp.AddTo(app);
  flags.machine.AddTo(app);
  CLI11_PARSE(app, argc, argv);
  return bench::Run(flags);
}
