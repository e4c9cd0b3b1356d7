// load/network.h - on what the load generator opens connections: what it has to know of it, besides
// the calls that sockets of all networks have alike (stack/socket.h, kernel/kernel_engine.h).
//
// LoadAppOf is a template over a class such as this one, so that connections of the engine cost
// what they would cost if there were no others.
#ifndef MILLRACE_APPS_LOAD_NETWORK_H_
#define MILLRACE_APPS_LOAD_NETWORK_H_

#include "apps/kernel/kernel_engine.h"
#include "apps/load/load_result.h"
#include "millrace/stack/engine.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

// Connections of our own engine.
struct EngineNetwork {
  using Engine = stack::Engine;
  using Socket = stack::Socket;

  // Frames pass through this process, so that those of failed connections can be kept.
  static constexpr bool kHasFrames = true;

  // When something happens during a poll that began at `poll`: all that one poll does happens at
  // once.
  static Instant Now(const Engine&, Instant poll) { return poll; }
  // Whether our address may be used: others are asked whether it is theirs.
  static bool HasAddress(const Engine& engine) {
    return engine.host_v6().address_state() != stack::AddressState::kTentative;
  }
  // The device took less than it was given.
  static bool IsFull(const Engine& engine) { return engine.port_full(); }
  static Traffic TrafficOf(const Engine& engine) {
    const stack::Counters& c = engine.counters();
    return {.rx_bytes = c.rx_bytes,
            .tx_bytes = c.tx_bytes,
            .segments = engine.tcp_counters().in_segs + engine.tcp_counters().out_segs};
  }
  static uint64_t RetransmitsOf(const Engine& engine) { return engine.tcp_counters().retrans_segs; }
};

// Connections over the sockets of the kernel.
struct KernelNetwork {
  using Engine = KernelEngine;
  using Socket = KernelSocket;

  static constexpr bool kHasFrames = false;

  // What one poll does takes system calls: each thing has a time of its own.
  static Instant Now(const Engine& engine, Instant) { return engine.Now(); }
  static bool HasAddress(const Engine&) { return true; }
  static bool IsFull(const Engine&) { return false; }
  // Octets on the wire are not known; segments are those of KernelEngine::counters().
  static Traffic TrafficOf(const Engine& engine) {
    return {.segments = engine.counters().in_segs + engine.counters().out_segs};
  }
  static uint64_t RetransmitsOf(const Engine& engine) { return engine.counters().retrans_segs; }
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_NETWORK_H_
