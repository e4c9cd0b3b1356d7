// tcp/receive_tuning.h - the receive buffer grows with what the application takes per round trip
// (dynamic right-sizing, Fisk and Feng 2001).
//
// The buffer is a promise, not memory: packets are held only while the application has not taken
// them. So it only grows, which keeps the window from shrinking (RFC 9293 3.8.6, SHLD-14), from
// Config::receive_buffer_bytes to receive_buffer_max_bytes, and all connections of a core together
// by receive_tuning_bytes_max.
#ifndef MILLRACE_TCP_RECEIVE_TUNING_H_
#define MILLRACE_TCP_RECEIVE_TUNING_H_

#include "millrace/tcp/env.h"
#include "millrace/tcp/tcb.h"

namespace millrace::tcp {

// To be called when the application has taken so much that a window update is due.
void TuneReceiveBuffer(Tcb& tcb, Env& env);

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_RECEIVE_TUNING_H_
