// tcp/scoreboard.h - what was sent and is not acknowledged, as runs of octets with one fate.
//
// A run is a stretch of sequence space whose octets were sent at the same poll and are all SACKed,
// lost, retransmitted, or none of it. Runs follow each other without gap or overlap from snd_una to
// snd_nxt; SACKed neighbours are one run. So a burst costs one run, and a window of a thousand
// segments without loss as many as there were polls that sent.
// SACK blocks are believed for whole segments (RFC 2018 section 5), as far as a run knows where its
// segments end, which is where all but the last are equally long: a receiver that names single
// octets of them costs no runs.
// Bounds: Config::sent_runs_max per connection, the pool for the core. When one is reached, what
// needs a new run is told to an existing one in the careful direction: a SACK block is not
// believed, a segment counts as sent later than it was.
// Cost: O(runs) for a SACK block and for loss detection; O(runs passed) for an acknowledgment.
#ifndef MILLRACE_TCP_SCOREBOARD_H_
#define MILLRACE_TCP_SCOREBOARD_H_

#include <algorithm>
#include <cstdint>

#include "millrace/base/memory.h"
#include "millrace/base/seq.h"
#include "millrace/base/slab.h"

namespace millrace::tcp {

enum RunBit : uint8_t {
  kRunSacked = 1u << 0,
  kRunLost = 1u << 1,           // the copy sent last of those before the retransmission
  kRunRetransmitted = 1u << 2,  // and a retransmission of it may be in flight
  kRunRepeated = 1u << 3,       // was ever retransmitted: an ACK does not say which copy arrived
  kRunLossNoted = 1u << 4,      // the congestion control has been told of this loss
};

struct SentRun {
  uint32_t next;
  SeqNum begin, end;
  uint32_t sent_us;  // Env::us of the last transmission
  // Its segments are so long, from `begin` on, the last one at most; 1: they differ.
  uint16_t segment;
  uint8_t bits;  // RunBit

  uint32_t length() const { return end.Since(begin); }
  bool Has(uint8_t any_of) const { return (bits & any_of) != 0; }
  // A copy of it may be in the network, and nobody knows yet.
  bool IsAwaited() const { return !Has(kRunSacked) && (!Has(kRunLost) || Has(kRunRetransmitted)); }
  // The next segment's begin at or behind `at`, and that at or before it. REQUIRES: `at` inside.
  SeqNum SegmentFrom(SeqNum at) const { return SegmentBefore(at + (segment - 1)); }
  SeqNum SegmentBefore(SeqNum at) const { return at - at.Since(begin) % segment; }
};

// What the sender knew when it sent a run last: the per-packet state of delivery-rate sampling
// (draft-ietf-ccwg-bbr 4.1.2.1.2, P.*). Octets since the connection began, modulo 2^32; times are
// Env::us. Kept beside the runs, and only by an engine whose congestion control asks for it.
struct SendMark {
  uint32_t delivered = 0;      // C.delivered
  uint32_t lost = 0;           // C.lost
  uint32_t delivered_us = 0;   // C.delivered_time
  uint32_t first_send_us = 0;  // C.first_send_time
  uint32_t in_flight = 0;      // with the run itself
  bool app_limited = false;
};

// The runs of a core, and beside each its mark if the core keeps marks.
class SentRunPool : public Slab<SentRun> {
 public:
  explicit SentRunPool(uint32_t runs_max, Region::Pages pages = Region::Pages::kPreferHuge,
                       bool with_marks = false)
      : Slab(runs_max, pages),
        region_(with_marks ? size_t{runs_max} * sizeof(SendMark) : 0, pages),
        marks_(reinterpret_cast<SendMark*>(region_.data())) {}

  bool has_marks() const { return marks_ != nullptr; }
  // `mark` may be null: there is none to set. REQUIRES otherwise: has_marks.
  void SetMark(uint32_t index, const SendMark* mark) {
    if (mark != nullptr) marks_[index] = *mark;
  }
  void CopyMark(uint32_t from, uint32_t to) {
    if (has_marks()) marks_[to] = marks_[from];
  }
  // REQUIRES: has_marks, and one was set since the run was taken.
  const SendMark& mark(uint32_t index) const { return marks_[index]; }

 private:
  Region region_;
  SendMark* marks_;
};

class Scoreboard {
 public:
  bool empty() const { return head_ == kNoIndex; }
  uint32_t head() const { return head_; }
  uint16_t runs() const { return runs_; }
  uint16_t sacked_runs() const { return sacked_runs_; }
  uint32_t sacked_bytes() const { return sacked_bytes_; }
  uint32_t lost_bytes() const { return lost_bytes_; }
  uint32_t retransmitted_bytes() const { return retransmitted_bytes_; }
  // Lost octets of which no retransmission is in flight.
  uint32_t unrepaired_bytes() const { return lost_bytes_ - lost_retransmitted_bytes_; }
  // RFC 6675 section 4, "pipe": octets that are thought to be in the network, of `flight`
  // outstanding ones.
  uint32_t Pipe(uint32_t flight) const {
    return flight - sacked_bytes_ - lost_bytes_ + retransmitted_bytes_;
  }
  SeqNum begin(const SentRunPool& pool) const { return pool[head_].begin; }
  SeqNum end(const SentRunPool& pool) const { return pool[tail_].end; }

