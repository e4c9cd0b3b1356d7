// testing/loss.h - traces of a peer with SACK: a stream of full segments, a round trip of kRtt.
#ifndef MILLRACE_TESTING_LOSS_H_
#define MILLRACE_TESTING_LOSS_H_

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {

inline constexpr uint32_t kMss = 1000;
inline constexpr Duration kRtt = Duration::Milliseconds(40);

// Where segment `n` (from 0) of a stream of full segments begins.
constexpr uint32_t At(uint32_t n) { return 1 + n * kMss; }

inline Seg Ack(uint32_t ack, std::vector<SackRange> sack = {}) {
  return {.flags = kAck, .seq = 1, .ack = ack, .sack = std::move(sack)};
}

// Established with a round trip of kRtt and a peer with SACK; nothing sent.
inline void OpenWithSack(Trace& t) {
  t.Listen();
  t.Receives({.flags = kSyn, .mss = kMss, .sack_permitted = true});
  t.Advance(kRtt);
  t.Receives(Ack(1));
  ASSERT_EQ(t.state(), tcp::State::kEstablished);
  t.ForgetSent();
  t.TakeLog();
}

// `segments` full segments in flight, all sent a round trip ago.
inline void SendSegments(Trace& t, uint32_t segments) {
  OpenWithSack(t);
  t.Send(Octets(segments * kMss));
  ASSERT_EQ(t.AllSent().size(), segments);
  t.Advance(kRtt);
}

inline std::vector<uint32_t> SeqsOf(const std::vector<Seg>& segs) {
  std::vector<uint32_t> seqs;
  for (const Seg& seg : segs) seqs.push_back(seg.seq);
  return seqs;
}

inline const tcp::Recovery& RecordOf(Trace& t) {
  return t.engine().env().recovery_pool.records[t.tcb()->recovery];
}
inline const tcp::Scoreboard& BoardOf(Trace& t) { return RecordOf(t).board; }

}  // namespace millrace::testing

#endif  // MILLRACE_TESTING_LOSS_H_
