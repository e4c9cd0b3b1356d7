// apps/millrace/load_streams.h - who is told of a run while it goes on: --json-stream and --prom.
#ifndef MILLRACE_APPS_MILLRACE_LOAD_STREAMS_H_
#define MILLRACE_APPS_MILLRACE_LOAD_STREAMS_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/load/json_stream.h"
#include "apps/load/metrics_endpoint.h"
#include "apps/millrace/load_flags.h"

namespace millrace::apps {

class LoadStreams {
 public:
  // Opens what was asked for, says where the metrics are, and writes the first line.
  static absl::StatusOr<LoadStreams> Open(const LoadFlags& flags, const LoadSetup& setup);

  std::vector<IntervalListener*> listeners() const;
  void OnTrial(const Trial& trial);
  // Writes the last line. `code`: what the program is to return; what it is when the lines could
  // not be written.
  int Finish(const Result& result, int code);

 private:
  std::unique_ptr<JsonStream> json_;
  std::unique_ptr<MetricsEndpoint> metrics_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MILLRACE_LOAD_STREAMS_H_
