// testing/transfer.h - bulk transfers between two simulated hosts: every octet is checked, time is
// virtual.
#ifndef MILLRACE_TESTING_TRANSFER_H_
#define MILLRACE_TESTING_TRANSFER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "millrace/sim/host.h"
#include "millrace/sim/link.h"
#include "millrace/sim/swarm_app.h"
#include "millrace/sim/world.h"

namespace millrace::testing {

// Opens `flows` connections and sends `octets` on each, then closes.
class BulkSender {
 public:
  explicit BulkSender(uint64_t octets) : octets_(octets), piece_(64 * 1024) {}

  void OnOpen(stack::Socket socket) { Write(socket); }
  size_t OnReceive(stack::Socket, std::span<const std::byte> data) { return data.size(); }
  void OnPeerClosed(stack::Socket) {}
  void OnWritable(stack::Socket socket) { Write(socket); }
  void OnClose(stack::Socket, tcp::CloseReason reason) {
    ++closed;
    if (reason != tcp::CloseReason::kNormal) ++failed;
  }
  void OnPoll(stack::Engine&, Instant) {}
  // The user data of a socket is how many octets were given to it.
  void Write(stack::Socket socket) {
    for (;;) {
      const uint64_t sent = socket.user_data();
      const size_t length = static_cast<size_t>(std::min<uint64_t>(piece_.size(), octets_ - sent));
      if (length == 0) break;
      for (size_t i = 0; i < length; ++i) piece_[i] = sim::StreamOctet(1, sent + i);
      const size_t taken = socket.Send({piece_.data(), length});
      socket.set_user_data(sent + taken);
      if (taken < length) return;
    }
    socket.Close();
  }

  uint64_t closed = 0, failed = 0;

 private:
  uint64_t octets_;
  std::vector<std::byte> piece_;
};

// Takes and checks what comes; the user data of a socket is how much that was.
class BulkReceiver {
 public:
  void OnOpen(stack::Socket socket) {
    socket.set_user_data(static_cast<uint64_t>(received.size()) << 48);
    received.push_back(0);
  }
  size_t OnReceive(stack::Socket socket, std::span<const std::byte> data) {
    uint64_t& count = received[socket.user_data() >> 48];
    for (const std::byte octet : data) wrong += octet != sim::StreamOctet(1, count++) ? 1 : 0;
    return data.size();
  }
  void OnPeerClosed(stack::Socket socket) { socket.Close(); }
  void OnWritable(stack::Socket) {}
  void OnClose(stack::Socket, tcp::CloseReason) { ++closed; }
  void OnPoll(stack::Engine&, Instant) {}

  std::vector<uint64_t> received;  // octets of each connection, in the order of opening
  uint64_t wrong = 0;              // octets that were not what was sent
  uint64_t closed = 0;
};

// Host 10.0.0.1 sends to 10.0.0.2 over a cable.
class Transfer {
 public:
  struct Options {
    uint64_t octets = 10'000'000;  // of each flow
    tcp::Config tcp;
    sim::Impairment there, back;
    Options() {
      // Windows of a thousand segments and more.
      tcp.receive_buffer_bytes = 8u << 20;
      tcp.send_buffer_bytes = 8u << 20;
      tcp.receive_packets_max = 16'000;
      tcp.reassembly_packets_max = 8'000;
      tcp.sent_runs_max = 4'000;
    }
  };

  explicit Transfer(const Options& options)
      : world_(options.there.seed),
        sender_(world_, PortOf(1), ConfigOf("10.0.0.1/24", options), options.octets),
        receiver_(world_, PortOf(2), ConfigOf("10.0.0.2/24", options)),
        cable_(world_, sender_.port(), receiver_.port(), options.there, options.back) {
    (void)receiver_.engine().Listen({IpAddress::V4(0), 80}, 16);
  }

  void Open() {
    (void)sender_.engine().Connect({*IpAddress::Parse("10.0.0.2"), 80}, 0, nullptr);
    sender_.Wake();
  }
  // Until every flow is over; returns the seconds that it took, or 0 when the deadline came first.
  double Run(uint64_t flows = 1, Duration limit = Duration::Seconds(3000)) {
    const Instant start = world_.now();
    const auto done = [&] { return receiver_.app().closed == flows; };
    (void)world_.RunUntil(done, start + limit);
    return done() ? (world_.now() - start).seconds() : 0;
  }

  sim::World& world() { return world_; }
  sim::Cable& cable() { return cable_; }
  BulkReceiver& receiver() { return receiver_.app(); }
  const tcp::Counters& counters() { return sender_.engine().tcp_counters(); }
  stack::Engine& sender_engine() { return sender_.engine(); }
  stack::Engine& receiver_engine() { return receiver_.engine(); }

 private:
  static sim::SimPortOptions PortOf(uint8_t last) {
    sim::SimPortOptions options;
    options.capabilities.mac = {{2, 0, 0, 0, 0, last}};
    return options;
  }
  static stack::EngineConfig ConfigOf(const char* address, const Options& options) {
    stack::EngineConfig config;
    config.address = *IpPrefix::Parse(address);
    config.limits = {.connections = 16,
                     .half_open = 16,
                     .time_wait = 64,
                     .send_extents = 32'768,
                     .send_chunks = 32'768,
                     .receive_nodes = 65'536,
                     .recoveries = 16,
                     .sent_runs = 16'384};
    config.tcp = options.tcp;
    config.pages = Region::Pages::kPlain;
    return config;
  }

  sim::World world_;
  sim::Host<BulkSender> sender_;
  sim::Host<BulkReceiver> receiver_;
  sim::Cable cable_;
};

}  // namespace millrace::testing

#endif  // MILLRACE_TESTING_TRANSFER_H_
