// tcp/rack.h - RACK-TLP (RFC 8985): losses by time, and a probe for the tail.
//
// A segment is lost when one that was sent sufficiently later has arrived. The variables carry the
// RFC's names (section 5). One per recovery record; the scoreboard holds the per-segment part.
// Times in microseconds of Env::us, which wraps.
#ifndef MILLRACE_TCP_RACK_H_
#define MILLRACE_TCP_RACK_H_

#include <algorithm>
#include <cstdint>

#include "millrace/base/seq.h"
#include "millrace/tcp/scoreboard.h"

namespace millrace::tcp {

// The smallest round-trip time of the last one to two spans of kSpanUs.
class MinRtt {
 public:
  static constexpr uint32_t kSpanUs = 60'000'000;
  bool valid() const { return us() != kNone; }
  uint32_t us() const { return std::min(current_us_, previous_us_); }
  void OnSample(uint32_t rtt_us, uint32_t now_us) {
    if (now_us - span_start_us_ > kSpanUs) {
      previous_us_ = current_us_;
      current_us_ = kNone;
      span_start_us_ = now_us;
    }
    current_us_ = std::min(current_us_, rtt_us);
  }

 private:
  static constexpr uint32_t kNone = 0xFFFF'FFFF;
  uint32_t current_us_ = kNone, previous_us_ = kNone;
  uint32_t span_start_us_ = 0;
};

class Rack {
 public:
  static constexpr uint32_t kDupThresh = 3;

  // Of all that was sent before, nothing is in flight any more. What arrived last of it says
  // nothing of what is sent from here on, and its time would, after half an hour of silence, look
  // later.
  void OnFlightBegins() { valid_ = false; }
  // RFC 8985 6.2 steps 1 to 3 for a piece that was just acknowledged or SACKed. `echo_before_sent`:
  // the segment's timestamp echo is older than the (re)transmission of the piece.
  void OnDelivered(const SentRun& piece, bool echo_before_sent, uint32_t now_us);
  // Step 4. `dsack`: the ACK carried a D-SACK.
  void UpdateReorderWindow(bool dsack, SeqNum snd_una, SeqNum snd_nxt);
  void OnRecoveryEnd();
  // What was sent again had only been overtaken. Step 3 does not see that, because a segment that
  // was retransmitted tells of no reordering there.
  void OnSpuriousRecovery() { reordering_seen_ = true; }
  // Step 5: marks what is lost; returns after how many microseconds more may be, 0 for none.
  // `in_recovery`: fast or time-out recovery.
  uint32_t DetectLoss(Scoreboard& board, SentRunPool& pool, uint32_t now_us, uint32_t srtt_us,
                      uint32_t mss, bool in_recovery);
  // RFC 8985 6.3: on a retransmission time-out.
  void MarkLossesOnTimeout(Scoreboard& board, SentRunPool& pool, uint32_t now_us,
                           uint32_t srtt_us) const;

  // A round-trip time from before there was a scoreboard.
  void SeedMinRtt(uint32_t rtt_us, uint32_t now_us) { min_rtt_.OnSample(rtt_us, now_us); }
  const MinRtt& min_rtt() const { return min_rtt_; }
  // The longest way that a segment was overtaken by, in octets; 0: none was.
  uint32_t reordering_bytes() const { return reordering_bytes_; }
  uint32_t reo_wnd_mult() const { return reo_wnd_mult_; }

 private:
  uint32_t ReorderWindow(uint32_t srtt_us, uint32_t sacked_bytes, uint32_t mss,
                         bool in_recovery) const;

  MinRtt min_rtt_;
  uint32_t xmit_us_ = 0;  // RACK.xmit_ts, RACK.end_seq: the most recently sent that has arrived
  SeqNum end_seq_;
  uint32_t rtt_us_ = 0;  // RACK.rtt
  SeqNum fack_;          // the highest sequence number that has arrived
  uint32_t reordering_bytes_ = 0;
  SeqNum dsack_round_;
  uint8_t reo_wnd_mult_ = 1;
  uint8_t reo_wnd_persist_ = 16;
  bool valid_ = false;  // something of this flight has arrived
  bool reordering_seen_ = false;
  bool in_dsack_round_ = false;
};

// RFC 8985 7: the tail loss probe.
struct TailProbe {
  SeqNum end_seq;  // TLP.end_seq, with in_flight
  bool in_flight = false;
  bool is_retrans = false;
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_RACK_H_
