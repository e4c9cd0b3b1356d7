#include "testing/trace.h"

#include <algorithm>
#include <utility>

#include "millrace/sim/checkers.h"
#include "millrace/tcp/isn.h"
#include "millrace/wire/ipv4.h"
#include "millrace/wire/ipv6.h"

namespace millrace::testing {
namespace {

stack::EngineSecrets FixedSecrets() {
  return {.isn = {0x0706'0504'0302'0100, 0x0F0E'0D0C'0B0A'0908},
          .table = {{3, 4, 5, 6}},
          .ports = {1, 2},
          .syn_cookie = {9, 10},
          .fast_open = {11, 12},
          .neighbor = 7};
}

constexpr uint16_t kMoreHeader = wire::kIpv6HeaderBytes - wire::kIpv4HeaderBytes;

// What the same trace needs over IPv6.
TraceOptions ForFamily(TraceOptions options) {
  if (!options.v6) return options;
  options.config.host_v6.address = {IpAddress::V6(Trace::kPrefixV6, Trace::kHostAddress),
                                    96 + options.config.address.length_bits};
  if (options.config.gateway_v4 != 0) {
    options.config.host_v6.gateway = IpAddress::V6(Trace::kPrefixV6, options.config.gateway_v4);
  }
  options.config.host_v6.detection_transmits = options.v6_detection_transmits;
  options.config.host_v6.group_reports = options.v6_group_reports;
  options.config.limits.address_pairs = 256;
  options.config.tcp.mss = static_cast<uint16_t>(options.config.tcp.mss + kMoreHeader);
  options.capabilities.mtu = static_cast<uint16_t>(options.capabilities.mtu + kMoreHeader);
  return options;
}

sim::SimPortOptions PortOptions(const TraceOptions& options) {
  sim::SimPortOptions port;
  port.capabilities = options.capabilities;
  port.capabilities.mac = Trace::kHostMac;
  return port;
}

std::span<const std::byte> BytesOf(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace

std::string Octets(size_t count, size_t from) {
  std::string text(count, '\0');
  for (size_t i = 0; i < count; ++i) text[i] = static_cast<char>(((i + from) * 7 + 13) % 251);
  return text;
}

TraceOptions::TraceOptions() : v6(MILLRACE_TRACE_V6 != 0) {
  config.address = *IpPrefix::Parse("10.0.0.1/24");
  config.tcp.receive_buffer_max_bytes = 0;  // windows are what a trace expects, unless it tunes
  config.limits = {.connections = 64,
                   .half_open = 64,
                   .time_wait = 64,
                   .send_extents = 1024,
                   .send_chunks = 1024,
                   .receive_nodes = 1024};
  config.pages = Region::Pages::kPlain;
}

void ScriptedApp::OnOpen(stack::Socket s) {
  socket = s;
  log.push_back("open");
  if (in_open) in_open(s);
}

void ScriptedApp::OnPeerClosed(stack::Socket s) {
  log.push_back("fin");
  if (in_peer_closed) in_peer_closed(s);
}

void ScriptedApp::OnWritable(stack::Socket s) {
  log.push_back("writable");
  if (in_writable) in_writable(s);
}

void ScriptedApp::OnPoll(stack::Engine&, Instant) {
  if (in_poll) in_poll();
}

size_t ScriptedApp::OnReceive(stack::Socket s, std::span<const std::byte> data) {
  if (!reading) {
    if (in_receive) in_receive(s);
    return 0;
  }
  data = data.first(std::min(data.size(), read_budget));
  if (data.empty()) return 0;
  read_budget -= data.size();
  const std::string text(reinterpret_cast<const char*>(data.data()), data.size());
  received += text;
  if (log_data) log.push_back("data " + text);
  if (!reply_on_data.empty()) s.Send(BytesOf(reply_on_data));
  if (close_on_data) s.Close();
  if (in_receive) in_receive(s);
  return data.size();
}

void ScriptedApp::OnClose(stack::Socket s, tcp::CloseReason reason) {
  log.push_back(std::string("close ") + ToString(reason));
  if (in_close) in_close(s);
}

TraceOptions NewReno() {
  TraceOptions options;
  options.config.tcp.congestion = tcp::CongestionKind::kNewReno;
  return options;
}

Trace::Trace(const TraceOptions& options)
    : options_(ForFamily(options)), port_(PortOptions(options_)) {
  stack_ = std::make_unique<stack::Stack<sim::SimPort, ScriptedApp>>(port_, app_, options_.config,
                                                                     FixedSecrets(), now_);
  port_.SetSink([this](Instant, sim::Frame frame) { OnFrame(std::move(frame)); });
  EXPECT_TRUE(engine().neighbors().AddStatic(AddressOf(kPeerAddress), kPeerMac));
}

stack::FlowKey Trace::key() const {
  if (options_.v6) {
    stack::FlowKey key;
    // Without a flow the key has no pair, and no flow is found by it.
    (void)stack_->engine().address_pairs().FindKey(AddressOf(kHostAddress), options_.local_port,
                                                   AddressOf(kPeerAddress), options_.peer_port,
                                                   &key);
    return key;
  }
  return stack::FlowKey::V4(kHostAddress, options_.local_port, kPeerAddress, options_.peer_port);
}

void Trace::Listen(uint32_t backlog) {
  EXPECT_EQ(engine().Listen({AddressOf(0), options_.local_port}, backlog),
            stack::ListenResult::kOk);
}

void Trace::Connect() {
  const Endpoint local{AddressOf(kHostAddress), options_.local_port};
  const Endpoint remote{AddressOf(kPeerAddress), options_.peer_port};
  EXPECT_EQ(engine().ConnectFrom(local, remote, 0, &app_.socket), stack::ConnectResult::kOk);
  Poll();
}

void Trace::AcceptFromPeer(Seg syn) {
  Listen();
  syn.flags = kSyn;
  syn.seq = 0;
  Receives(syn);
  const std::optional<Seg> syn_ack = Sent();
  ASSERT_THAT(syn_ack, IsSegment({.flags = kSyn | kAck, .seq = 0, .ack = 1}));
  Seg ack{.flags = kAck, .seq = 1, .ack = 1};
  if (syn.tsval) {
    ack.tsval = syn.tsval;
    ack.tsecr = syn_ack->tsval;
  }
  Receives(ack);
  ASSERT_EQ(state(), tcp::State::kEstablished);
  ASSERT_TRUE(SentNothing());
  TakeLog();
}

void Trace::ConnectToPeer(Seg syn_ack) {
  Connect();
  const std::optional<Seg> syn = Sent();
  ASSERT_THAT(syn, IsSegment({.flags = kSyn, .seq = 0}));
  syn_ack.flags = kSyn | kAck;
  syn_ack.ack = 1;
  if (syn_ack.tsval) syn_ack.tsecr = syn->tsval;
  Receives(syn_ack);
  ASSERT_THAT(Sent(), IsSegment({.flags = kAck, .seq = 1, .ack = 1}));
  ASSERT_EQ(state(), tcp::State::kEstablished);
  TakeLog();
}

Trace::Place Trace::Reach(tcp::State target, Seg syn) {
  using tcp::State;
  AcceptFromPeer(syn);
  Place place{1, 1, 1};
  const bool passive = target == State::kCloseWait || target == State::kLastAck;
  const auto peer_sends_fin = [&](uint32_t ack) {
    Seg fin{.flags = kFin | kAck, .seq = 1, .ack = ack, .tsval = syn.tsval};
    if (syn.tsval) fin.tsecr = 0;
    Receives(fin);
    place.rcv_nxt = 2;
    place.snd_una = ack;
  };
  if (passive) peer_sends_fin(1);
  if (target != State::kEstablished && target != State::kCloseWait) {
    Shutdown();
    place.snd_nxt = 2;
  }
  if (target == State::kFinWait2) {
    Seg ack{.flags = kAck, .seq = 1, .ack = 2, .tsval = syn.tsval};
    if (syn.tsval) ack.tsecr = 0;
    Receives(ack);
    place.snd_una = 2;
  }
  if (target == State::kClosing) peer_sends_fin(1);
  if (target == State::kTimeWait) peer_sends_fin(2);
  EXPECT_EQ(FlowState(), target);
  ForgetSent();
  TakeLog();
  return place;
}

void Trace::AwaitIsnBelowWrap(uint32_t distance) {
  const tcp::TupleSecrets secrets =
      tcp::DeriveTupleSecrets(FixedSecrets().isn, key().addresses(), key().ports(), now_);
  const uint32_t ahead = 0u - distance - secrets.iss.value();
  Advance(Duration::Nanoseconds(int64_t{ahead} << 12));
}

void Trace::ReceivesBurst(const std::vector<Seg>& segs) {
  for (const Seg& seg : segs) {
    const std::vector<std::byte> frame = FrameOf(seg);
    port_.Deliver(sim::Frame::CopyOf(frame));
  }
  Poll();
}

void Trace::ReceivesFrom(uint32_t address_v4, uint16_t port, uint16_t local_port, const Seg& seg) {
  ReceivesFrame(FrameOf(seg, address_v4, port, local_port));
}

void Trace::ReceivesFrame(std::vector<std::byte> frame) {
  port_.Deliver(sim::Frame::CopyOf(frame));
  Poll();
}

std::optional<Seg> Trace::Sent() {
  if (sent_.empty()) return std::nullopt;
  Seg seg = std::move(sent_.front());
  sent_.pop_front();
  return seg;
}

std::vector<Seg> Trace::AllSent() {
  std::vector<Seg> all(sent_.begin(), sent_.end());
  sent_.clear();
  return all;
}

void Trace::Poll() {
  for (int i = 0; i < 1000; ++i) {
    const size_t work = stack_->Poll(now_);
    if (work == 0 && port_.rx_queued() == 0 && stack_->tx_backlog() == 0) return;
  }
}

void Trace::Advance(Duration duration) {
  const Instant end = now_ + duration;
  while (now_ < end) {
    const Instant deadline = stack_->NextDeadline();
    // Long silences are crossed in one step, so that a test of hours takes no time.
    Instant next = std::max(deadline, now_ + Duration::Microseconds(100));
    next = std::min(next, end);
    now_ = next;
    Poll();
  }
}

void Trace::Send(const std::string& data) {
  app_.socket.Send(BytesOf(data));
  Poll();
}

void Trace::Shutdown() {
  app_.socket.Shutdown();
  Poll();
}

void Trace::Close() {
  app_.socket.Close();
  Poll();
}

void Trace::Abort() {
  app_.socket.Abort();
  Poll();
}

std::vector<std::string> Trace::TakeLog() { return std::exchange(app_.log, {}); }

tcp::Tcb* Trace::tcb() {
  stack::Connection* connection = engine().Find(app_.socket.id());
  return connection == nullptr ? nullptr : &connection->tcb;
}

tcp::State Trace::FlowState() {
  const stack::FlowRef ref = engine().FindFlowForTest(key());
  switch (ref.kind()) {
    case stack::FlowKind::kHalfOpen:
      return tcp::State::kSynReceived;
    case stack::FlowKind::kTimeWait:
      return tcp::State::kTimeWait;
    case stack::FlowKind::kConnection:
      return engine().connections()[ref.index()].tcb.state;
    case stack::FlowKind::kNone:
      break;
  }
  return tcp::State::kClosed;
}

void Trace::ExpectNothingHeld() {
  EXPECT_EQ(sim::EngineChecker::CheckEmpty(engine(), port_.live()), std::nullopt);
}

}  // namespace millrace::testing
