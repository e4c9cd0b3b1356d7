#include "apps/control/control_desk.h"

#include <algorithm>
#include <utility>

#include "millrace/base/check.h"
#include "millrace/stack/steering.h"

namespace millrace::apps {

bool ControlDesk::One::IsOver() const {
  return std::all_of(open.begin(), open.end(), [](uint32_t left) { return left == 0; });
}

void ControlDesk::One::Finish() {
  for (uint32_t worker = 0; worker < open.size(); ++worker) {
    if (open[worker] > 0) answers.silent.push_back(worker);
  }
  const Then told = std::exchange(then, nullptr);
  told(answers);
}

bool ControlDesk::Ask(std::span<const stack::ControlRequest> requests, Duration patience,
                      Instant now, Then then, uint32_t rows) {
  MR_CHECK(!requests.empty() && requests.size() <= kRequestsMax);
  if (asks_.size() == kAsksMax) return false;
  auto one = std::make_unique<One>(One{.tag = next_tag_++,
                                       .deadline = now + patience,
                                       .then = std::move(then),
                                       .open = std::vector<uint32_t>(workers()),
                                       .answers = {}});
  one->answers.snapshots.resize(workers());
  one->answers.rows.resize(workers());
  for (uint32_t i = 0; i < workers(); ++i) {
    one->answers.rows[i].resize(rows);
    for (stack::ControlRequest request : requests) {
      request.tag = one->tag;
      request.snapshot = &one->answers.snapshots[i];
      request.rows = one->answers.rows[i];
      if (request.backlog != 0) {
        request.backlog = std::max(1u, stack::ShareOf(request.backlog, i, workers()));
      }
      MR_CHECK(workers_[i]->Ask(request));  // there is room for kAsksMax
      ++one->open[i];
    }
  }
  asks_.push_back(std::move(one));
  return true;
}

void ControlDesk::Take(uint32_t worker, const stack::ControlAnswer& answer) {
  for (auto& one : asks_) {
    if (one->tag != answer.tag) continue;
    --one->open[worker];
    if (answer.kind == stack::ControlKind::kList) one->answers.rows[worker].resize(answer.count);
    one->answers.answers.push_back(answer);
  }
}

void ControlDesk::Poll(Instant now) {
  for (uint32_t i = 0; i < workers(); ++i) {
    while (const auto answer = workers_[i]->NextAnswer()) Take(i, *answer);
  }
  // Who is told may ask again.
  std::vector<One*> due;
  for (auto& one : asks_) {
    if (one->then && (one->IsOver() || now >= one->deadline)) due.push_back(one.get());
  }
  for (One* one : due) one->Finish();
  std::erase_if(asks_, [](const auto& one) { return !one->then && one->IsOver(); });
}

}  // namespace millrace::apps
