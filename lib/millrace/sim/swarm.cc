#include "millrace/sim/swarm.h"

#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "millrace/sim/checkers.h"
#include "millrace/sim/host.h"
#include "millrace/sim/impairment.h"
#include "millrace/sim/link.h"
#include "millrace/sim/pcap.h"
#include "millrace/sim/swarm_app.h"
#include "millrace/sim/world.h"

namespace millrace::sim {
namespace {

constexpr uint32_t kAddressA = 0x0A00'0001, kAddressB = 0x0A00'0002;
constexpr uint16_t kPort = 80;

int64_t Between(Prng& dice, int64_t low, int64_t high) {
  return low + static_cast<int64_t>(dice.Below(static_cast<uint64_t>(high - low + 1)));
}

Impairment DrawImpairment(Prng& dice) {
  Impairment i;
  if (dice.Chance(0.5)) i.loss = dice.Uniform() * 0.1;
  if (dice.Chance(0.15)) i.burst_loss = dice.Uniform() * 0.02;
  if (dice.Chance(0.4)) i.reorder = dice.Uniform() * 0.2;
  i.reorder_delay = Duration::Microseconds(Between(dice, 10, 5'000));
  if (dice.Chance(0.3)) i.duplicate = dice.Uniform() * 0.1;
  if (dice.Chance(0.3)) i.corrupt = dice.Uniform() * 0.05;
  if (dice.Chance(0.7)) i.delay = Duration::Microseconds(Between(dice, 1, 40'000));
  if (dice.Chance(0.3)) i.jitter = Duration::Nanoseconds(i.delay.ns() / 3);
  if (dice.Chance(0.2)) i.rate_bps = Between(dice, 1'000'000, 1'000'000'000);
  if (dice.Chance(0.2)) i.queue_packets_max = static_cast<uint32_t>(Between(dice, 5, 200));
  i.seed = dice.Next();
  return i;
}

// The address of a host, 0 for any of its own.
IpAddress AddressOf(uint32_t v4, bool v6) {
  if (!v6) return IpAddress::V4(v4);
  return v4 == 0 ? IpAddress() : IpAddress::V6(0x2001'0DB8'0000'0000, v4);
}

stack::EngineConfig DrawConfig(Prng& dice, uint32_t address, bool v6) {
  stack::EngineConfig c;
  if (v6) {
    c.host_v6 = {.address = {AddressOf(address, v6), 64}, .detection_transmits = 0};
  } else {
    c.address = {AddressOf(address, v6), 24};
  }
  c.pages = Region::Pages::kPlain;
  c.limits = {.connections = 32,
              .half_open = 16,
              .time_wait = 32,
              .send_extents = 512,
              .send_chunks = static_cast<uint32_t>(dice.Chance(0.1) ? 8 : 256),
              .receive_nodes = static_cast<uint32_t>(dice.Chance(0.1) ? 64 : 2048),
              .receive_chunks = static_cast<uint32_t>(dice.Chance(0.2) ? 4 : 512),
              .extras = static_cast<uint32_t>(dice.Chance(0.2) ? 2 : 64),
              .recoveries = static_cast<uint32_t>(dice.Chance(0.1) ? 1 : 32),
              .sent_runs = static_cast<uint32_t>(dice.Chance(0.1) ? 4 : 1024)};
  tcp::Config& t = c.tcp;
  t.timestamps = dice.Chance(0.7);
  t.window_scaling = dice.Chance(0.7);
  t.sack_permitted = dice.Chance(0.8);
  t.dsack = dice.Chance(0.8);
  t.rack = dice.Chance(0.7);
  t.congestion = static_cast<tcp::CongestionKind>(dice.Below(tcp::kCongestionKinds));
  t.ecn = static_cast<tcp::Ecn>(dice.Below(tcp::kEcnModes));
  t.pacing = dice.Chance(0.2);
  t.fixed_window_bytes = static_cast<uint32_t>(Between(dice, 5'000, 100'000));
  if (dice.Chance(0.2)) t.sent_runs_max = static_cast<uint16_t>(Between(dice, 1, 20));
  t.receive_buffer_bytes = static_cast<uint32_t>(Between(dice, 2'000, 200'000));
  t.send_buffer_bytes = static_cast<uint32_t>(Between(dice, 1'000, 100'000));
  if (dice.Chance(0.2)) t.receive_packets_max = static_cast<uint16_t>(Between(dice, 4, 32));
  if (dice.Chance(0.2)) t.reassembly_packets_max = static_cast<uint16_t>(Between(dice, 1, 8));
  if (dice.Chance(0.3)) t.receive_buffer_max_bytes = t.receive_buffer_bytes * 4;
  if (dice.Chance(0.2)) {
    t.liveness.keepalive = true;
    t.liveness.keepalive_idle = Duration::Milliseconds(Between(dice, 100, 20'000));
    t.liveness.keepalive_interval = Duration::Milliseconds(Between(dice, 100, 5'000));
  }
  t.fast_open_server = dice.Chance(0.4);
  t.fast_open_client = dice.Chance(0.4);
  if (dice.Chance(0.1)) t.fast_open_pending_max = 1;
  if (dice.Chance(0.1)) t.liveness.user_timeout = Duration::Seconds(Between(dice, 1, 150));
  if (dice.Chance(0.1)) t.liveness.close_wait = Duration::Seconds(Between(dice, 1, 60));
  t.syn_cookies = static_cast<tcp::SynCookies>(dice.Below(3));
  t.time_wait = Duration::Milliseconds(Between(dice, 1'000, 5'000));
  t.delayed_ack = Duration::Milliseconds(Between(dice, 1, 400));
  t.fin_wait_2_orphan = Duration::Seconds(Between(dice, 1, 60));
  if (dice.Chance(0.2)) t.mss = static_cast<uint16_t>(Between(dice, 216, 1460));
  return c;
}

SimPortOptions DrawPort(Prng& dice, uint8_t last_octet) {
  SimPortOptions p;
  p.capabilities.mac = {{2, 0, 0, 0, 0, last_octet}};
  p.capabilities.tx_tcp_checksum = dice.Chance(0.3);
  p.capabilities.tx_ipv4_checksum = dice.Chance(0.3);
  p.capabilities.rx_checksum = dice.Chance(0.3);
  if (dice.Chance(0.15)) p.faults.allocate_fail = dice.Uniform() * 0.2;
  if (dice.Chance(0.15)) p.faults.transmit_partial = dice.Uniform() * 0.3;
  if (dice.Chance(0.1)) p.faults.transmit_packets_max = 4;
  p.faults.seed = dice.Next();
  return p;
}

SwarmApp::Settings DrawApp(Prng& dice) {
  SwarmApp::Settings s;
  s.seed = dice.Next();
  constexpr uint32_t kSizes[] = {0, 100, 3'000, 20'000, 60'000};
  s.stream_octets_max = kSizes[dice.Below(5)];
  s.pauses = dice.Chance(0.3);
  s.aborts = dice.Chance(0.2);
  s.small_writes = s.stream_octets_max <= 3'000 && dice.Chance(0.3);
  return s;
}

// One run. The order of members is the order of the draws.
class Swarm {
 public:
  explicit Swarm(const SwarmOptions& options)
      : options_(options),
        world_(options.seed),
        a_(world_, DrawPort(world_.dice(), 1), DrawConfig(world_.dice(), kAddressA, options.v6),
           DrawApp(world_.dice()), AfterFor(0)),
        b_(world_, DrawPort(world_.dice(), 2), DrawConfig(world_.dice(), kAddressB, options.v6),
           DrawApp(world_.dice()), AfterFor(1)),
        cable_(world_, a_.port(), b_.port(), DrawImpairment(world_.dice()),
               DrawImpairment(world_.dice())) {
    if (!options.pcap_path.empty()) {
      pcap_ = std::make_unique<PcapWriter>(options.pcap_path);
      cable_.Capture(pcap_.get());
    }
  }

  SwarmResult Run();

 private:
  using SwarmHost = Host<SwarmApp>;

  SwarmApp::After AfterFor(int side) {
    return [this, side](Duration delay, std::function<void()> call) {
      world_.After(delay, [this, side, call = std::move(call)] {
        call();
        (side == 0 ? a_ : b_).Wake();
      });
    };
  }
  void Open(SwarmHost& from, uint32_t remote);
  void OpenBoth();
  void ScheduleOpens();
  // Runs until `done` or the deadline, checking after each step. False: failure_ is set.
  bool RunChecked(const std::function<bool()>& done, Instant deadline);
  bool CheckAll();
  bool AllOver();
  std::string Left(SwarmHost& host);
  void Mix(uint64_t value) { digest_ = (digest_ ^ value) * 0x100'0000'01B3ull; }

  const SwarmOptions& options_;
  World world_;
  SwarmHost a_, b_;
  Cable cable_;
  std::unique_ptr<PcapWriter> pcap_;
  EngineChecker check_a_, check_b_;
  std::string failure_;
  uint64_t digest_ = 0xCBF2'9CE4'8422'2325;
};

void Swarm::Open(SwarmHost& from, uint32_t remote) {
  const uint64_t session = from.app().NewSession(true);
  (void)from.engine().Connect({AddressOf(remote, options_.v6), kPort}, session, nullptr);
  from.Wake();
}

// Both ends open the same tuple at once (RFC 9293 figure 7).
void Swarm::OpenBoth() {
  const uint16_t port = static_cast<uint16_t>(2'000 + world_.dice().Below(100));
  const Endpoint a{AddressOf(kAddressA, options_.v6), port};
  const Endpoint b{AddressOf(kAddressB, options_.v6), port};
  (void)a_.engine().ConnectFrom(a, b, a_.app().NewSession(true), nullptr);
  (void)b_.engine().ConnectFrom(b, a, b_.app().NewSession(true), nullptr);
  a_.Wake();
  b_.Wake();
}

void Swarm::ScheduleOpens() {
  Prng& dice = world_.dice();
  const uint64_t opens = 1 + dice.Below(8);
  for (uint64_t i = 0; i < opens; ++i) {
    const Duration when = Duration::Microseconds(Between(dice, 0, 3'000'000));
    const uint64_t kind = dice.Below(10);
    world_.After(when, [this, kind] {
      if (kind == 0) return OpenBoth();
      if (kind < 4) return Open(b_, kAddressA);
      Open(a_, kAddressB);
    });
  }
}

bool Swarm::CheckAll() {
  const auto check = [&](SwarmHost& host, EngineChecker& checker, const char* name) {
    if (!host.app().failure().empty()) {
      failure_ = std::string(name) + ": " + host.app().failure();
      return false;
    }
    const auto wrong = checker.Check(host.engine(), host.port().live(), host.stack().tx_backlog());
    if (wrong.has_value()) failure_ = std::string(name) + ": " + *wrong;
    return !wrong.has_value();
  };
  return check(a_, check_a_, "a") && check(b_, check_b_, "b");
}

bool Swarm::RunChecked(const std::function<bool()>& done, Instant deadline) {
  while (!done() && world_.now() < deadline) {
    const RunResult result = world_.Step(deadline);
    if (!CheckAll()) return false;
    if (result == RunResult::kLivelock) {
      failure_ = "livelock: the clock stands still";
      return false;
    }
    if (result == RunResult::kIdle) break;
  }
  return true;
}

bool Swarm::AllOver() {
  return a_.engine().connections().used() == 0 && b_.engine().connections().used() == 0 &&
         a_.engine().half_opens().used() == 0 && b_.engine().half_opens().used() == 0;
}

// Who is left, for the failure's text.
std::string Swarm::Left(SwarmHost& host) {
  std::string text;
  host.engine().ForEachConnection([&](stack::Connection& c) {
    text += std::string(" [") + ToString(c.tcb.state) + " local port " +
            std::to_string(c.key.local_port) + ", " + std::to_string(c.tcb.send.size_bytes()) +
            " to send, " + std::to_string(c.tcb.receive.ready_bytes()) + " to read, " +
            host.app().Describe(host.engine().SocketOf(c)) + "]";
  });
  return text;
}

SwarmResult Swarm::Run() {
  const Instant start = world_.now();
  (void)a_.engine().Listen({AddressOf(0, options_.v6), kPort}, 8);
  (void)b_.engine().Listen({AddressOf(0, options_.v6), kPort}, 8);
  ScheduleOpens();
  const auto opened_and_over = [&] {
    return world_.now() > start + Duration::Seconds(4) && AllOver();
  };
  bool ok = RunChecked(opened_and_over, start + Duration::Seconds(30));
  // The network heals, the applications calm down: now everything has to end, within R2 and the
  // longest back-off.
  cable_.SetImpairment({});
  a_.port().SetFaults({});
  b_.port().SetFaults({});
  a_.app().Calm();
  b_.app().Calm();
  a_.Wake();
  b_.Wake();
  ok = ok && RunChecked([&] { return AllOver(); }, world_.now() + Duration::Seconds(600));
  if (ok && !AllOver()) {
    failure_ = "a connection did not end after the network healed:" + Left(a_) + Left(b_);
  }
  ok = ok && RunChecked([] { return false; }, world_.now() + Duration::Seconds(10));
  if (ok && failure_.empty()) {
    for (SwarmHost* host : {&a_, &b_}) {
      const auto left = EngineChecker::CheckEmpty(host->engine(), host->port().live());
      if (left.has_value()) failure_ = *left;
    }
  }
  SwarmResult result;
  result.failure = failure_;
  for (SwarmHost* host : {&a_, &b_}) {
    const tcp::Counters& c = host->engine().tcp_counters();
    result.frames += host->port().counters().tx_frames;
    result.octets += host->app().octets();
    result.connections += host->app().opened();
    result.retransmits += c.retrans_segs;
    c.ForEach([&](const char* name, uint64_t value) {
      Mix(value);
      if (options_.verbose && value > 0) {
        std::printf("%s %s %llu\n", host == &a_ ? "a" : "b", name,
                    static_cast<unsigned long long>(value));
      }
    });
  }
  Mix(result.octets);
  Mix(static_cast<uint64_t>(world_.now().ns()));
  result.digest = digest_;
  return result;
}

}  // namespace

SwarmResult RunSwarm(const SwarmOptions& options) { return Swarm(options).Run(); }

}  // namespace millrace::sim
