#include "millrace/tcp/receive_tuning.h"

#include <algorithm>

#include "millrace/tcp/liveness.h"

namespace millrace::tcp {

void TuneReceiveBuffer(Tcb& tcb, Env& env) {
  // A connection that has not filled a quarter of its window needs no larger one, and no record.
  const SeqNum taken_to = tcb.rcv_nxt - tcb.receive.ready_bytes();
  if (taken_to.Since(tcb.irs) < tcb.receive_buffer_bytes / 4) return;
  const Config& config = env.config;
  if (!tcb.rtt.has_sample() || !IsIn(tcb.state, kReceivingStates)) return;
  // Without scaling the window field ends the growth.
  const uint32_t most =
      std::min<uint32_t>(config.receive_buffer_max_bytes, 0xFFFFu << tcb.rcv_window_shift());
  if (tcb.receive_buffer_bytes >= most) return;
  Extra* const extra = TakeExtraForPeer(tcb, env);
  if (extra == nullptr) return;
  const uint32_t elapsed_us = env.us - extra->tuning_start_us;
  const uint32_t rtt_us = std::max<uint32_t>(tcb.rtt.srtt_us(), 1);
  if (extra->tuning && elapsed_us < rtt_us) return;
  if (extra->tuning) {
    // What the application took in a round trip; the peer may double its window in the next.
    const uint64_t taken = uint64_t{taken_to.Since(extra->tuning_mark)} * rtt_us / elapsed_us;
    const uint64_t budget = config.receive_tuning_bytes_max > env.receive_tuned_bytes
                                ? config.receive_tuning_bytes_max - env.receive_tuned_bytes
                                : 0;
    const uint64_t wanted =
        std::min({2 * taken, uint64_t{most}, uint64_t{tcb.receive_buffer_bytes} + budget});
    if (wanted > tcb.receive_buffer_bytes) {
      const uint32_t grown_bytes = static_cast<uint32_t>(wanted) - tcb.receive_buffer_bytes;
      tcb.receive_buffer_bytes += grown_bytes;
      extra->tuned_bytes += grown_bytes;
      env.receive_tuned_bytes += grown_bytes;
      ++env.counters.receive_buffer_grown;
    }
  }
  extra->tuning = true;
  extra->tuning_mark = taken_to;
  extra->tuning_start_us = env.us;
}

}  // namespace millrace::tcp
