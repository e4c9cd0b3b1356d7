// load/live_view.h - what a run shows while it goes on: a line per interval, and on a terminal a
// line of progress that is written over.
#ifndef MILLRACE_APPS_LOAD_LIVE_VIEW_H_
#define MILLRACE_APPS_LOAD_LIVE_VIEW_H_

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/load/interval_listener.h"
#include "apps/load/live_load.h"
#include "apps/result/result.h"
#include "millrace/base/time.h"

namespace millrace::apps {

enum class LiveMode : uint8_t {
  kTty,       // a line per interval, and progress
  kProgress,  // progress alone: a trial has a line of its own when it is over
  kPlain,     // a line per interval
  kQuiet,     // a line every ten seconds: for logs
  kNone,
};

// "auto" (a terminal: tty, else quiet), "tty", "plain", "none"; nullopt for anything else.
std::optional<LiveMode> ParseLiveMode(std::string_view text, FILE* out);

class LiveView {
 public:
  // `length`: of the whole run, with ramp and warm-up; 0 when it is not known. `listeners`, which
  // outlive the view, are told of every interval, whatever is shown.
  LiveView(LiveMode mode, FILE* out, Duration length, std::vector<IntervalListener*> listeners = {})
      : mode_(mode), out_(out), length_(length), listeners_(std::move(listeners)) {}

  // Tells the listeners, and prints a row when this mode shows one now. `intended`: latencies of
  // the interval.
  void OnInterval(const Interval& interval, const Latencies& intended, LoadStage stage);
  // What all ranks of a group have come to; stands behind the rows of this one.
  void SetGroup(uint64_t ok, uint64_t failed, uint64_t open);
  // The line of progress: how far, how long still.
  void ShowProgress(LoadStage stage, Duration since_start);
  // Nothing more comes: takes the line of progress away.
  void Finish();

  LiveMode mode() const { return mode_; }
  // All rows so far, shown or not, for the log of the run.
  const std::string& log() const { return log_; }

 private:
  void ShowInterval(const Interval& interval, LoadStage stage);
  void Erase();
  void Show(const char* line);

  LiveMode mode_;
  FILE* out_;
  Duration length_;
  std::vector<IntervalListener*> listeners_;
  std::string log_, group_;
  double shown_until_s_ = -1e9;
  bool head_shown_ = false, progress_shown_ = false;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_LIVE_VIEW_H_
