// ranks/clock_offset.h - how far a clock is ahead of rank 0's, from questions and answers.
//
// As NTP does it (RFC 5905 8): an answer that came quickly says more than one that came slowly; the
// quickest counts, and half of its round trip is how wrong the estimate can be.
#ifndef MILLRACE_APPS_RANKS_CLOCK_OFFSET_H_
#define MILLRACE_APPS_RANKS_CLOCK_OFFSET_H_

#include <cstdint>

namespace millrace::apps {

class ClockOffset {
 public:
  // Sent and received by the own clock, answered in between by the other. What cannot be (received
  // before it was sent) is passed over.
  void Add(int64_t sent_ns, int64_t answered_ns, int64_t received_ns) {
    const int64_t round_trip_ns = received_ns - sent_ns;
    if (round_trip_ns < 0 || (samples_ > 0 && round_trip_ns >= round_trip_ns_)) return;
    ++samples_;
    round_trip_ns_ = round_trip_ns;
    ahead_ns_ = sent_ns + round_trip_ns / 2 - answered_ns;
  }

  // Of the own clock; 0 without an answer.
  int64_t ahead_ns() const { return ahead_ns_; }
  int64_t error_ns() const { return round_trip_ns_ / 2; }

 private:
  int samples_ = 0;
  int64_t round_trip_ns_ = 0, ahead_ns_ = 0;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RANKS_CLOCK_OFFSET_H_
