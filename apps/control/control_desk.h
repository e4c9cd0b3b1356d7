// control/control_desk.h - asks all workers and collects their answers, without waiting.
//
// What a request points to belongs to the desk and stays until the last worker has answered, also
// when a worker is stuck and who asked has been told so. Bounds: kAsksMax asks at a time.
// Threading: the controlling thread. Ends after the workers.
#ifndef MILLRACE_APPS_CONTROL_CONTROL_DESK_H_
#define MILLRACE_APPS_CONTROL_CONTROL_DESK_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "millrace/base/time.h"
#include "millrace/stack/control.h"

namespace millrace::apps {

class ControlDesk {
 public:
  static constexpr size_t kRequestsMax = 2;  // of one ask, to each worker
  // What is left of a worker's places is for the end (apps/common/worker_group.h).
  static constexpr size_t kAsksMax = stack::Control::kRequestsMax / kRequestsMax - 2;

  struct Answers {
    std::vector<stack::EngineSnapshot> snapshots;         // by worker
    std::vector<std::vector<stack::ConnectionRow>> rows;  // by worker, as many as there were
    std::vector<stack::ControlAnswer> answers;            // in the order in which they came
    std::vector<uint32_t> silent;  // workers that did not answer in time; theirs is not valid
  };
  using Then = std::function<void(const Answers&)>;

  explicit ControlDesk(std::vector<stack::Control*> workers) : workers_(std::move(workers)) {}

  // Asks each worker all of `requests`, at most kRequestsMax; `rows` and backlogs are shared out.
  // A later Poll calls `then` once: when all have answered, or `patience` is over.
  // False: too many are under way.
  bool Ask(std::span<const stack::ControlRequest> requests, Duration patience, Instant now,
           Then then, uint32_t rows = 0);
  void Poll(Instant now);

  size_t under_way() const { return asks_.size(); }
  uint32_t workers() const { return static_cast<uint32_t>(workers_.size()); }

 private:
  struct One {
    uint64_t tag;
    Instant deadline;
    Then then;                   // empty when it was called
    std::vector<uint32_t> open;  // answers to come, by worker
    Answers answers;

    bool IsOver() const;
    void Finish();
  };

  void Take(uint32_t worker, const stack::ControlAnswer& answer);

  std::vector<stack::Control*> workers_;
  uint64_t next_tag_ = 1;
  std::vector<std::unique_ptr<One>> asks_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_CONTROL_CONTROL_DESK_H_
