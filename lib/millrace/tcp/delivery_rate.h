// tcp/delivery_rate.h - how fast the path delivers: a sample per ACK (draft-ietf-ccwg-bbr 4.1;
// draft-cheng-iccrg-delivery-rate-estimation).
//
// What is sent takes a SendMark along; when it has arrived, the mark says how much was delivered
// meanwhile and in what time. The variables carry the draft's names. Octets are counted modulo
// 2^32, times are Env::us. One per connection under BBR. Cost: a division per ACK.
#ifndef MILLRACE_TCP_DELIVERY_RATE_H_
#define MILLRACE_TCP_DELIVERY_RATE_H_

#include <algorithm>
#include <cstdint>

#include "millrace/base/seq.h"
#include "millrace/tcp/scoreboard.h"

namespace millrace::tcp {

// RS.*, of the ACK being processed; what it says of one packet is of the one sent last.
struct RateSample {
  uint64_t rate_bytes_s = 0;     // RS.delivery_rate; 0: no reliable sample
  uint32_t delivered = 0;        // over the sample's time
  uint32_t newly_acked = 0;      // by this ACK
  uint32_t prior_delivered = 0;  // P.delivered
  uint32_t tx_in_flight = 0;     // P.tx_in_flight
  uint32_t lost = 0;             // since it was sent
  bool has_data = false;         // this ACK delivered something
  bool app_limited = false;
};

class DeliveryRate {
 public:
  // Modular "a is at b or later".
  static bool Reached(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) >= 0; }

  uint32_t delivered() const { return delivered_; }
  uint32_t lost() const { return lost_; }
  bool app_limited() const { return app_limited_; }
  const RateSample& sample() const { return sample_; }

  // `length` octets are sent behind `in_flight` others. The mark holds until the next call.
  const SendMark* OnSent(uint32_t in_flight, uint32_t length, uint32_t sent_us) {
    if (in_flight == 0) first_send_us_ = delivered_us_ = sent_us;
    mark_ = {.delivered = delivered_,
             .lost = lost_,
             .delivered_us = delivered_us_,
             .first_send_us = first_send_us_,
             .in_flight = in_flight + length,
             .app_limited = app_limited_};
    return &mark_;
  }
  // An ACK: first this, then OnDelivered for each piece that it says has arrived, then Finish.
  void BeginAck() {
    sample_ = RateSample();
    newest_ = SentRun();
  }
  void OnDelivered(const SentRun& piece, const SendMark& mark, uint32_t now_us);
  // `min_rtt_us`: a sample over less than that is not reliable.
  void Finish(uint32_t min_rtt_us);

  void OnLost(uint32_t length) { lost_ += length; }
  // The sender runs, or is to be taken as running, out of data with `in_flight` outstanding: what
  // is sent until those are delivered says little of the path.
  void MarkAppLimited(uint32_t in_flight) {
    app_limited_ = true;
    app_limited_until_ = delivered_ + in_flight;
  }

 private:
  uint32_t delivered_ = 0;     // C.delivered
  uint32_t lost_ = 0;          // C.lost
  uint32_t delivered_us_ = 0;  // C.delivered_time
  uint32_t first_send_us_ = 0;
  uint32_t app_limited_until_ = 0;  // C.app_limited, with app_limited_
  bool app_limited_ = false;
  SendMark mark_;
  RateSample sample_;
  SentRun newest_;  // the piece that sample_ is of
  uint32_t lost_before_ = 0;
  uint32_t send_elapsed_us_ = 0, ack_elapsed_us_ = 0;
};

// Inline definitions

inline void DeliveryRate::OnDelivered(const SentRun& piece, const SendMark& mark, uint32_t now_us) {
  delivered_ += piece.length();
  delivered_us_ = now_us;
  sample_.newly_acked += piece.length();
  if (sample_.has_data && (!Reached(piece.sent_us, newest_.sent_us) ||
                           (piece.sent_us == newest_.sent_us && piece.end <= newest_.end))) {
    return;
  }
  newest_ = piece;
  sample_.has_data = true;
  sample_.prior_delivered = mark.delivered;
  sample_.app_limited = mark.app_limited;
  sample_.tx_in_flight = mark.in_flight;
  lost_before_ = mark.lost;
  send_elapsed_us_ = piece.sent_us - mark.first_send_us;
  ack_elapsed_us_ = now_us - mark.delivered_us;
  first_send_us_ = piece.sent_us;
}

inline void DeliveryRate::Finish(uint32_t min_rtt_us) {
  if (app_limited_ && !Reached(app_limited_until_, delivered_)) app_limited_ = false;
  if (!sample_.has_data) return;
  sample_.lost = lost_ - lost_before_;
  sample_.delivered = delivered_ - sample_.prior_delivered;
  // "Use the longer of the send_elapsed and ack_elapsed": ACKs may come compressed.
  const uint32_t interval_us = std::max(send_elapsed_us_, ack_elapsed_us_);
  if (interval_us < min_rtt_us || interval_us == 0) return;
  sample_.rate_bytes_s = uint64_t{sample_.delivered} * 1'000'000 / interval_us;
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_DELIVERY_RATE_H_
