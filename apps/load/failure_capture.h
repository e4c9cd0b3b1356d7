// load/failure_capture.h - `--capture-failures`: the packets of failed connections as a file.
#ifndef MILLRACE_APPS_LOAD_FAILURE_CAPTURE_H_
#define MILLRACE_APPS_LOAD_FAILURE_CAPTURE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/common/flight_recorder.h"

namespace millrace::apps {

struct CaptureSpec {
  std::string path;                // "": no capture
  uint64_t bytes_max = 100 << 20;  // of the file, and of the memory that holds it until then
};
// "x.pcapng", "x.pcapng:20MB". "" or what is wrong.
std::string ParseCapture(const std::string& text, CaptureSpec* spec);

// Makes the file, empty: what cannot be written is known before the run.
absl::Status CheckCapture(const CaptureSpec& spec);

struct CaptureSummary {
  uint64_t connections = 0, packets = 0;  // connections that are in the file as a whole
  uint64_t partly = 0;  // failed connections whose last packets are not in the file
  uint64_t missed = 0;  // those of which nothing is
  bool cut = false;     // the file has reached its size

  // "37 failed connections, 112 packets in x.pcapng (3 more are not in it, 1 in part)".
  std::string Text(const std::string& path) const;
};

// Writes what the recorders of all workers kept, in the order of time; the last packet of each
// connection has the reason as its comment. `unix_minus_run_ns`: what turns their Instants into
// time since 1970. `meanwhile` is called every few thousand packets. REQUIRES: the workers have
// ended.
absl::StatusOr<CaptureSummary> WriteCapture(const CaptureSpec& spec,
                                            const std::vector<FlightRecorder*>& recorders,
                                            int64_t unix_minus_run_ns,
                                            const std::function<void()>& meanwhile);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_FAILURE_CAPTURE_H_
