#include "apps/load/json_stream.h"

#include <time.h>

#include <cerrno>
#include <cstring>

namespace millrace::apps {
namespace {

int64_t UnixNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

absl::Status CannotWrite(const std::string& path) {
  return absl::FailedPreconditionError("cannot write " + path + ": " + std::strerror(errno));
}

}  // namespace

absl::StatusOr<std::unique_ptr<JsonStream>> JsonStream::Open(const std::string& path) {
  std::FILE* const file = path == "-" ? stdout : std::fopen(path.c_str(), "we");
  if (file == nullptr) return CannotWrite(path);
  return std::unique_ptr<JsonStream>(new JsonStream(path, file));
}

JsonStream::~JsonStream() {
  if (file_ != stdout) std::fclose(file_);
}

void JsonStream::Write(const std::string& line) {
  if (!status_.ok()) return;
  const bool written = std::fputs((line + "\n").c_str(), file_) >= 0 && std::fflush(file_) == 0;
  if (!written) status_ = CannotWrite(path_);
}

void JsonStream::Begin(const RunIdentity& run, const std::string& load) {
  Write(StreamLine(StreamBegin{.time_unix_ns = UnixNs(), .run = run, .load = load}));
}

void JsonStream::OnInterval(const Interval& interval, const Latencies& intended, LoadStage stage) {
  StreamInterval line{
      .time_unix_ns = UnixNs(), .measured = stage == LoadStage::kMeasuring, .interval = interval};
  for (size_t i = 0; i < kLatencyStates; ++i) {
    line.latency.emplace_back(ToString(static_cast<LatencyState>(i)),
                              StreamLatencyOf(intended.states[i]));
  }
  Write(StreamLine(line));
}

void JsonStream::OnTrial(const Trial& trial) {
  Write(StreamLine(StreamTrial{.time_unix_ns = UnixNs(), .trial = trial}));
}

void JsonStream::End(const Result& result) {
  Write(StreamLine(StreamEnd{.time_unix_ns = UnixNs(),
                             .load = result.load,
                             .counts = result.counts,
                             .failures = result.failures,
                             .verdict = result.verdict}));
}

}  // namespace millrace::apps
