#include "apps/load/metrics_endpoint.h"

#include <arpa/inet.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <array>
#include <charconv>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace millrace::apps {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

double Seconds(double ns) { return ns * 1e-9; }

MetricFamily Counter(const char* name, const char* help, uint64_t value) {
  ClientMetric metric;
  metric.counter.value = static_cast<double>(value);
  return {name, help, MetricType::Counter, {metric}};
}

MetricFamily Gauge(const char* name, const char* help, double value) {
  ClientMetric metric;
  metric.gauge.value = value;
  return {name, help, MetricType::Gauge, {metric}};
}

// The library's own words for a place to listen at; nullopt for what is none. It would take more
// than an address and a port, such as "80s" for TLS.
std::optional<std::string> ParsePlace(const std::string& where) {
  const size_t colon = where.rfind(':');
  std::string host = colon == std::string::npos ? "" : where.substr(0, colon);
  const std::string port = colon == std::string::npos ? where : where.substr(colon + 1);
  uint16_t number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size()) return std::nullopt;
  if (host.empty()) host = "127.0.0.1";
  std::array<unsigned char, 16> address{};
  const bool v6 = host.starts_with('[') && host.ends_with(']');
  const std::string bare = v6 ? host.substr(1, host.size() - 2) : host;
  if (inet_pton(v6 ? AF_INET6 : AF_INET, bare.c_str(), address.data()) != 1) return std::nullopt;
  return host + ":" + std::to_string(number);
}

}  // namespace

class MetricsEndpoint::Metrics : public prometheus::Collectable {
 public:
  void Add(const Interval& interval, const Latencies& intended, LoadStage stage) {
    const std::lock_guard lock(mutex_);
    last_ = interval;
    measuring_ = stage == LoadStage::kMeasuring;
    sum_.due += interval.due;
    sum_.opened += interval.opened;
    sum_.ok += interval.ok;
    sum_.failed += interval.failed;
    sum_.retransmits += interval.retransmits;
    for (size_t i = 0; i < kLatencyStates; ++i) latencies_[i].Add(intended.states[i]);
  }

  std::vector<MetricFamily> Collect() const override {
    const std::lock_guard lock(mutex_);
    return {Counter("millrace_load_due_total", "connections that should have started", sum_.due),
            Counter("millrace_load_opened_total", "connections that did", sum_.opened),
            Counter("millrace_load_ok_total", "connections that ended as they should", sum_.ok),
            Counter("millrace_load_failed_total", "connections that ended otherwise", sum_.failed),
            Counter("millrace_load_retransmits_total", "segments sent again", sum_.retransmits),
            Gauge("millrace_load_measuring", "1 in the measured window, 0 before it", measuring_),
            Gauge("millrace_load_open", "connections open", static_cast<double>(last_.open)),
            Gauge("millrace_load_busiest_core_ratio", "busy cycles of the busiest worker",
                  last_.busiest_core_share),
            Gauge("millrace_load_worst_lag_seconds", "a start that was due came so late",
                  Seconds(static_cast<double>(last_.worst_lag_ns))),
            LatencySummaries()};
  }

 private:
  // What Prometheus calls a summary: count and sum of all, percentiles of the last while.
  struct StateLatency {
    uint64_t count = 0;
    double sum_ns = 0;
    std::array<std::pair<double, uint64_t>, 4> percentiles{
        {{0.5, 0}, {0.9, 0}, {0.99, 0}, {0.999, 0}}};

    void Add(const Histogram& interval) {
      count += interval.count();
      sum_ns += static_cast<double>(interval.sum());
      for (auto& [quantile, ns] : percentiles) ns = interval.ValueAtQuantile(quantile);
    }
  };

  MetricFamily LatencySummaries() const {
    MetricFamily family{"millrace_load_latency_seconds",
                        "from the intended start, by state; quantiles of the last interval",
                        MetricType::Summary,
                        {}};
    for (size_t i = 0; i < kLatencyStates; ++i) {
      const StateLatency& latency = latencies_[i];
      ClientMetric metric;
      metric.label = {{"state", ToString(static_cast<LatencyState>(i))}};
      metric.summary.sample_count = latency.count;
      metric.summary.sample_sum = Seconds(latency.sum_ns);
      for (const auto& [quantile, ns] : latency.percentiles) {
        metric.summary.quantile.push_back({quantile, Seconds(static_cast<double>(ns))});
      }
      family.metric.push_back(std::move(metric));
    }
    return family;
  }

  mutable std::mutex mutex_;
  Interval last_, sum_;
  bool measuring_ = false;
  std::array<StateLatency, kLatencyStates> latencies_;
};

std::string MetricsEndpoint::WrongPlace(const std::string& where) {
  if (ParsePlace(where)) return "";
  return "\"" + where +
         "\" is no place for metrics; write :9100, or 0.0.0.0:9100 for other machines to read them";
}

absl::StatusOr<std::unique_ptr<MetricsEndpoint>> MetricsEndpoint::Start(const std::string& where) {
  const std::optional<std::string> place = ParsePlace(where);
  if (!place) return absl::InvalidArgumentError(WrongPlace(where));
  try {
    return std::unique_ptr<MetricsEndpoint>(new MetricsEndpoint(
        std::make_unique<prometheus::Exposer>(*place), place->substr(0, place->rfind(':'))));
  } catch (const std::exception&) {
    return absl::UnavailableError("cannot serve metrics on " + where +
                                  ": is the port in use, and the address ours?");
  }
}

MetricsEndpoint::MetricsEndpoint(std::unique_ptr<prometheus::Exposer> exposer, std::string host)
    : metrics_(std::make_shared<Metrics>()), exposer_(std::move(exposer)), host_(std::move(host)) {
  exposer_->RegisterCollectable(metrics_);
}

MetricsEndpoint::~MetricsEndpoint() = default;

uint16_t MetricsEndpoint::port() const {
  return static_cast<uint16_t>(exposer_->GetListeningPorts().front());
}

std::string MetricsEndpoint::url() const {
  return "http://" + host_ + ":" + std::to_string(port()) + "/metrics";
}

void MetricsEndpoint::OnInterval(const Interval& interval, const Latencies& intended,
                                 LoadStage stage) {
  metrics_->Add(interval, intended, stage);
}

}  // namespace millrace::apps
