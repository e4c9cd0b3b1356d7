// model/lockstep.h - the engine and the reference model side by side, on the same steps.
//
// After each step virtual time moves on by kStepTime: delayed ACKs are out by then, the limit on
// challenge ACKs has room again, and no retransmission is due yet. Compared are: the state,
// RCV.NXT, SND.UNA and SND.NXT, every segment sent (flags, SEQ, ACK, length), what the user was
// told, and how much text was delivered.
#ifndef MILLRACE_TESTS_MODEL_LOCKSTEP_H_
#define MILLRACE_TESTS_MODEL_LOCKSTEP_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/model.h"
#include "testing/trace.h"

namespace millrace::model {

// Where a segment's numbers lie, seen from the receiver's variables at that moment.
enum class SeqAt { kIsn, kNext, kOld, kAhead, kLast, kBeyond };
enum class AckAt { kNone, kUna, kNext, kBeyond, kOld, kTooOld };

enum class Call { kSegment, kSend, kClose, kAbort, kTimeWaitTimeout, kStopReading };

// One step of a sequence: a segment from the peer or a call of the user.
struct Symbol {
  const char* name;
  Call call = Call::kSegment;
  int flags = 0;
  SeqAt seq = SeqAt::kNext;
  AckAt ack = AckAt::kNone;
  uint32_t text = 0;
  uint32_t window = 65535;
};

enum class Opening { kPassive, kActive };

class Lockstep {
 public:
  Lockstep(Opening opening, const Decisions& decisions, uint32_t peer_isn = 1'000'000,
           uint16_t receive_window = kWindow);

  // Both take the step. Empty when they agree; otherwise what differs, and the object is not to be
  // used any more.
  std::string Apply(const Symbol& symbol);
  State state() const { return model_.state(); }
  const Model& model() const { return model_; }
  // False for a call that has nobody to make it now, and for a segment to a half-open connection
  // that answers no more; Apply passes it over.
  bool CallMakesSense(const Symbol& symbol);
  // What the engine sent in the last step, retransmissions too.
  std::vector<Segment> TakeSent() { return std::exchange(engine_sent_, {}); }

  static constexpr uint16_t kWindow = 65535;  // RCV.WND, where nothing else is said
  static constexpr Duration kStepTime = Duration::Milliseconds(600);

 private:
  bool AnswersNoMore();
  Model::Step ModelStep(const Symbol& symbol);
  void EngineStep(const Symbol& symbol);
  std::string CompareSent(const Model::Step& wanted, uint32_t snd_nxt_before);
  std::string CompareVariables();
  std::string CompareUser(const Model::Step& wanted);

  testing::Trace trace_;
  Model model_;
  std::vector<Segment> engine_sent_;
  bool unread_seq_zero_ = false;  // the model answered from CLOSED, where SEQ is an absolute zero
};

// What the engine decided (lib/ARCHITECTURE.md, "Departures from the RFCs").
inline constexpr Decisions kShipped{.rst_ignored_in_time_wait = true,
                                    .syn_challenged_in_syn_received = true,
                                    .syn_fin_dropped_in_listen = true,
                                    .text_on_syn_dropped = true,
                                    .syn_reopens_time_wait = true,
                                    .old_ack_challenged = true,
                                    .syn_again_answered_by_syn_ack = true,
                                    .crossing_syn_ack_taken = true,
                                    .second_fin_ignored = true,
                                    .reset_told_when_closing = true,
                                    .time_wait_answers_what_has_length = true,
                                    .abort_reset_has_ack = true,
                                    .no_flags_dropped = true,
                                    .window_of_syn_forgotten = true};

// The segment of `symbol` for a receiver with the variables of `model`; not for calls.
Segment SegmentFor(const Symbol& symbol, const Model& model);

// The whole sequence on a fresh pair; "" or what differed, with the steps up to there.
std::string Compare(Opening opening, const Decisions& decisions, std::span<const Symbol> sequence,
                    uint32_t peer_isn = 1'000'000, uint16_t receive_window = Lockstep::kWindow);

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_LOCKSTEP_H_
