#include "millrace/tcp/scoreboard.h"

namespace millrace::tcp {

void Scoreboard::Count(const SentRun& run, uint32_t length, bool enters) {
  const uint32_t delta = enters ? length : 0 - length;
  if (run.Has(kRunSacked)) sacked_bytes_ += delta;
  if (run.Has(kRunLost)) lost_bytes_ += delta;
  if (run.Has(kRunRetransmitted)) retransmitted_bytes_ += delta;
  if (run.Has(kRunLost) && run.Has(kRunRetransmitted)) lost_retransmitted_bytes_ += delta;
}

void Scoreboard::SetBits(SentRun& run, uint8_t bits) {
  Count(run, run.length(), false);
  run.bits = bits;
  Count(run, run.length(), true);
}

bool Scoreboard::Append(SeqNum from, SeqNum to, uint16_t mss, uint32_t now_us, uint32_t runs_max,
                        SentRunPool& pool, const SendMark* mark) {
  if (tail_ != kNoIndex) from = pool[tail_].end;
  MR_DCHECK(from < to);
  const auto segment = static_cast<uint16_t>(std::min<uint32_t>(to.Since(from), mss));
  if (tail_ != kNoIndex) {
    SentRun& tail = pool[tail_];
    if (tail.bits == 0 && tail.sent_us == now_us) {
      if (segment > tail.segment || tail.SegmentBefore(from) != from) tail.segment = 1;
      if (segment < tail.segment && segment < to.Since(from)) tail.segment = 1;
      tail.end = to;
      pool.SetMark(tail_, mark);
      return true;
    }
  }
  const uint32_t index = runs_ < runs_max ? pool.Take() : kNoIndex;
  if (index == kNoIndex) {
    if (tail_ == kNoIndex) return false;
    SentRun& tail = pool[tail_];
    if (tail.Has(kRunSacked)) --sacked_runs_;
    SetBits(tail, tail.bits & kRunRepeated);
    tail.segment = 1;
    tail.sent_us = now_us;
    tail.end = to;
    pool.SetMark(tail_, mark);
    return true;
  }
  pool[index] = {kNoIndex, from, to, now_us, segment, 0};
  pool.SetMark(index, mark);
  (tail_ == kNoIndex ? head_ : pool[tail_].next) = index;
  tail_ = index;
  ++runs_;
  return true;
}

bool Scoreboard::Split(uint32_t index, SeqNum at, uint32_t runs_max, SentRunPool& pool) {
  SentRun& run = pool[index];
  MR_DCHECK(run.begin < at && at < run.end);
  const uint32_t second = runs_ < runs_max ? pool.Take() : kNoIndex;
  if (second == kNoIndex) return false;
  if (run.SegmentBefore(at) != at) run.segment = 1;
  pool[second] = run;
  pool.CopyMark(index, second);
  pool[second].begin = at;
  run.end = at;
  run.next = second;
  if (tail_ == index) tail_ = second;
  ++runs_;
  return true;
}

void Scoreboard::MarkRetransmitted(SeqNum from, SeqNum to, uint32_t now_us, uint32_t runs_max,
                                   SentRunPool& pool, const SendMark* mark) {
  for (uint32_t index = head_; index != kNoIndex; index = pool[index].next) {
    if (pool[index].begin >= to) return;
    if (pool[index].end <= from || pool[index].Has(kRunSacked)) continue;
    if (pool[index].begin < from && Split(index, from, runs_max, pool)) continue;
    // Without room to split, the whole run counts as sent again: it will be found lost once more.
    if (pool[index].end > to) (void)Split(index, to, runs_max, pool);
    SentRun& run = pool[index];
    SetBits(run, run.bits | kRunRetransmitted | kRunRepeated);
    run.sent_us = now_us;
    pool.SetMark(index, mark);
  }
}

void Scoreboard::MarkLost(SentRun& run) {
  MR_DCHECK(!run.Has(kRunSacked));
  SetBits(run, static_cast<uint8_t>((run.bits | kRunLost) & ~(kRunRetransmitted | kRunLossNoted)));
}

void Scoreboard::ForgetLosses(SentRunPool& pool) {
  ForEach(pool, [this](SentRun& run) {
    SetBits(run, static_cast<uint8_t>(run.bits & ~kRunLost));
    return true;
  });
}

void Scoreboard::ForgetSacks(SentRunPool& pool) {
  ForEach(pool, [this](SentRun& run) {
    SetBits(run, static_cast<uint8_t>(run.bits & ~kRunSacked));
    return true;
  });
  sacked_runs_ = 0;
}

uint32_t Scoreboard::JoinSacked(uint32_t previous, uint32_t index, SentRunPool& pool) {
  if (previous == kNoIndex) return index;
  SentRun& before = pool[previous];
  SentRun& run = pool[index];
  if (!before.Has(kRunSacked) || !run.Has(kRunSacked)) return index;
  before.segment = 1;  // of one that is SACKed nobody asks
  before.end = run.end;
  before.next = run.next;
  before.bits |= run.bits;
  if (static_cast<int32_t>(run.sent_us - before.sent_us) > 0) before.sent_us = run.sent_us;
  if (tail_ == index) tail_ = previous;
  pool.Give(index);
  --runs_;
  --sacked_runs_;
  return previous;
}

void Scoreboard::Clear(SentRunPool& pool) {
  while (head_ != kNoIndex) {
    const uint32_t gone = head_;
    head_ = pool[gone].next;
    pool.Give(gone);
  }
  *this = Scoreboard();
}

}  // namespace millrace::tcp
