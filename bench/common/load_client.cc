#include "bench/common/load_client.h"

namespace millrace::bench {

// From here on it counts: the neighbours know each other, and the target answers.
void LoadClient::Reached() {
  reached_ = true;
  start_ = now_;
}

void LoadClient::OpenSome(stack::Engine& engine) {
  for (int i = 0; i < kOpensPerPollMax && open_ < plan_.concurrency; ++i) {
    if (plan_.count != 0 && counts_.opened == plan_.count) return;
    // One alone until the first is open: behind an address that ARP is still asking for, all but
    // a few SYNs would be dropped and come again a second later.
    if (!reached_ && open_ > 0) return;
    if (engine.Connect(plan_.target, 0, nullptr) != stack::ConnectResult::kOk) return;
    ++open_;
    ++counts_.opened;
  }
}

void LoadClient::OnPoll(stack::Engine& engine, Instant now) {
  now_ = now;
  if (!started_) {
    started_ = true;
    start_ = now;
  }
  if (window_over_) return;
  const bool all_opened = plan_.count != 0 && counts_.opened == plan_.count;
  const bool time_over = plan_.duration.ns() != 0 && now - start_ >= plan_.duration;
  // With a count the window lasts until the last of them is over.
  if (time_over || (all_opened && open_ == 0)) {
    window_over_ = true;
    counts_.window = now - start_;
    counts_.ok_in_window = counts_.ok;
  } else {
    OpenSome(engine);
  }
}

}  // namespace millrace::bench
