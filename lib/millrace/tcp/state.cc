#include "millrace/tcp/state.h"

namespace millrace::tcp {
namespace {

constexpr const char* kNames[kStateCount] = {
    "CLOSED",     "LISTEN",     "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
    "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",  "LAST-ACK",     "TIME-WAIT",
};

}  // namespace

const char* ToString(State state) { return kNames[static_cast<int>(state)]; }

std::string TransitionsToDot() {
  std::string dot = "digraph tcp_states {\n  node [shape=box, fontname=\"monospace\"];\n";
  for (int from = 0; from < kStateCount; ++from) {
    for (int to = 0; to < kStateCount; ++to) {
      if (!IsLegalTransition(static_cast<State>(from), static_cast<State>(to))) continue;
      dot += std::string("  \"") + kNames[from] + "\" -> \"" + kNames[to] + "\";\n";
    }
  }
  return dot + "}\n";
}

}  // namespace millrace::tcp
