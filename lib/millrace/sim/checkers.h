// sim/checkers.h - what must hold of an engine after every step of a simulation.
//
// A checker looks at the whole engine between polls and returns the first thing that is wrong, in
// words, or nothing. It keeps what it needs to see that something never goes back.
#ifndef MILLRACE_SIM_CHECKERS_H_
#define MILLRACE_SIM_CHECKERS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

#include "millrace/base/seq.h"
#include "millrace/stack/engine.h"

namespace millrace::sim {

class EngineChecker {
 public:
  // Invariants of every connection, of the pools and of the packets. `packets_live` is what the
  // port says is out; `packets_waiting` what the stack holds for sending.
  std::optional<std::string> Check(stack::Engine& engine, uint32_t packets_live,
                                   size_t packets_waiting);

  // Nothing is left of anything: all pools full, table empty, no packet out.
  static std::optional<std::string> CheckEmpty(stack::Engine& engine, uint32_t packets_live);

 private:
  struct Seen {
    uint32_t generation;
    bool synchronized;  // before that there is nothing that could go back
    SeqNum snd_una, snd_nxt, rcv_nxt, rcv_adv, last_ack_sent;
    SeqNum snd_edge;  // the furthest right edge that the peer ever offered
  };

  std::optional<std::string> CheckConnection(stack::Engine& engine,
                                             const stack::Connection& connection);
  std::optional<std::string> CheckHistory(uint32_t index, const stack::Connection& connection);

  std::unordered_map<uint32_t, Seen> seen_;  // by slab index
};

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_CHECKERS_H_
