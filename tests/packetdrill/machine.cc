#include "packetdrill/machine.h"

#include <algorithm>
#include <utility>

#include "millrace/base/check.h"

namespace millrace::packetdrill {
namespace {

constexpr Duration kStep = Duration::Microseconds(1);

// Fixed: a script gives the same trace in every run.
stack::EngineSecrets FixedSecrets() {
  stack::EngineSecrets secrets;
  secrets.isn = {0x4D69, 0x6C6C};
  secrets.ports = {0x7261, 0x6365};
  secrets.table = {{1, 2, 3, 4}};
  secrets.neighbor = 5;
  secrets.address_pairs = {6, 7};
  return secrets;
}

}  // namespace

Machine::Machine(const Settings& settings, EventSink sink)
    : settings_(settings), sink_(std::move(sink)) {}

void Machine::Make() {
  if (stack_.has_value()) return;
  port_.emplace(settings_.mtu);
  stack_.emplace(port_->port(), sink_, settings_.ToEngineConfig(), FixedSecrets(), now_);
  MR_CHECK(stack_->engine().ok());
  const IpAddress& gateway = settings_.local.IsV4() ? kGatewayV4 : kGatewayV6;
  MR_CHECK(stack_->engine().neighbors().AddStatic(gateway, PacketPort::kPeerMac));
}

stack::Engine& Machine::engine() {
  Make();
  return stack_->engine();
}

tcp::Tcb* Machine::Find(const stack::Socket& socket) {
  stack::Connection* const connection = engine().Find(socket.id());
  return connection == nullptr ? nullptr : &connection->tcb;
}

void Machine::Poll() {
  if (!stack_.has_value()) return;
  constexpr int kRoundsMax = 1000;  // an engine that never comes to rest is a bug to be seen
  for (int round = 0; stack_->Poll(now_) > 0; ++round) MR_CHECK(round < kRoundsMax);
  if (after_poll_) after_poll_();
}

Instant Machine::NextDeadline() const {
  const Instant engine = stack_.has_value() ? stack_->NextDeadline() : Instant::Never();
  return deadline_ ? std::min(engine, deadline_()) : engine;
}

void Machine::AdvanceTo(Instant target) {
  for (Instant next = NextDeadline(); next <= target; next = NextDeadline()) {
    // A deadline may be reported early (a wheel that cascades): go on all the same.
    now_ = std::min(target, std::max(next, now_ + kStep));
    Poll();
    if (now_ == target) return;
  }
  now_ = std::max(now_, target);
}

void Machine::Inject(std::span<const std::byte> packet) {
  Make();
  port_->Inject(packet);
  Poll();
}

std::optional<SentPacket> Machine::NextPacket(Duration patience) {
  Make();
  const Instant end = now_ + patience;
  while (!port_->HasSent()) {
    const Instant next = NextDeadline();
    if (next > end) return std::nullopt;
    AdvanceTo(std::max(next, now_ + kStep));
  }
  return port_->TakeSent();
}

}  // namespace millrace::packetdrill
