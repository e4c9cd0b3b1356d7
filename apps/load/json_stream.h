// load/json_stream.h - writes a run as JSON lines while it goes on (result/stream.h).
//
// A line is handed to the system when it is whole, and the run never waits for who reads them:
// lines wait here, a megabyte at most. When they cannot be written, nothing more is, and the run
// goes on: status() says so at the end, which waits for a slow reader for half a second.
#ifndef MILLRACE_APPS_LOAD_JSON_STREAM_H_
#define MILLRACE_APPS_LOAD_JSON_STREAM_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/load/interval_listener.h"
#include "apps/result/stream.h"

namespace millrace::apps {

class JsonStream : public IntervalListener {
 public:
  // Replaces the file `path`; "-" is the standard output. kFailedPrecondition when it cannot, as
  // with a FIFO that nobody reads. From then on the process ignores SIGPIPE.
  static absl::StatusOr<std::unique_ptr<JsonStream>> Open(const std::string& path);
  ~JsonStream() override;
  JsonStream(const JsonStream&) = delete;
  JsonStream& operator=(const JsonStream&) = delete;

  void Begin(const RunIdentity& run, const std::string& load);
  void OnInterval(const Interval& interval, const Latencies& intended, LoadStage stage) override;
  void OnTrial(const Trial& trial);
  void End(const Result& result);

  const absl::Status& status() const { return status_; }

 private:
  static constexpr size_t kWaitingMax = size_t{1} << 20;

  JsonStream(const std::string& path, int fd) : path_(path), fd_(fd) {}
  void Write(const std::string& line);
  // Writes what can be written within `wait_ms`.
  void Flush(int wait_ms);

  std::string path_;
  int fd_;
  std::string waiting_;
  absl::Status status_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_JSON_STREAM_H_
