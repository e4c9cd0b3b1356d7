// tcp/ecn.h - explicit congestion notification (RFC 3168, 8311; RFC 8257 for DCTCP).
//
// Negotiated on the SYNs (half_open.cc, input_syn.cc, SendSyn): kEcnOn. A connection without it
// comes to none of these functions.
#ifndef MILLRACE_TCP_ECN_H_
#define MILLRACE_TCP_ECN_H_

#include "millrace/tcp/connection.h"
#include "millrace/tcp/env.h"
#include "millrace/tcp/tcb.h"
#include "millrace/wire/segment.h"

namespace millrace::tcp {

// A segment that was accepted, with ECE, CWR or CE. REQUIRES: kEcnOn; its ACK was taken.
void OnEcnSegment(Tcb& tcb, const wire::Segment& segment, Env& env);
// `segment` carries new octets: ECT, and CWR after a reduction. REQUIRES: kEcnOn.
void MarkEcn(Tcb& tcb, Env& env, TxSegment& segment);
// ECE on a segment that goes out. REQUIRES: kEcnEcho.
void AddEcho(Tcb& tcb, const Env& env, TxSegment& segment);

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_ECN_H_
