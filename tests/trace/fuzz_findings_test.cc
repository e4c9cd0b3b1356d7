// What fuzz/segments has found, each as the shortest trace that shows it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;

// Data that a peer sent behind its own FIN can never come in order; it must not outlive the
// connection.
TEST(FuzzFindings, DataHeldBehindThePeersFinIsGivenBack) {
  for (const State state : {State::kEstablished, State::kFinWait2}) {
    Trace t;
    const Trace::Place p = t.Reach(state);
    t.Receives({.flags = kAck, .seq = p.rcv_nxt + 100, .ack = p.snd_una, .data = Octets(10)});
    t.Receives({.flags = kAck | kFin, .seq = p.rcv_nxt, .ack = p.snd_una});
    t.Close();
    t.Receives({.flags = kAck, .seq = p.rcv_nxt + 1, .ack = 2});
    t.Advance(Duration::Seconds(100));
    t.ExpectNothingHeld();
  }
}

}  // namespace
}  // namespace millrace::testing
