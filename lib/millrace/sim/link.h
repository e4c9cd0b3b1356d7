// sim/link.h - one direction between two simulated ports, through a bad network.
//
// Frames that `from` sends are judged by an ImpairmentModel, wait here, and are delivered to `to`
// in virtual time. A full-duplex cable is two links.
// Invariants: every copy that was sent is delivered, dropped with a counter, or in flight.
// Threading: one. Cost: O(log n) per frame in flight.
#ifndef MILLRACE_SIM_LINK_H_
#define MILLRACE_SIM_LINK_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "millrace/base/time.h"
#include "millrace/sim/due_queue.h"
#include "millrace/sim/frame.h"
#include "millrace/sim/impairment.h"
#include "millrace/sim/pcap.h"
#include "millrace/sim/sim_port.h"
#include "millrace/sim/world.h"

namespace millrace::sim {

struct LinkCounters {
  uint64_t filtered = 0;        // dropped by the filter
  uint64_t stopped_by_fcs = 0;  // corrupted, without a checksum that could tell: see FlipBit
  uint64_t in_flight_full = 0;  // dropped because too many were in flight
  uint64_t marked = 0;          // given CE
  uint64_t delivered = 0;       // handed to the port, which counts what it drops
};

class Link {
 public:
  // Decides about a frame before the impairment does: true drops it. For tests that lose one
  // certain segment.
  using Filter = std::function<bool(Instant now, const Frame& frame)>;

  // Becomes the sink of `from`. Both ports must live as long as the link.
  Link(SimPort& from, SimPort& to, const Impairment& impairment);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // What `from` calls; tests may inject frames with it.
  void Send(Instant now, Frame frame);

  // The sim::Node concept.
  Instant NextRunAt() const { return in_flight_.NextDue(); }
  void Run(Instant now);

  // Frames in flight still arrive as they were to.
  void SetImpairment(const Impairment& impairment) { model_.SetImpairment(impairment); }
  void SetFilter(Filter filter) { filter_ = std::move(filter); }
  // Writes frames as they are sent (null: none), or, to see what got through, as they arrive.
  void CaptureSent(PcapWriter* capture) { sent_capture_ = capture; }
  void CaptureArriving(PcapWriter* capture) { arriving_capture_ = capture; }

  size_t in_flight() const { return in_flight_.size(); }
  const LinkCounters& counters() const { return counters_; }
  const ImpairmentCounters& impairment_counters() const { return model_.counters(); }

 private:
  // Bounds what a sender without congestion control can put into a long, fast link.
  static constexpr size_t kInFlightMax = size_t{1} << 20;

  void Push(Instant arrival, Frame frame);

  SimPort& from_;
  SimPort& to_;
  ImpairmentModel model_;
  Filter filter_;
  PcapWriter* sent_capture_ = nullptr;
  PcapWriter* arriving_capture_ = nullptr;
  DueQueue<Frame> in_flight_;
  LinkCounters counters_;
};

static_assert(Node<Link>);

// Both directions between two ports, added to a world. The seeds of both come from the world.
struct Cable {
  Cable(World& world, SimPort& a, SimPort& b, Impairment a_to_b, Impairment b_to_a);
  Cable(World& world, SimPort& a, SimPort& b, const Impairment& both = {})
      : Cable(world, a, b, both, both) {}

  // Other settings in both directions from the next frame on.
  void SetImpairment(const Impairment& both);
  // Writes what both ports send to one file.
  void Capture(PcapWriter* capture);

  Link forward;   // a to b
  Link backward;  // b to a
};

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_LINK_H_
