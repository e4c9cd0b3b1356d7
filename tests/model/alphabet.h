// model/alphabet.h - the steps that sequences are made of.
#ifndef MILLRACE_TESTS_MODEL_ALPHABET_H_
#define MILLRACE_TESTS_MODEL_ALPHABET_H_

#include <iterator>
#include <vector>

#include "millrace/base/prng.h"
#include "model/lockstep.h"

namespace millrace::model {

// Enough to reach every state in three or four steps and to do each thing wrong there.
inline constexpr Symbol kCore[] = {
    {.name = "SYN", .flags = kSyn, .seq = SeqAt::kIsn},
    {.name = "SYN,ACK", .flags = kSyn | kAck, .seq = SeqAt::kIsn, .ack = AckAt::kNext},
    {.name = "ACK", .flags = kAck, .ack = AckAt::kNext},
    {.name = "ACK again", .flags = kAck, .ack = AckAt::kUna},
    {.name = "ACK of the unsent", .flags = kAck, .ack = AckAt::kBeyond},
    {.name = "text", .flags = kAck, .ack = AckAt::kNext, .text = 5},
    {.name = "text ahead", .flags = kAck, .seq = SeqAt::kAhead, .ack = AckAt::kUna, .text = 5},
    {.name = "FIN,ACK", .flags = kFin | kAck, .ack = AckAt::kNext},
    {.name = "FIN without news", .flags = kFin | kAck, .ack = AckAt::kUna},
    {.name = "FIN again", .flags = kFin | kAck, .seq = SeqAt::kOld, .ack = AckAt::kNext},
    {.name = "RST", .flags = kRst},
    {.name = "RST,ACK", .flags = kRst | kAck, .ack = AckAt::kNext},
    {.name = "RST ahead", .flags = kRst, .seq = SeqAt::kAhead},
    {.name = "Send", .call = Call::kSend, .text = 10},
    {.name = "Close", .call = Call::kClose},
};

// What random sequences take as well.
inline constexpr Symbol kMore[] = {
    {.name = "SYN with text", .flags = kSyn, .seq = SeqAt::kIsn, .text = 3},
    {.name = "SYN in the window", .flags = kSyn, .seq = SeqAt::kAhead},
    {.name = "SYN beyond", .flags = kSyn, .seq = SeqAt::kBeyond},
    {.name = "SYN,ACK with text",
     .flags = kSyn | kAck,
     .seq = SeqAt::kIsn,
     .ack = AckAt::kNext,
     .text = 3},
    {.name = "SYN,ACK of the unsent",
     .flags = kSyn | kAck,
     .seq = SeqAt::kIsn,
     .ack = AckAt::kBeyond},
    {.name = "SYN,FIN", .flags = kSyn | kFin, .seq = SeqAt::kIsn},
    {.name = "SYN,RST", .flags = kSyn | kRst, .seq = SeqAt::kIsn},
    {.name = "no flags", .flags = 0},
    {.name = "text without ACK", .flags = 0, .text = 4},
    {.name = "FIN without ACK", .flags = kFin},
    {.name = "old ACK", .flags = kAck, .ack = AckAt::kOld},
    {.name = "ACK too old", .flags = kAck, .ack = AckAt::kTooOld},
    {.name = "text with ACK too old", .flags = kAck, .ack = AckAt::kTooOld, .text = 4},
    {.name = "text with ACK of the unsent", .flags = kAck, .ack = AckAt::kBeyond, .text = 4},
    {.name = "ACK behind", .flags = kAck, .seq = SeqAt::kOld, .ack = AckAt::kNext},
    {.name = "ACK ahead", .flags = kAck, .seq = SeqAt::kAhead, .ack = AckAt::kNext},
    {.name = "ACK beyond", .flags = kAck, .seq = SeqAt::kBeyond, .ack = AckAt::kNext},
    {.name = "text over the left edge",
     .flags = kAck,
     .seq = SeqAt::kOld,
     .ack = AckAt::kNext,
     .text = 8},
    {.name = "text that fills the gap", .flags = kAck, .ack = AckAt::kNext, .text = 10},
    {.name = "text beyond", .flags = kAck, .seq = SeqAt::kBeyond, .ack = AckAt::kNext, .text = 5},
    {.name = "text with FIN", .flags = kFin | kAck, .ack = AckAt::kNext, .text = 5},
    {.name = "text ahead with FIN",
     .flags = kFin | kAck,
     .seq = SeqAt::kAhead,
     .ack = AckAt::kNext,
     .text = 5},
    {.name = "FIN of the unsent", .flags = kFin | kAck, .ack = AckAt::kBeyond},
    {.name = "FIN beyond", .flags = kFin | kAck, .seq = SeqAt::kBeyond, .ack = AckAt::kNext},
    {.name = "RST behind", .flags = kRst, .seq = SeqAt::kOld},
    {.name = "RST beyond", .flags = kRst, .seq = SeqAt::kBeyond},
    {.name = "RST,ACK of the unsent", .flags = kRst | kAck, .ack = AckAt::kBeyond},
    {.name = "RST with text", .flags = kRst | kAck, .ack = AckAt::kNext, .text = 3},
    {.name = "closed window", .flags = kAck, .ack = AckAt::kNext, .window = 0},
    {.name = "URG text", .flags = kAck | kUrg, .ack = AckAt::kNext, .text = 2},
    {.name = "Abort", .call = Call::kAbort},
    {.name = "2MSL passes", .call = Call::kTimeWaitTimeout},
};

inline Symbol RandomSymbol(Prng& random) {
  // Half of the steps come from the core, so that sequences get somewhere.
  if (random.Below(2) == 0) return kCore[random.Below(std::size(kCore))];
  return kMore[random.Below(std::size(kMore))];
}

// Half of the random sequences begin ESTABLISHED from either side; some at the very beginning.
inline std::vector<Symbol> RandomSequence(uint64_t seed, Opening* opening, uint32_t* peer_isn) {
  Prng random(seed);
  *opening = random.Below(2) == 0 ? Opening::kPassive : Opening::kActive;
  std::vector<Symbol> sequence;
  if (random.Below(8) != 0) {
    sequence = *opening == Opening::kPassive ? std::vector<Symbol>{kCore[0], kCore[2]}
                                             : std::vector<Symbol>{kCore[1]};
  }
  const size_t length = 4 + random.Below(12);
  while (sequence.size() < length) sequence.push_back(RandomSymbol(random));
  // Every fourth time the peer's numbers are about to wrap.
  *peer_isn = random.Below(4) == 0 ? 0xFFFF'FFF8 : 1'000'000;
  return sequence;
}

}  // namespace millrace::model

#endif  // MILLRACE_TESTS_MODEL_ALPHABET_H_
