#include "millrace/tcp/fast_open.h"

#include <algorithm>
#include <cstring>

#include "millrace/base/endian.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/liveness.h"
#include "millrace/tcp/window.h"

namespace millrace::tcp {
namespace {

constexpr Duration kEpoch = Duration::Seconds(3600);
// What options can take at most, as Linux counts.
constexpr uint16_t kOptionBytesMax = 40;

FastOpenCookie ToCookie(uint64_t mac) {
  FastOpenCookie cookie;
  std::memcpy(cookie.data(), &mac, cookie.size());
  return cookie;
}

FastOpenCookie CookieOf(SipKey key, uint64_t addresses, uint64_t epoch) {
  return ToCookie(SipHash24(key, addresses, epoch));
}

uint64_t EpochOf(Instant now) { return static_cast<uint64_t>(now.ns() / kEpoch.ns()); }

}  // namespace

FastOpenCookie MakeFastOpenCookie(SipKey key, uint64_t addresses, Instant now) {
  return CookieOf(key, addresses, EpochOf(now));
}

bool CheckFastOpenCookie(SipKey key, uint64_t addresses, Instant now,
                         std::span<const std::byte> cookie) {
  const auto is = [&](uint64_t epoch) {
    const FastOpenCookie right = CookieOf(key, addresses, epoch);
    return std::equal(right.begin(), right.end(), cookie.begin(), cookie.end());
  };
  return is(EpochOf(now)) || is(EpochOf(now) - 1);
}

FastOpenCookie MakeSharedFastOpenCookie(SipKey key, const IpAddress& client,
                                        const IpAddress& server) {
  std::array<std::byte, 32> octets;
  size_t length = 0;
  const auto add = [&](uint32_t word) {
    StoreBe32(octets.data() + length, word);
    length += 4;
  };
  for (const IpAddress& address : {client, server}) {
    if (address.IsV4()) {
      add(address.v4());
      continue;
    }
    for (const uint64_t half : {address.high(), address.low()}) {
      add(static_cast<uint32_t>(half >> 32));
      add(static_cast<uint32_t>(half));
    }
  }
  return ToCookie(SipHash24(key, octets.data(), length));
}

bool HasRoomForFastOpen(Env& env) {
  // RFC 7413 5.1: "the server MUST limit ... the number of pending connections"; falls back then.
  const uint32_t pending = env.fast_open_pending + env.fast_open_resets.Count(env.tick);
  if (pending < env.config.fast_open_pending_max && env.extras.free() > 0) return true;
  ++env.counters.fast_open_overflow;
  return false;
}

void AcceptFastOpen(Tcb& tcb, const HalfOpen& half_open, const wire::Segment& syn, Env& env,
                    PayloadFate* fate) {
  Establish(tcb, half_open, env);
  (void)TakeExtra(tcb, env);  // ends the count of pending ones, whatever becomes of it
  ++env.counters.fast_open_passive;
  ++env.fast_open_pending;
  tcb.snd_nxt = tcb.rtx_nxt = tcb.iss;  // the SYN-ACK is due
  // The peer offers it for what follows our SYN, which lies at SND.UNA.
  tcb.snd_wnd = uint32_t{syn.window} + 1;
  tcb.snd_wnd_max = syn.window;
  tcb.snd_wl1 = syn.seq;
  tcb.snd_wl2 = tcb.iss;
  tcb.congestion.Open(env.InitialWindow(tcb.snd_mss), env.config);
  tcb.Clear(kRttTiming);
  tcb.Set(kFastOpen);
  tcb.events |= kEventOpened;
  if (syn.payload_length == 0) return;
  const ReceiveQueue::Limits limits{env.config.receive_packets_max, 0};
  const uint32_t length = std::min(syn.payload_length, tcb.rcv_wnd());
  const auto outcome = tcb.receive.Offer(tcb.rcv_nxt, syn.payload, length, syn.handle, limits,
                                         &tcb.rcv_nxt, env.receive_pool, env.released);
  // What found no room is not acknowledged and comes again.
  if (outcome == ReceiveQueue::Insert::kAdvanced) *fate = PayloadFate::kKept;
  if (tcb.receive.ready_bytes() > 0) tcb.events |= kEventReadable;
  tcb.rcv_adv = Max(tcb.rcv_adv, tcb.rcv_nxt);
}

void UseFastOpen(Tcb& tcb, std::optional<std::span<const std::byte>> cookie, uint16_t peer_mss,
                 Env& env) {
  Extra* const extra = TakeExtra(tcb, env);
  if (extra == nullptr) return;
  extra->cookie_bytes = Extra::kNoCookieNeeded;
  if (cookie.has_value()) {
    if (cookie->size() > extra->cookie.size()) return;
    std::copy(cookie->begin(), cookie->end(), extra->cookie.begin());
    extra->cookie_bytes = static_cast<uint8_t>(cookie->size());
  }
  extra->syn_mss = std::min(peer_mss, tcb.snd_mss);
  tcb.Set(kFastOpen);
}

uint32_t FastOpenRoom(uint16_t mss) { return std::max(mss, kOptionBytesMax) - kOptionBytesMax; }

void AddFastOpen(Tcb& tcb, TxSegment& syn, Env& env) {
  // RFC 7413 4.1.3: "the client SHOULD NOT send ... the Fast Open option or data" again.
  if (tcb.Has(kSynRetransmitted)) return;
  const Extra& extra = env.extras[tcb.extra - 1];
  if (extra.cookie_bytes != Extra::kNoCookieNeeded) {
    syn.SetCookie({extra.cookie.data(), extra.cookie_bytes}, wire::kFastOpenOption);
    if (extra.cookie_bytes == 0) return;  // a request: data needs a cookie
  }
  const uint32_t room = FastOpenRoom(extra.syn_mss);
  const uint32_t length = std::min(room, tcb.send.size_bytes());
  if (length == 0 && extra.cookie_bytes == Extra::kNoCookieNeeded) {
    tcb.Clear(kFastOpen);  // a SYN like any other
    return;
  }
  ++env.counters.fast_open_active;
  if (length == 0) return;
  syn.payload = tcb.send.At(0, env.send_pool);
  syn.payload_length = static_cast<uint16_t>(length);
  tcb.snd_nxt = tcb.iss + 1 + length;
}

void SettleFastOpen(Tcb& tcb, const wire::Segment& segment, uint8_t events, Env& env) {
  tcb.Clear(kFastOpen);
  if (tcb.Has(kPassiveOpen)) {
    --env.fast_open_pending;
    tcb.events = events;        // OnOpen came with the SYN
    tcb.rtx_nxt = tcb.snd_nxt;  // what was sent meanwhile is in flight
    if (tcb.flight() > 0) ArmRetransmit(tcb, env);
    return;
  }
  // Data on our SYN that was not taken is sent again at once, from rtx_nxt on.
  const uint32_t acked = Min(segment.ack, tcb.snd_nxt).Since(tcb.snd_una);
  if (acked > 0) ++env.counters.fast_open_accepted;
  tcb.send.Consume(acked, env.send_pool);
  tcb.snd_una += acked;
  tcb.rtx_nxt = tcb.snd_una;
}

}  // namespace millrace::tcp
