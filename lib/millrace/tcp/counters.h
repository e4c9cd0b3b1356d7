// tcp/counters.h - a named counter for every drop, failure and event; Linux's names where one
// exists (`nstat -az`), our own words where not.
//
// One set per engine, written by its worker alone, read by others at leisure (a stale value is
// harmless). Nothing is lost silently: what does not reach the application is counted here once.
#ifndef MILLRACE_TCP_COUNTERS_H_
#define MILLRACE_TCP_COUNTERS_H_

#include <cstdint>

namespace millrace::tcp {

// X(member, printed name)
#define MILLRACE_TCP_COUNTERS(X)                            \
  X(active_opens, "TcpActiveOpens")                         \
  X(passive_opens, "TcpPassiveOpens")                       \
  X(attempt_fails, "TcpAttemptFails")                       \
  X(estab_resets, "TcpEstabResets")                         \
  X(in_segs, "TcpInSegs")                                   \
  X(out_segs, "TcpOutSegs")                                 \
  X(retrans_segs, "TcpRetransSegs")                         \
  X(out_rsts, "TcpOutRsts")                                 \
  X(syn_retrans, "TcpExtTCPSynRetrans")                     \
  X(timeouts, "TcpExtTCPTimeouts")                          \
  X(fast_retrans, "TcpExtTCPFastRetrans")                   \
  X(slow_start_retrans, "TcpExtTCPSlowStartRetrans")        \
  X(sack_recovery, "TcpExtTCPSackRecovery")                 \
  X(lost_retransmit, "TcpExtTCPLostRetransmit")             \
  X(loss_probes, "TcpExtTCPLossProbes")                     \
  X(loss_probe_recovery, "TcpExtTCPLossProbeRecovery")      \
  X(spurious_timeouts, "TcpExtTCPSpuriousRTOs")             \
  X(spurious_recoveries, "TcpExtTCPFullUndo")               \
  X(sack_reneging, "TcpExtTCPSACKReneging")                 \
  X(sack_invalid, "TcpExtTCPSACKDiscard")                   \
  X(sack_not_believed, "TcpExtSackNotBelieved")             \
  X(dsack_received, "TcpExtTCPDSACKRecv")                   \
  X(dsack_sent, "TcpExtTCPDSACKOldSent")                    \
  X(limited_transmits, "TcpExtTCPLimitedTransmit")          \
  X(ecn_marks, "TcpExtInCEPkts")                            \
  X(ecn_reductions, "TcpExtEcnReductions")                  \
  X(paced, "TcpExtPaced")                                   \
  X(recovery_full, "TcpExtRecoveryFull")                    \
  X(delayed_acks, "TcpExtDelayedACKs")                      \
  X(win_probes, "TcpExtTCPWinProbe")                        \
  X(ofo_queue, "TcpExtTCPOFOQueue")                         \
  X(ofo_drop, "TcpExtTCPOFODrop")                           \
  X(rcv_queue_drop, "TcpExtTCPRcvQDrop")                    \
  X(rcv_coalesce, "TcpExtTCPRcvCoalesce")                   \
  X(receive_buffer_grown, "TcpExtReceiveBufferGrown")       \
  X(rcv_collapsed_trim, "TcpExtRcvDuplicateTrimmed")        \
  X(paws_estab, "TcpExtPAWSEstab")                          \
  X(timestamp_missing, "TcpExtTimestampMissing")            \
  X(challenge_acks, "TcpExtTCPChallengeACK")                \
  X(challenge_acks_skipped, "TcpExtTCPACKSkippedChallenge") \
  X(syn_challenge, "TcpExtTCPSYNChallenge")                 \
  X(unacceptable, "TcpExtSegmentUnacceptable")              \
  X(ack_invalid, "TcpExtAckInvalid")                        \
  X(ack_missing, "TcpExtAckMissing")                        \
  X(rst_out_of_window, "TcpExtRstOutOfWindow")              \
  X(rst_received, "TcpExtRstReceived")                      \
  X(rst_ignored, "TcpExtRstIgnored")                        \
  X(urgent_seen, "TcpExtUrgentSeen")                        \
  X(data_after_fin, "TcpExtDataAfterFin")                   \
  X(abort_on_data, "TcpExtTCPAbortOnData")                  \
  X(abort_on_close, "TcpExtTCPAbortOnClose")                \
  X(abort_on_timeout, "TcpExtTCPAbortOnTimeout")            \
  X(abort_on_memory, "TcpExtTCPAbortOnMemory")              \
  X(abort_by_user, "TcpExtTCPAbortByUser")                  \
  X(abort_on_keepalive, "TcpExtTCPAbortOnKeepalive")        \
  X(abort_on_close_wait, "TcpExtTCPAbortOnCloseWait")       \
  X(keepalives, "TcpExtTCPKeepAlive")                       \
  X(extras_full, "TcpExtExtrasFull")                        \
  X(abort_on_fin_wait_2, "TcpExtTCPAbortOnLinger")          \
  X(r1_reached, "TcpExtR1Reached")                          \
  X(listen_overflows, "TcpExtListenOverflows")              \
  X(listen_drops, "TcpExtListenDrops")                      \
  X(syn_source_limited, "TcpExtListenSourceLimited")        \
  X(half_open_full, "TcpExtHalfOpenFull")                   \
  X(connections_full, "TcpExtConnectionsFull")              \
  X(table_full, "TcpExtConnectionTableFull")                \
  X(syn_ack_timeouts, "TcpExtSynAckTimeouts")               \
  X(syncookies_sent, "TcpExtSyncookiesSent")                \
  X(syncookies_received, "TcpExtSyncookiesRecv")            \
  X(syncookies_failed, "TcpExtSyncookiesFailed")            \
  X(fast_open_active, "TcpExtTCPFastOpenActive")            \
  X(fast_open_accepted, "TcpExtTCPFastOpenActiveAccepted")  \
  X(fast_open_blackhole, "TcpExtTCPFastOpenBlackhole")      \
  X(fast_open_passive, "TcpExtTCPFastOpenPassive")          \
  X(fast_open_passive_fail, "TcpExtTCPFastOpenPassiveFail") \
  X(fast_open_overflow, "TcpExtTCPFastOpenListenOverflow")  \
  X(fast_open_cookies_given, "TcpExtTCPFastOpenCookieReqd") \
  X(syn_flags_invalid, "TcpExtSynFlagsInvalid")             \
  X(syn_data_ignored, "TcpExtSynDataIgnored")               \
  X(time_waits, "TcpExtTW")                                 \
  X(time_wait_expired, "TcpExtTWExpired")                   \
  X(time_wait_recycled, "TcpExtTWRecycled")                 \
  X(time_wait_evicted, "TcpExtTWEvicted")                   \
  X(time_wait_rst_ignored, "TcpExtTWRstIgnored")            \
  X(time_wait_acks_skipped, "TcpExtTCPACKSkippedTimeWait")  \
  X(no_listener, "TcpExtNoListener")                        \
  X(reset_limited, "TcpExtResetLimited")                    \
  X(ports_exhausted, "TcpExtPortsExhausted")                \
  X(path_mtu_lowered, "TcpExtPathMtuLowered")               \
  X(path_mtu_awaited, "TcpExtPathMtuAwaited")               \
  X(path_mtu_disproved, "TcpExtPathMtuDisproved")           \
  X(path_mtu_black_holes, "TcpExtPathMtuBlackHoles")        \
  X(send_memory_full, "TcpExtSendMemoryFull")

struct Counters {
#define MILLRACE_DECLARE_COUNTER(member, name) uint64_t member = 0;
  MILLRACE_TCP_COUNTERS(MILLRACE_DECLARE_COUNTER)
#undef MILLRACE_DECLARE_COUNTER

  // Calls visit(name, value) for each counter, in the order above.
  template <class Visit>
  void ForEach(Visit&& visit) const {
#define MILLRACE_VISIT_COUNTER(member, name) visit(name, member);
    MILLRACE_TCP_COUNTERS(MILLRACE_VISIT_COUNTER)
#undef MILLRACE_VISIT_COUNTER
  }
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_COUNTERS_H_
