// tests/unit/tcp/bbr_path.h - a path of one bottleneck with a sender under BBR, in virtual time,
// without a connection.
#ifndef MILLRACE_TESTS_UNIT_TCP_BBR_PATH_H_
#define MILLRACE_TESTS_UNIT_TCP_BBR_PATH_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "millrace/tcp/bbr.h"

namespace millrace::tcp {

using State = Bbr::State;

inline constexpr uint32_t kMss = 1000;
inline constexpr uint32_t kRttUs = 40'000;
inline constexpr uint32_t kInitialCwnd = 10 * kMss;
inline constexpr uint64_t kBottleneck = 5'000'000;                  // octets per second
inline constexpr uint32_t kBdp = kBottleneck * kRttUs / 1'000'000;  // 200 segments

// What a path is like, and how much the application has to send.
struct Conditions {
  uint64_t bottleneck = kBottleneck;
  uint32_t lost_every = 0;  // each nth segment is lost; 0: none
  uint32_t app_flight = 0;  // the application never has more in flight; 0: no bound
  uint32_t rtt_us = kRttUs;
  size_t queue_max = 1'000'000;  // segments before the bottleneck; more are dropped
};

// A sender with BBR before a bottleneck. It sends as pace and window allow;
// each segment that is not lost is acknowledged by itself, and the ACK behind a lost one tells of
// the loss, which is not repaired.
class Path {
 public:
  // Runs until `until` holds after an ACK, at most for `limit_us`; false: the limit came first.
  template <class Until>
  bool Run(const Conditions& on, uint32_t limit_us, Until&& until) {
    const uint64_t end_ns = age_ns + uint64_t{limit_us} * 1000;
    for (;;) {
      const bool room = in_flight + kMss <= cwnd;
      const bool wants = on.app_flight == 0 || in_flight + kMss <= on.app_flight;
      if (!room) bbr.NoteLimit(true);
      if (room && !wants) bbr.rate().MarkAppLimited(in_flight);
      const uint64_t send_ns = room && wants ? std::max(gate_ns, age_ns) : kNever;
      const uint64_t depart_ns = queue.empty() ? kNever : head_ns;
      const uint64_t ack_ns = flying.empty() ? kNever : flying.front().acked_ns;
      const uint64_t next_ns = std::min({send_ns, depart_ns, ack_ns, end_ns});
      age_ns = next_ns;
      now_us = kStartUs + static_cast<uint32_t>(age_ns / 1000);
      if (next_ns == end_ns) return false;
      if (next_ns == depart_ns) {
        Depart(on);
      } else if (next_ns == ack_ns) {
        TakeAck();
        if (until()) return true;
      } else {
        Send(on);
      }
    }
  }
  void RunFor(uint32_t us, const Conditions& on = {}) {
    (void)Run(on, us, [] { return false; });
  }
  void RunUntil(State state, const Conditions& on = {}) {
    ASSERT_TRUE(Run(on, 20'000'000, [&] { return bbr.state() == state; }));
  }
  void RunWhile(State state, const Conditions& on = {}) {
    ASSERT_TRUE(Run(on, 20'000'000, [&] { return bbr.state() != state; }));
  }
  bool Saw(State state) const { return std::find(seen.begin(), seen.end(), state) != seen.end(); }

  void Idle(uint32_t us) {
    age_ns += uint64_t{us} * 1000;
    now_us += us;
  }

  static constexpr uint32_t kStartUs = 0xFFF0'0000;  // the clock wraps on the way
  uint32_t now_us = kStartUs;
  Bbr bbr{kMss, kInitialCwnd, kRttUs, now_us, 1};
  uint32_t cwnd = kInitialCwnd;
  uint32_t in_flight = 0;
  std::vector<State> seen{State::kStartup};  // without repetitions

 private:
  struct Packet {
    SentRun run;
    SendMark mark;
    uint64_t acked_ns;
    bool lost;
  };
  static constexpr uint64_t kNever = ~uint64_t{0};

  static uint64_t SpanNs(uint64_t rate) { return uint64_t{kMss} * 1'000'000'000 / rate; }
  void Send(const Conditions& on) {
    gate_ns = std::max(gate_ns, age_ns) + SpanNs(bbr.pacing_rate());
    Packet packet{};
    packet.mark = *bbr.rate().OnSent(in_flight, kMss, now_us);
    packet.run.begin = next;
    packet.run.end = next += kMss;
    packet.run.sent_us = now_us;
    packet.lost = on.lost_every != 0 && ++sent % on.lost_every == 0;
    in_flight += kMss;
    if (queue.size() >= on.queue_max) {
      dropped.push_back(packet);
      return;
    }
    if (queue.empty()) head_ns = age_ns + SpanNs(on.bottleneck);
    queue.push_back(packet);
  }
  void Depart(const Conditions& on) {
    queue.front().acked_ns = age_ns + uint64_t{on.rtt_us} * 1000;
    flying.push_back(queue.front());
    queue.pop_front();
    head_ns = age_ns + SpanNs(on.bottleneck);
  }
  void TakeAck() {
    const Packet packet = flying.front();
    flying.pop_front();
    in_flight -= kMss;
    if (packet.lost) {
      lost.push_back(packet);
      return;
    }
    for (; !dropped.empty() && dropped.front().run.end <= packet.run.begin; dropped.pop_front()) {
      lost.push_back(dropped.front());
      in_flight -= kMss;
    }
    bbr.rate().BeginAck();
    bbr.rate().OnDelivered(packet.run, packet.mark, now_us);
    // Recovery lasts until what was lost last would have been repaired.
    if (recovering && packet.run.begin >= recover) recovering = false;
    if (!lost.empty()) {
      if (!recovering) bbr.OnRecovery(cwnd);
      recovering = true;
      recover = next;
    }
    for (const Packet& gone : lost) bbr.OnLost(gone.run, gone.mark, cwnd, now_us);
    lost.clear();
    cwnd = bbr.OnAck({.now_us = now_us,
                      .in_flight = in_flight,
                      .rtt_us = now_us - packet.run.sent_us,
                      .min_rtt_us = kRttUs,
                      .mss = kMss,
                      .in_recovery = recovering},
                     cwnd);
    if (seen.back() != bbr.state()) seen.push_back(bbr.state());
  }

  SeqNum next{0}, recover;
  std::deque<Packet> queue, flying, dropped;
  std::vector<Packet> lost;
  uint64_t age_ns = 0, gate_ns = 0;
  uint64_t head_ns = 0;  // when the first of the queue leaves it
  uint32_t sent = 0;
  bool recovering = false;
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TESTS_UNIT_TCP_BBR_PATH_H_
