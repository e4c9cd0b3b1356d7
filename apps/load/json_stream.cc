#include "apps/load/json_stream.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
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
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK;
  const int fd = path == "-" ? STDOUT_FILENO : open(path.c_str(), kFlags, 0666);
  if (fd < 0 && errno == ENXIO) {
    return absl::FailedPreconditionError("cannot write " + path + ": nobody reads it yet");
  }
  if (fd < 0) return CannotWrite(path);
  signal(SIGPIPE, SIG_IGN);  // a reader that goes ends the stream and not the run
  return std::unique_ptr<JsonStream>(new JsonStream(path, fd));
}

JsonStream::~JsonStream() {
  if (fd_ != STDOUT_FILENO) close(fd_);
}

void JsonStream::Write(const std::string& line) {
  if (!status_.ok()) return;
  waiting_ += line + "\n";
  Flush(0);
  if (status_.ok() && waiting_.size() > kWaitingMax) {
    status_ = absl::FailedPreconditionError(path_ + " is read too slowly: the stream is cut short");
  }
}

// A pipe that poll calls writable takes PIPE_BUF octets without waiting, though its other end may
// share it with programs that want it to block.
void JsonStream::Flush(int wait_ms) {
  while (!waiting_.empty() && status_.ok()) {
    pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
    if (poll(&ready, 1, wait_ms) <= 0) return;
    const ssize_t written =
        write(fd_, waiting_.data(), std::min<size_t>(waiting_.size(), PIPE_BUF));
    if (written < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (written < 0) {
      status_ = CannotWrite(path_);
      return;
    }
    waiting_.erase(0, static_cast<size_t>(written));
  }
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
  constexpr int kPatienceMs = 500;
  Flush(kPatienceMs);
  if (status_.ok() && !waiting_.empty()) {
    status_ = absl::FailedPreconditionError(path_ + " is read too slowly: the last " +
                                            std::to_string(waiting_.size()) + " octets are lost");
  }
}

}  // namespace millrace::apps
