// apps/common/load_result.h - what `millrace get` shows while it runs, and what it has measured.
#ifndef MILLRACE_APPS_COMMON_LOAD_RESULT_H_
#define MILLRACE_APPS_COMMON_LOAD_RESULT_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "millrace/base/histogram.h"
#include "millrace/base/time.h"
#include "millrace/stack/engine.h"
#include "millrace/tcp/tcb.h"

namespace millrace::apps {

// Between a worker and who watches it; relaxed.
struct LiveLoad {
  std::atomic<bool> done{false};  // nothing more will be opened and nothing is open
  std::atomic<bool> stop{false};  // set by others: open no more
};

struct LoadResult {
  uint64_t opened = 0, ok = 0;
  std::array<uint64_t, 6> failed{};  // by tcp::CloseReason; kNormal: the response was short
  uint64_t not_opened = 0;           // Connect refused: tried again
  stack::ConnectResult last_refusal = stack::ConnectResult::kOk;
  uint64_t ok_in_window = 0;  // completed before `window` was over
  Duration window;            // from the first connection that opened to the last start
  Histogram connect_ns, first_byte_ns, close_ns, total_ns;

  // Together with what another worker has measured at the same time.
  void Add(const LoadResult& other);
  double rate_per_s() const {
    return window.ns() == 0 ? 0 : static_cast<double>(ok_in_window) / window.seconds();
  }
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_LOAD_RESULT_H_
