#include "fuzz/fuzz_host.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "millrace/tcp/isn.h"
#include "millrace/wire/frame.h"
#include "millrace/wire/tcp_header.h"

namespace millrace::fuzz {
namespace {

using stack::Socket;

constexpr std::array<std::byte, 5000> kOctets{};

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "property violated: %s\n", what.c_str());
  std::abort();
}

stack::EngineSecrets FixedSecrets() {
  stack::EngineSecrets secrets;
  secrets.isn = {0x0706'0504'0302'0100, 0x0F0E'0D0C'0B0A'0908};
  secrets.ports = {1, 2};
  secrets.syn_cookie = {9, 10};
  secrets.table = {{3, 4, 5, 6}};
  secrets.neighbor = 7;
  return secrets;
}

sim::SimPortOptions PortOptions(const HostOptions& options) {
  sim::SimPortOptions port;
  port.capabilities.mac = kHostMac;
  port.capabilities.tx_ipv4_checksum = port.capabilities.tx_tcp_checksum = options.offloads;
  port.capabilities.rx_checksum = options.offloads;
  port.packets_max = 200;
  return port;
}

// Early in the 4.9 hours of the ISN clock, or when the first connection's ISN is 3 below 2^32.
Instant StartTime(const HostOptions& options) {
  const Instant start = Instant::FromNanoseconds(int64_t{1000} * 1'000'000'000);
  if (!options.isn_near_wrap) return start;
  const stack::EngineSecrets secrets = FixedSecrets();
  stack::FlowKey key = stack::FlowKey::V4(kHostAddress, kListenPort, kPeerAddress, 40'000);
  stack::AddressPairs pairs(1, secrets.address_pairs, Region::Pages::kPlain);
  if (kV6 &&
      !pairs.MakeKey(AddressOf(kHostAddress), kListenPort, AddressOf(kPeerAddress), 40'000, &key)) {
    Fail("no room for a pair of addresses");
  }
  const SeqNum iss = tcp::DeriveTupleSecrets(secrets.isn, key.addresses(), key.ports(), start).iss;
  return start + Duration::Nanoseconds(int64_t{0u - 3u - iss.value()} << 12);
}

}  // namespace

void FuzzApp::Remember(Socket socket) {
  sockets_[next_socket_] = socket;
  next_socket_ = (next_socket_ + 1) % sockets_.size();
}

void FuzzApp::Calm() {
  deeds.fill(Deed::kNothing);
  reading = true;
  read_max = SIZE_MAX;
}

FuzzApp::Told& FuzzApp::ToldOf(Socket socket) {
  for (auto& [id, told] : told_) {
    if (id == socket.id()) return told;
  }
  told_.emplace_back(socket.id(), Told());
  return told_.back().second;
}

void FuzzApp::OnOpen(Socket socket) {
  Told& told = ToldOf(socket);
  if (told.opened || told.closed) Fail("OnOpen twice or after OnClose");
  told.opened = true;
  Remember(socket);
  Do(deeds[kOpen], socket, 0);
}

size_t FuzzApp::OnReceive(Socket socket, std::span<const std::byte> data) {
  const Told told = ToldOf(socket);
  if (!told.opened || told.closed) Fail("OnReceive before OnOpen or after OnClose");
  if (told.peer_closed) Fail("OnReceive after OnPeerClosed");
  if (data.empty()) Fail("OnReceive without octets");
  unsigned sum = 0;
  for (const std::byte octet : data) sum += static_cast<unsigned>(octet);  // all must be readable
  // Resume without reading would be called again at once, for ever.
  if (deeds[kReceive] != Deed::kResume || (reading && read_max > 0)) {
    Do(deeds[kReceive], socket, 1);
  }
  return reading ? std::min(data.size(), read_max) : sum & 0;
}

void FuzzApp::OnPeerClosed(Socket socket) {
  Told& told = ToldOf(socket);
  if (!told.opened || told.closed || told.peer_closed) Fail("OnPeerClosed at the wrong time");
  told.peer_closed = true;
  Do(deeds[kPeerClosed], socket, 2);
}

void FuzzApp::OnWritable(Socket socket) {
  if (!ToldOf(socket).opened || ToldOf(socket).closed) Fail("OnWritable while not open");
  Do(deeds[kWritable], socket, 3);
}

void FuzzApp::OnClose(Socket socket, tcp::CloseReason) {
  Told& told = ToldOf(socket);
  if (told.closed) Fail("OnClose twice");
  if (!told.opened && socket.passive()) Fail("OnClose of a passive connection without OnOpen");
  told.closed = true;
  Do(deeds[kCloseCall], socket, 4);
}

void FuzzApp::OnPoll(stack::Engine&, Instant) {
  if (deeds[kPoll] != Deed::kNothing) Do(deeds[kPoll], Get(0), 1);
}

void FuzzApp::Do(Deed deed, Socket socket, size_t other) {
  if (deed == Deed::kNothing) return;
  ++commands;
  const Endpoint listen{AddressOf(0), kListenPort};
  const auto first = [](size_t n) { return std::span(kOctets).first(n); };
  switch (deed) {
    case Deed::kSend:
      socket.Send(first(100));
      break;
    case Deed::kSendMuch:
      socket.Send(first(5000));
      break;
    case Deed::kSendStatic:
      (void)socket.SendStatic(first(3000));
      break;
    case Deed::kShutdown:
      socket.Shutdown();
      break;
    case Deed::kClose:
      ++resets_wanted;
      socket.Close();
      break;
    case Deed::kAbort:
      ++resets_wanted;
      socket.Abort();
      break;
    case Deed::kConnect: {
      Socket opened;
      const auto result = engine_->Connect({AddressOf(kPeerAddress), 7000}, other, &opened);
      if (result == stack::ConnectResult::kOk) Remember(opened);
      break;
    }
    case Deed::kResume:
      socket.Resume();
      break;
    case Deed::kPause:
      reading = !reading;
      break;
    case Deed::kCloseOther:
    case Deed::kAbortOther:
    case Deed::kSendOther:
    case Deed::kResumeOther: {
      constexpr Deed kOwn[] = {Deed::kClose, Deed::kAbort, Deed::kSend, Deed::kResume};
      const int which = static_cast<int>(deed) - static_cast<int>(Deed::kCloseOther);
      Do(kOwn[which], Get(other), 0);
      break;
    }
    case Deed::kListen:
      (void)engine_->Listen(listen, 3);
      break;
    case Deed::kUnlisten:
      engine_->CloseListener(listen);
      break;
    case Deed::kNothing:
      break;
  }
}

HostOptions SmallHost() {
  HostOptions options;
  options.config.limits = {.connections = 6,
                           .half_open = 3,
                           .time_wait = 2,
                           .send_extents = 8,
                           .send_chunks = 6,
                           .receive_nodes = 12};
  SetAddresses(&options.config);
  options.config.pages = Region::Pages::kPlain;
  options.config.tcp.receive_buffer_bytes = 4000;
  options.config.tcp.send_buffer_bytes = 6000;
  options.config.tcp.receive_packets_max = 8;
  options.config.tcp.reassembly_packets_max = 5;
  return options;
}

FuzzHost::FuzzHost(const HostOptions& options)
    : now_(StartTime(options)), port_(PortOptions(options)) {
  stack_ = std::make_unique<stack::Stack<sim::SimPort, FuzzApp>>(port_, app_, options.config,
                                                                 FixedSecrets(), now_);
  app_.SetEngine(&engine());
  port_.SetSink([this](Instant, sim::Frame frame) { OnFrame(frame); });
  if (options.static_neighbor &&
      !engine().neighbors().AddStatic(AddressOf(kPeerAddress), kPeerMac)) {
    Fail("no room for a neighbour");
  }
  app_.Do(Deed::kListen, Socket(), 0);
}

FuzzHost::~FuzzHost() {
  app_.Calm();
  port_.SetFaults({});
  app_.Do(Deed::kUnlisten, Socket(), 0);
  // Half of the connections are ended, the others are only let go: both must come to an end.
  uint32_t number = 0;
  engine().ForEachConnection([&](stack::Connection& c) {
    const Socket socket = engine().SocketOf(c);
    ++number % 2 != 0 ? socket.Abort() : socket.Close();
    socket.Resume();
  });
  for (int i = 0; i < 10; ++i) Advance(Duration::Seconds(100));
  if (const auto wrong = sim::EngineChecker::CheckEmpty(engine(), port_.live())) Fail(*wrong);
  // Nobody is asked for so long.
  if (engine().neighbors().held() != 0) Fail("packets wait for a neighbour for ever");
  stack_.reset();
  if (port_.live() != 0) Fail("packets are out after the stack has gone");
}

void FuzzHost::OnFrame(const sim::Frame& frame) {
  wire::ParsedFrame parsed;
  wire::ParseFrame(frame.data(), frame.length(), wire::ChecksumState::kUnknown,
                   wire::ChecksumState::kUnknown, PeerNet(), parsed);
  if (parsed.kind != (kV6 ? wire::FrameKind::kTcpV6 : wire::FrameKind::kTcp)) {
    if (parsed.kind != wire::FrameKind::kDrop) ++sent_small_;  // kDrop: to another peer
    return;
  }
  if (parsed.tcp.payload_length == 0) ++sent_small_;
  if (parsed.tcp.Has(wire::kRst)) ++sent_resets_;
  // Both headers without options.
  last_sent_.assign(frame.data() + kIpAt, frame.data() + kTcpAt + wire::kTcpHeaderBytes);
}

void FuzzHost::PollUntilIdle() {
  for (int i = 0; i < 50; ++i) {
    const size_t work = stack_->Poll(now_);
    Check();
    if (work == 0 && port_.rx_queued() == 0) return;
  }
}

void FuzzHost::Check() {
  if (const auto wrong = checker_.Check(engine(), port_.live(), stack_->tx_backlog())) {
    Fail(*wrong);
  }
}

void FuzzHost::Receive(const std::vector<Bytes>& frames) {
  bool only_resets = !frames.empty();
  for (const Bytes& frame : frames) {
    port_.Deliver(sim::Frame::CopyOf(frame));
    only_resets = only_resets && IsReset(frame);
  }
  const bool was_idle = !engine().HasDirty() && stack_->tx_backlog() == 0;
  const uint64_t small = sent_small_, resets = sent_resets_;
  const uint64_t commands = app_.commands, wanted = app_.resets_wanted;
  PollUntilIdle();
  if (!was_idle) return;  // some of what went out was owed before
  if (only_resets && app_.resets_wanted == wanted && sent_resets_ != resets) {
    Fail("a reset was answered by a reset");
  }
  if (sent_small_ - small > 4 * (frames.size() + app_.commands - commands) + 6) {
    Fail(std::to_string(sent_small_ - small) + " answers to " + std::to_string(frames.size()) +
         " frames");
  }
}

void FuzzHost::Command(Deed deed, size_t socket, size_t other) {
  app_.Do(deed, app_.Get(socket), other);
  PollUntilIdle();
}

void FuzzHost::Connect(uint16_t local_port, uint16_t remote_port) {
  Socket socket;
  const auto result = engine().ConnectFrom({AddressOf(kHostAddress), local_port},
                                           {AddressOf(kPeerAddress), remote_port}, 0, &socket);
  if (result == stack::ConnectResult::kOk) app_.Remember(socket);
  PollUntilIdle();
}

void FuzzHost::Advance(Duration duration) {
  const Instant end = now_ + duration;
  for (int i = 0; i < 100 && now_ < end; ++i) {
    const Instant soon = now_ + Duration::Milliseconds(1);
    now_ = std::min(std::max(stack_->NextDeadline(), soon), end);
    PollUntilIdle();
  }
  now_ = end;
  PollUntilIdle();
}

}  // namespace millrace::fuzz
