// tcp/prr.h - proportional rate reduction (RFC 9937): how much may be sent for each ACK of a fast
// recovery, so that the flight comes down to ssthresh at its end and neither stops nor bursts.
//
// Octets. One per recovery record. Cost: one division per ACK in recovery.
#ifndef MILLRACE_TCP_PRR_H_
#define MILLRACE_TCP_PRR_H_

#include <algorithm>
#include <cstdint>

namespace millrace::tcp {

class Prr {
 public:
  // Recovery begins; `recover_flight` is what was in flight then (RecoverFS), with `kept` octets
  // that earlier ACKs of the same burst had let go and that have not gone yet: they may still, as
  // if they had before.
  void Start(uint32_t recover_flight, uint32_t kept) {
    delivered_ = out_ = 0;
    kept_ = kept;
    recover_flight_ = std::max<uint32_t>(recover_flight, 1);
  }
  void KeepAtMost(uint32_t length) { kept_ = std::min(kept_, length); }
  uint32_t kept() const { return kept_; }
  void OnSentAgain(uint32_t length) { out_ += length; }
  // New octets. True: they were kept, and so belong to what was in flight when recovery began.
  bool OnSentNew(uint32_t length) {
    const uint32_t kept = std::min(length, kept_);
    kept_ -= kept;
    out_ += length - kept;
    return kept == length;
  }

  // The congestion window after an ACK that reported `delivered` octets and left `pipe` in flight.
  // `safe`: SND.UNA moved and no further loss was found (SafeACK).
  uint32_t OnAck(uint32_t delivered, uint32_t pipe, uint32_t ssthresh, uint32_t mss, bool safe) {
    delivered_ += delivered;
    pipe += kept_;
    int64_t count;
    if (pipe > ssthresh) {
      // "sndcnt = CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out"
      const uint64_t share =
          (uint64_t{delivered_} * ssthresh + recover_flight_ - 1) / recover_flight_;
      count = static_cast<int64_t>(share) - out_;
    } else {
      // "sndcnt = MAX(prr_delivered - prr_out, DeliveredData)"; "if SafeACK sndcnt += SMSS";
      // "sndcnt = MIN(ssthresh - inflight, sndcnt)".
      count = std::max<int64_t>(int64_t{delivered_} - out_, delivered);
      if (safe) count += mss;
      count = std::min<int64_t>(ssthresh - pipe, count);
    }
    count = std::max<int64_t>(count, 0);
    // "Force a fast retransmit upon entering recovery"
    if (out_ == 0 && count < mss) count = mss;
    return pipe + static_cast<uint32_t>(count);
  }

 private:
  uint32_t delivered_ = 0;  // since recovery began
  uint32_t out_ = 0;        // sent since then, but for what was kept
  uint32_t kept_ = 0;
  uint32_t recover_flight_ = 1;
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_PRR_H_