  // Where the run that was sent last begins, or the first one's when the last was SACKed.
  SeqNum last_awaited_begin(const SentRunPool& pool) const {
    const SentRun& last = pool[tail_];
    return last.Has(kRunSacked) ? begin(pool) : last.begin;
  }

  // Octets [end, `to`) were sent for the first time, in segments of `mss` and what is left of it;
  // on an empty scoreboard [`from`, `to`). `mark` may be null. False: empty, and no run left to
  // begin with.
  [[nodiscard]] bool Append(SeqNum from, SeqNum to, uint16_t mss, uint32_t now_us,
                            uint32_t runs_max, SentRunPool& pool, const SendMark* mark = nullptr);
  // Octets [from, to) were sent again.
  void MarkRetransmitted(SeqNum from, SeqNum to, uint32_t now_us, uint32_t runs_max,
                         SentRunPool& pool, const SendMark* mark = nullptr);
  // Cumulative acknowledgment up to `ack`. Calls visit(run, index) for each piece that was not
  // SACKed before, with the bits and time it had.
  template <class Visit>
  void Acknowledge(SeqNum ack, SentRunPool& pool, Visit&& visit);
  // SACK block [from, to), already validated. Visits what it tells that is new. False: a part of it
  // was not believed, because it is a part of a segment or for want of a run.
  template <class Visit>
  bool MarkSacked(SeqNum from, SeqNum to, uint32_t runs_max, SentRunPool& pool, Visit&& visit);
  void MarkLost(SentRun& run);
  // What was lost is not: the retransmission was spurious.
  void ForgetLosses(SentRunPool& pool);
  // The receiver has dropped what it had SACKed (RFC 2018 section 8).
  void ForgetSacks(SentRunPool& pool);
  void Clear(SentRunPool& pool);

  // Calls visit(run) in sequence order until it returns false.
  template <class Visit>
  void ForEach(SentRunPool& pool, Visit&& visit) const;

 private:
  // Makes two of `run` at `at`. False: no run left.
  bool Split(uint32_t index, SeqNum at, uint32_t runs_max, SentRunPool& pool);
  // Octets of `run` enter (+1) or leave (-1) the sums.
  void Count(const SentRun& run, uint32_t length, bool enters);
  void SetBits(SentRun& run, uint8_t bits);
  // Joins `index` to `previous` when both are SACKed; returns the one that is left.
  uint32_t JoinSacked(uint32_t previous, uint32_t index, SentRunPool& pool);

  uint32_t head_ = kNoIndex, tail_ = kNoIndex;
  uint32_t sacked_bytes_ = 0;
  uint32_t lost_bytes_ = 0;
  uint32_t retransmitted_bytes_ = 0;
  uint32_t lost_retransmitted_bytes_ = 0;
  uint16_t runs_ = 0, sacked_runs_ = 0;
};

// Inline definitions

template <class Visit>
void Scoreboard::ForEach(SentRunPool& pool, Visit&& visit) const {
  for (uint32_t index = head_; index != kNoIndex; index = pool[index].next) {
    if (!visit(pool[index])) return;
  }
}

template <class Visit>
void Scoreboard::Acknowledge(SeqNum ack, SentRunPool& pool, Visit&& visit) {
  while (head_ != kNoIndex && pool[head_].begin < ack) {
    SentRun& run = pool[head_];
    SentRun piece = run;
    piece.end = Min(run.end, ack);
    Count(run, piece.length(), false);
    if (!run.Has(kRunSacked)) visit(piece, head_);
    if (run.end > ack) {
      if (const SeqNum next = Min(run.SegmentFrom(ack), run.end); next != ack) {
        // What is left of a segment is one by itself. A run more than there may be, at most.
        const bool split = next == run.end || Split(head_, next, UINT32_MAX, pool);
        run.segment = split ? static_cast<uint16_t>(next.Since(ack)) : uint16_t{1};
      }
      run.begin = ack;
      return;
    }
    if (run.Has(kRunSacked)) --sacked_runs_;
    const uint32_t gone = head_;
    head_ = run.next;
    pool.Give(gone);
    --runs_;
  }
  if (head_ == kNoIndex) tail_ = kNoIndex;
}

template <class Visit>
bool Scoreboard::MarkSacked(SeqNum from, SeqNum to, uint32_t runs_max, SentRunPool& pool,
                            Visit&& visit) {
  uint32_t previous = kNoIndex;
  bool believed = true;
  for (uint32_t index = head_; index != kNoIndex; index = pool[index].next) {
    SentRun& run = pool[index];
    if (run.begin >= to) {
      JoinSacked(previous, index, pool);
      break;
    }
    if (run.end > from && !run.Has(kRunSacked)) {
      if (run.begin < from) {
        const SeqNum at = run.SegmentFrom(from);
        const SeqNum last = run.end > to ? run.SegmentBefore(to) : run.end;
        // The second half is next; without room for it nothing is believed.
        const bool split = at < last && Split(index, at, runs_max, pool);
        believed &= split && at == from;
        previous = index;
        continue;
      }
      if (run.end > to) {
        const SeqNum at = run.SegmentBefore(to);
        believed &= at == to;
        if (at == run.begin || !Split(index, at, runs_max, pool)) return false;
      }
      visit(run, index);
      SetBits(run, static_cast<uint8_t>(kRunSacked | (run.bits & kRunRepeated)));
      ++sacked_runs_;
    }
    index = JoinSacked(previous, index, pool);
    previous = index;
  }
  return believed;
}

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_SCOREBOARD_H_
