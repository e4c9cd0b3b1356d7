// load/metrics_endpoint.h - a run as Prometheus sees it: /metrics, served while the run goes on.
//
// Counters run through all runs of the process (the trials of a search); gauges and percentiles are
// those of the last interval. The pages are served by threads of the library, over the kernel's
// sockets: no data core takes part, and none waits for the lock between them and the watching
// thread.
#ifndef MILLRACE_APPS_LOAD_METRICS_ENDPOINT_H_
#define MILLRACE_APPS_LOAD_METRICS_ENDPOINT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "apps/load/interval_listener.h"

namespace prometheus {
class Exposer;
}

namespace millrace::apps {

class MetricsEndpoint : public IntervalListener {
 public:
  // `where`: "9100" or ":9100" on the loopback, for this machine alone; "0.0.0.0:9100" on every
  // address, or "10.0.0.1:9100", "[::1]:9100"; port 0 for any that is free. kInvalidArgument for
  // another text, kUnavailable when it cannot listen there.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(const std::string& where);
  // What is wrong with such a text, "" for nothing.
  static std::string WrongPlace(const std::string& where);
  ~MetricsEndpoint() override;

  uint16_t port() const;
  std::string url() const;  // "http://127.0.0.1:9100/metrics"
  void OnInterval(const Interval& interval, const Latencies& intended, LoadStage stage) override;

 private:
  class Metrics;

  MetricsEndpoint(std::unique_ptr<prometheus::Exposer> exposer, std::string host);

  std::shared_ptr<Metrics> metrics_;
  std::unique_ptr<prometheus::Exposer> exposer_;
  std::string host_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_METRICS_ENDPOINT_H_
