// sim/sim_port.h - a port without a device: the model of stack::Port that tests and simulations
// use.
//
// Every packet is an exact-size heap allocation once its length is known (received, or finished),
// so AddressSanitizer sees the first octet read or written beside it. A handle carries a
// generation: a packet that was given back and is used again ends the process in every build.
// Sent frames go to a sink (sim::Link); delivered ones wait in a bounded queue for RxBurst.
// The port can lie on purpose: see SimPortFaults. It stands in for devices with and without
// checksum offload: what its capabilities offer, it does, in software.
// Invariants: live() + rx_queued() <= packets_max, as with a pool of mbufs.
// Threading: one owner. Cost: two or three heap allocations a packet.
#ifndef MILLRACE_SIM_SIM_PORT_H_
#define MILLRACE_SIM_SIM_PORT_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "millrace/base/prng.h"
#include "millrace/base/time.h"
#include "millrace/sim/frame.h"
#include "millrace/stack/port.h"
#include "millrace/wire/segment.h"

namespace millrace::sim {

// What goes wrong, how often; the default is nothing.
struct SimPortFaults {
  uint32_t allocate_fail_every = 0;            // every n-th Allocate fails; 0 is never
  double allocate_fail = 0;                    // probability that an Allocate fails
  uint32_t transmit_packets_max = UINT32_MAX;  // a TxBurst accepts at most so many
  double transmit_partial = 0;                 // probability that a TxBurst of n accepts 0..n-1
  uint64_t seed = 1;
};

struct SimPortOptions {
  stack::PortCapabilities capabilities;
  uint32_t packets_max = 65'536;  // in the hands of the engine or waiting for it
  uint32_t rx_queue_packets_max = 1'024;
  bool pad_short_frames = false;  // send at least 60 octets, as devices do; hides overreads
  SimPortFaults faults;
};

struct SimPortCounters {
  uint64_t rx_frames = 0;           // handed to the engine
  uint64_t rx_queue_full = 0;       // delivered frames dropped because nobody polled
  uint64_t rx_no_packet = 0;        // delivered frames dropped because packets_max was reached
  uint64_t tx_frames = 0;           // accepted from the engine
  uint64_t tx_refused = 0;          // left with the engine by a partial TxBurst
  uint64_t allocate_refused = 0;    // by a fault
  uint64_t allocate_no_packet = 0;  // because packets_max was reached
};

class SimPort {
 public:
  // Takes every sent frame at once. It may deliver to other ports, but must not call this one.
  using Sink = std::function<void(Instant now, Frame frame)>;

  explicit SimPort(const SimPortOptions& options);
  SimPort(const SimPort&) = delete;
  SimPort& operator=(const SimPort&) = delete;

  // The stack::Port concept. A stale or foreign handle ends the process, and so does a packet that
  // is sent before it was finished, or that asks for an offload that the port does not offer.
  const stack::PortCapabilities& capabilities() const { return options_.capabilities; }
  size_t RxBurst(Instant now, std::span<stack::RxFrame> frames);
  wire::PacketHandle Allocate();
  std::byte* Data(wire::PacketHandle packet) { return Get(packet).frame.data(); }
  // Moves the octets to an allocation of their size: pointers from Data before it are stale.
  void Finish(wire::PacketHandle packet, uint32_t length, const stack::TxOffload& offload);
  size_t TxBurst(Instant now, std::span<const wire::PacketHandle> packets);
  void Free(std::span<const wire::PacketHandle> packets);

  // The network's side. Without a sink, sent frames vanish.
  void SetSink(Sink sink) { sink_ = std::move(sink); }
  // Queues a frame for RxBurst, or drops it and counts.
  void Deliver(Frame frame);

  void SetFaults(const SimPortFaults& faults);

  // Packets in the hands of the engine: received or allocated, not yet sent or freed. Not 0 after
  // the engine is gone means that it leaked some.
  uint32_t live() const { return live_; }
  // Octets of frame in a live packet.
  uint32_t Length(wire::PacketHandle packet) { return Get(packet).frame.length(); }
  size_t rx_queued() const { return rx_queue_.size(); }
  const SimPortCounters& counters() const { return counters_; }

 private:
  struct Slot {
    Frame frame;
    stack::TxOffload offload;
    uint32_t generation = 0;
    bool used = false;
    bool finished = false;
  };

  Slot& Get(wire::PacketHandle packet);
  wire::PacketHandle Adopt(Frame frame);
  // Takes the frame out of a live packet, which is gone then.
  Frame Release(wire::PacketHandle packet);
  size_t CountAccepted(size_t offered);
  void Transmit(Instant now, wire::PacketHandle packet);
  bool HasPacketLeft() const { return live_ + rx_queue_.size() < options_.packets_max; }

  SimPortOptions options_;
  SimPortCounters counters_;
  Prng fault_dice_;
  uint64_t allocations_ = 0;  // asked for, to find every n-th
  Sink sink_;
  std::deque<Frame> rx_queue_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  uint32_t live_ = 0;
};

static_assert(stack::Port<SimPort>);

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_SIM_PORT_H_
