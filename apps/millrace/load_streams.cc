#include "apps/millrace/load_streams.h"

#include <time.h>

#include <cstdio>

#include "apps/common/exit_code.h"
#include "apps/millrace/load_output.h"

namespace millrace::apps {

absl::StatusOr<LoadStreams> LoadStreams::Open(const LoadFlags& flags, const LoadSetup& setup) {
  LoadStreams streams;
  if (!flags.prometheus.empty()) {
    auto endpoint = MetricsEndpoint::Start(flags.prometheus);
    if (!endpoint.ok()) return endpoint.status();
    streams.metrics_ = *std::move(endpoint);
    std::fprintf(flags.text(), "metrics   %s\n", streams.metrics_->url().c_str());
    std::fflush(flags.text());
  }
  if (!flags.json_stream.empty()) {
    auto stream = JsonStream::Open(flags.json_stream);
    if (!stream.ok()) return stream.status();
    streams.json_ = *std::move(stream);
    const int64_t now_ns = static_cast<int64_t>(time(nullptr)) * 1'000'000'000;
    streams.json_->Begin(IdentityOf(setup.plan, setup.names, now_ns), DescribeLoad(setup.plan));
  }
  return streams;
}

std::vector<IntervalListener*> LoadStreams::listeners() const {
  std::vector<IntervalListener*> listeners;
  if (json_) listeners.push_back(json_.get());
  if (metrics_) listeners.push_back(metrics_.get());
  return listeners;
}

void LoadStreams::OnTrial(const Trial& trial) {
  if (json_) json_->OnTrial(trial);
}

int LoadStreams::Finish(const Result& result, int code) {
  if (!json_) return code;
  json_->End(result);
  return json_->status().ok() ? code : static_cast<int>(Report(json_->status()));
}

}  // namespace millrace::apps
