#include "millrace/tcp/rack.h"

namespace millrace::tcp {
namespace {

// RFC 8985 6.2: "RACK_sent_after(t1, seq1, t2, seq2)".
bool SentAfter(uint32_t t1, SeqNum seq1, uint32_t t2, SeqNum seq2) {
  const int32_t later = static_cast<int32_t>(t1 - t2);
  return later > 0 || (later == 0 && seq1 > seq2);
}

}  // namespace

void Rack::OnDelivered(const SentRun& piece, bool echo_before_sent, uint32_t now_us) {
  const uint32_t rtt_us = std::max<uint32_t>(now_us - piece.sent_us, 1);
  const bool repeated = piece.Has(kRunRepeated);
  if (!repeated) min_rtt_.OnSample(rtt_us, now_us);
  // Step 3: "detect data segment reordering".
  if (!valid_ || piece.end > fack_) {
    fack_ = piece.end;
  } else if (piece.end < fack_ && !repeated) {
    reordering_seen_ = true;
    reordering_bytes_ = std::max(reordering_bytes_, fack_.Since(piece.begin));
  }
  // Step 2: an ACK of a retransmitted segment may be one of the original: by the echo, or because
  // it came faster than the path allows.
  if (repeated && (echo_before_sent || (min_rtt_.valid() && rtt_us < min_rtt_.us()))) return;
  if (valid_ && !SentAfter(piece.sent_us, piece.end, xmit_us_, end_seq_)) return;
  xmit_us_ = piece.sent_us;
  end_seq_ = piece.end;
  rtt_us_ = rtt_us;
  valid_ = true;
}

void Rack::UpdateReorderWindow(bool dsack, SeqNum snd_una, SeqNum snd_nxt) {
  if (in_dsack_round_ && snd_una >= dsack_round_) in_dsack_round_ = false;
  if (!dsack || in_dsack_round_) return;
  // "Grow the reordering window per round that sees DSACK."
  in_dsack_round_ = true;
  dsack_round_ = snd_nxt;
  if (reo_wnd_mult_ < 255) ++reo_wnd_mult_;
  reo_wnd_persist_ = 16;
}

void Rack::OnRecoveryEnd() {
  // "Reset the window after 16 DSACK-free recoveries."
  if (reo_wnd_persist_ > 0) --reo_wnd_persist_;
  if (reo_wnd_persist_ == 0) reo_wnd_mult_ = 1;
}

uint32_t Rack::ReorderWindow(uint32_t srtt_us, uint32_t sacked_bytes, uint32_t mss,
                             bool in_recovery) const {
  if (!reordering_seen_ && (in_recovery || sacked_bytes >= kDupThresh * mss)) return 0;
  if (!min_rtt_.valid()) return 0;
  // "Return min(RACK.reo_wnd_mult * RACK.min_RTT / 4, SRTT)"
  return static_cast<uint32_t>(
      std::min<uint64_t>(uint64_t{reo_wnd_mult_} * min_rtt_.us() / 4, srtt_us));
}

uint32_t Rack::DetectLoss(Scoreboard& board, SentRunPool& pool, uint32_t now_us, uint32_t srtt_us,
                          uint32_t mss, bool in_recovery) {
  if (!valid_) return 0;
  const uint32_t reo_wnd_us = ReorderWindow(srtt_us, board.sacked_bytes(), mss, in_recovery);
  uint32_t timeout_us = 0;
  board.ForEach(pool, [&](SentRun& run) {
    if (!run.IsAwaited() || !SentAfter(xmit_us_, end_seq_, run.sent_us, run.end)) return true;
    const int32_t remaining_us = static_cast<int32_t>(run.sent_us + rtt_us_ + reo_wnd_us - now_us);
    if (remaining_us <= 0) {
      board.MarkLost(run);
    } else {
      timeout_us = std::max(timeout_us, static_cast<uint32_t>(remaining_us));
    }
    return true;
  });
  return timeout_us;
}

void Rack::MarkLossesOnTimeout(Scoreboard& board, SentRunPool& pool, uint32_t now_us,
                               uint32_t srtt_us) const {
  const uint32_t reo_wnd_us = ReorderWindow(srtt_us, board.sacked_bytes(), 1, true);
  bool first = true;
  board.ForEach(pool, [&](SentRun& run) {
    const int32_t remaining_us = static_cast<int32_t>(run.sent_us + rtt_us_ + reo_wnd_us - now_us);
    if (!run.Has(kRunSacked) && (first || remaining_us <= 0)) board.MarkLost(run);
    first = false;
    return true;
  });
}

}  // namespace millrace::tcp
