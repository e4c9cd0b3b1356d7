// sim/link.cc - one direction between two simulated ports.
#include "millrace/sim/link.h"

#include <utility>

namespace millrace::sim {
namespace {

Impairment WithSeed(Impairment impairment, uint64_t seed) {
  impairment.seed = seed;
  return impairment;
}

}  // namespace

Link::Link(SimPort& from, SimPort& to, const Impairment& impairment)
    : from_(from), to_(to), model_(impairment), in_flight_(kInFlightMax) {
  from_.SetSink([this](Instant now, Frame frame) { Send(now, std::move(frame)); });
}

Link::~Link() { from_.SetSink(nullptr); }

void Link::Send(Instant now, Frame frame) {
  if (sent_capture_ != nullptr) sent_capture_->Write(now, frame.octets());
  if (filter_ && filter_(now, frame)) {
    ++counters_.filtered;
    return;
  }
  const Fate fate = model_.Decide(now, frame.length());
  if (fate.congested && MarkCe(frame.data(), frame.length())) ++counters_.marked;
  if (fate.copies == 2) Push(fate.arrival[1], Frame::CopyOf(frame.octets()));
  if (fate.corrupt_bit != Fate::kNoBit &&
      !FlipBit(frame.data(), frame.length(), fate.corrupt_bit)) {
    ++counters_.stopped_by_fcs;
    return;
  }
  if (fate.copies > 0) Push(fate.arrival[0], std::move(frame));
}

void Link::Push(Instant arrival, Frame frame) {
  if (in_flight_.IsFull()) {
    ++counters_.in_flight_full;
  } else {
    in_flight_.Push(arrival, std::move(frame));
  }
}

void Link::Run(Instant now) {
  while (in_flight_.HasDue(now)) {
    Frame frame = in_flight_.Pop();
    if (arriving_capture_ != nullptr) arriving_capture_->Write(now, frame.octets());
    ++counters_.delivered;
    to_.Deliver(std::move(frame));
  }
}

Cable::Cable(World& world, SimPort& a, SimPort& b, Impairment a_to_b, Impairment b_to_a)
    : forward(a, b, WithSeed(a_to_b, world.NextSeed())),
      backward(b, a, WithSeed(b_to_a, world.NextSeed())) {
  world.Add(forward);
  world.Add(backward);
}

void Cable::SetImpairment(const Impairment& both) {
  forward.SetImpairment(both);
  backward.SetImpairment(both);
}

void Cable::Capture(PcapWriter* capture) {
  forward.CaptureSent(capture);
  backward.CaptureSent(capture);
}

}  // namespace millrace::sim
