// apps/common/recording_port.h - a port whose frames a FlightRecorder sees.
//
// Threading: that of the port. Cost: the recorder's.
#ifndef MILLRACE_APPS_COMMON_RECORDING_PORT_H_
#define MILLRACE_APPS_COMMON_RECORDING_PORT_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "apps/common/flight_recorder.h"
#include "millrace/stack/port.h"

namespace millrace::apps {

template <stack::Port P>
class RecordingPort {
 public:
  // Borrows both.
  RecordingPort(P& inner, FlightRecorder& recorder) : inner_(inner), recorder_(recorder) {}

  // The stack::Port concept.
  const stack::PortCapabilities& capabilities() const { return inner_.capabilities(); }
  size_t RxBurst(Instant now, std::span<stack::RxFrame> frames) {
    now_ = now;
    const size_t count = inner_.RxBurst(now, frames);
    for (const stack::RxFrame& frame : frames.first(count)) {
      recorder_.Record(now, FrameWay::kReceived, {frame.data, frame.length});
    }
    return count;
  }
  wire::PacketHandle Allocate() { return inner_.Allocate(); }
  std::byte* Data(wire::PacketHandle packet) { return inner_.Data(packet); }
  // A frame is whole here; checksums that the device fills in are not.
  void Finish(wire::PacketHandle packet, uint32_t length, const stack::TxOffload& offload) {
    recorder_.Record(now_, FrameWay::kSent, {inner_.Data(packet), length});
    inner_.Finish(packet, length, offload);
  }
  size_t TxBurst(Instant now, std::span<const wire::PacketHandle> packets) {
    return inner_.TxBurst(now, packets);
  }
  void Free(std::span<const wire::PacketHandle> packets) { inner_.Free(packets); }

 private:
  P& inner_;
  FlightRecorder& recorder_;
  Instant now_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_RECORDING_PORT_H_
