// The straight paths of input and output against the eight steps and PollSend: the same
// connections, segments, commands and times go to both, and after each of them every octet of the
// block, every counter, every released packet and every segment sent has to be the same.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "millrace/base/prng.h"
#include "millrace/tcp/connection.h"
#include "millrace/tcp/half_open.h"
#include "millrace/tcp/internal.h"
#include "millrace/tcp/output_plain.h"

namespace millrace::tcp {
namespace {

constexpr uint32_t kPayloadMax = 1460;
// No two pieces of it are alike.
constexpr std::array<std::byte, kPayloadMax> kPayload = [] {
  std::array<std::byte, kPayloadMax> octets{};
  for (uint32_t i = 0; i < kPayloadMax; ++i) octets[i] = static_cast<std::byte>(i * i / 251 + i);
  return octets;
}();
constexpr Instant kStart = Instant::FromNanoseconds(int64_t{1'000'000'000'000});

wire::Segment Syn(Prng& prng) {
  wire::Segment syn;
  syn.seq = SeqNum(static_cast<uint32_t>(prng.Next()));
  syn.flags = wire::kSyn;
  syn.options = wire::kMssOption | wire::kWindowScaleOption | wire::kSackPermittedOption;
  if (prng.Chance(0.7)) syn.options |= wire::kTimestampsOption;
  syn.tsval = 5000;
  syn.mss = 1460;
  syn.window = 60'000;
  syn.window_scale = static_cast<uint8_t>(prng.Below(4));
  return syn;
}

// One of the two: a block with an environment of its own.
struct Side {
  explicit Side(bool straight_in) : straight(straight_in), env(Config(), 4096, 64, 4096) {
    env.SetNow(kStart);
  }

  void Accept(const wire::Segment& syn) {
    const TupleSecrets secrets{.iss = SeqNum(0xFFFF'FF00), .ts_offset = 77};
    Establish(tcb, MakeHalfOpen(syn, secrets, env), env);
  }
  void Open() { OpenActive(tcb, {.iss = SeqNum(0xFFFF'FF00), .ts_offset = 77, .mss = 1460}, env); }

  void Take(const wire::Segment& segment) {
    InputResult result;
    if (straight && TakePlainSegment(tcb, segment, env, result)) {
      ++plain;
    } else {
      result = OnSegmentInSteps(tcb, segment, env);
    }
    fate = result.fate;
    reply = result.reply;
  }

  SendProgress Emit() {
    if (!straight) return PollSend(tcb, env, out);
    TxSegment segment;
    PlainDue due;
    switch (FindPlainDue(tcb, env, due)) {
      case PlainSend::kNotPlain:
        if (!SendFirstSyn(tcb, env, segment)) return PollSend(tcb, env, out);
        out.Add() = segment;
        ++first_syns;
        break;
      case PlainSend::kSegment: {
        PlainFields fields(tcb, segment);
        SendPlainSegment(tcb, env, due, fields);
        out.Add() = segment;
        break;
      }
      case PlainSend::kNothing:
        break;
    }
    ++plain_sends;
    return SendProgress::kDone;
  }

  bool straight;
  Env env;
  Tcb tcb{};
  Outbox out;
  PayloadFate fate = PayloadFate::kNotKept;
  Reply reply = Reply::kNone;
  int plain = 0, plain_sends = 0, first_syns = 0;
};

// Mostly what a peer without trouble sends next, seen from `tcb`; sometimes not.
wire::Segment Arriving(const Side& side, Prng& prng, uintptr_t handle) {
  const Tcb& tcb = side.tcb;
  wire::Segment s;
  s.handle = wire::PacketHandle{handle};
  s.seq = tcb.rcv_nxt;
  s.ack = tcb.snd_una + static_cast<uint32_t>(prng.Below(tcb.flight() + 1));
  if (prng.Chance(0.5)) s.ack = tcb.snd_nxt;
  s.flags = wire::kAck;
  s.payload = kPayload.data();
  if (prng.Chance(0.5)) s.payload_length = 1 + static_cast<uint32_t>(prng.Below(kPayloadMax));
  if (s.payload_length > 0 && prng.Chance(0.5)) s.flags |= wire::kPsh;
  if (prng.Chance(0.08)) s.flags |= wire::kFin;
  s.window = prng.Chance(0.8) ? 60'000 : static_cast<uint16_t>(prng.Next());
  if (tcb.Has(kTimestampsOn)) {
    s.options = wire::kTimestampsOption;
    s.tsval = tcb.ts_recent + static_cast<uint32_t>(prng.Below(3));
    s.tsecr = side.env.ts_clock + tcb.ts_offset;
  }
  if (prng.Chance(0.8)) return s;
  switch (prng.Below(8)) {
    case 0:
      s.seq = s.seq + static_cast<uint32_t>(prng.Below(3000));
      break;
    case 1:
      s.seq = s.seq - static_cast<uint32_t>(prng.Below(3000));
      break;
    case 2:
      s.ack = s.ack + static_cast<uint32_t>(prng.Below(5));
      break;
    case 3:
      s.ack = s.ack - static_cast<uint32_t>(prng.Below(5));
      break;
    case 4:
      s.flags = static_cast<wire::Flags>(prng.Next());
      break;
    case 5:
      s.options ^= wire::kTimestampsOption;
      break;
    case 6:
      s.tsval -= static_cast<uint32_t>(prng.Below(3));
      break;
    default:
      s.window = 0;
      break;
  }
  return s;
}

void Command(Side& side, uint64_t which, uint32_t length) {
  Tcb& tcb = side.tcb;
  switch (which) {
    case 0:
      (void)Send(tcb, std::span(kPayload).first(length), side.env);
      break;
    case 1:
      Consume(tcb, length, side.env);
      break;
    case 2:
      Consume(tcb, tcb.receive.ready_bytes(), side.env);
      break;
    case 3:
      CloseSend(tcb, side.env);
      break;
    case 4:
      Close(tcb, side.env);
      break;
    case 5:
      (void)SendStatic(tcb, std::span(kPayload).last(length), side.env);
      break;
    default:
      tcb.Set(kNoDelay);
      break;
  }
}

std::vector<std::byte> PayloadOf(const TxSegment& segment, const Env& env) {
  std::vector<std::byte> octets(segment.payload_length);
  env.send_pool.Copy(segment.payload, segment.payload_length, octets.data());
  return octets;
}

void ExpectSameOutput(Side& a, Side& b) {
  const SendProgress progress = a.Emit();
  ASSERT_EQ(progress, b.Emit());
  ASSERT_EQ(a.out.size(), b.out.size());
  for (size_t i = 0; i < a.out.size(); ++i) {
    const TxSegment& x = a.out.segments()[i];
    const TxSegment& y = b.out.segments()[i];
    ASSERT_TRUE(x.seq == y.seq && x.ack == y.ack && x.flags == y.flags && x.window == y.window &&
                x.payload_length == y.payload_length && x.sack_count == y.sack_count &&
                x.options == y.options && x.traffic_class == y.traffic_class);
    if (x.options != 0) {
      ASSERT_TRUE(x.tsval == y.tsval && x.tsecr == y.tsecr);
    }
    if ((x.options & wire::kMssOption) != 0) {
      ASSERT_EQ(x.mss, y.mss);
    }
    if ((x.options & wire::kWindowScaleOption) != 0) {
      ASSERT_EQ(x.window_scale, y.window_scale);
    }
    if (x.payload_length > 0) {
      ASSERT_EQ(PayloadOf(x, a.env), PayloadOf(y, b.env));
    }
  }
  a.out.Clear();
  b.out.Clear();
}

void ExpectSame(const Side& a, const Side& b) {
  ASSERT_EQ(a.fate, b.fate);
  ASSERT_EQ(a.reply, b.reply);
  ASSERT_EQ(a.tcb.state, b.tcb.state);
  ASSERT_EQ(std::memcmp(&a.tcb, &b.tcb, sizeof(Tcb)), 0);
  ASSERT_EQ(std::memcmp(&a.env.counters, &b.env.counters, sizeof(Counters)), 0);
  ASSERT_TRUE(std::ranges::equal(a.env.released.packets(), b.env.released.packets()));
}

// A passive connection behind its SYN, or an active one in front of it.
void Begin(Side& a, Side& b, Prng& prng) {
  const wire::Segment syn = Syn(prng);
  const bool active = prng.Chance(0.3);
  for (Side* side : {&a, &b}) active ? side->Open() : side->Accept(syn);
}

// What answers our SYN.
wire::Segment SynAck(const Side& side, Prng& prng) {
  wire::Segment s = Syn(prng);
  s.flags |= wire::kAck;
  s.ack = side.tcb.iss + 1;
  s.tsecr = side.env.ts_clock + side.tcb.ts_offset;
  return s;
}

// One connection from its SYN to its end, or for 200 steps.
void RunConnection(Side& a, Side& b, Prng& prng, uintptr_t& handle) {
  Begin(a, b, prng);
  for (int step = 0; step < 200 && !IsOver(a.tcb); ++step) {
    const uint64_t kind = prng.Below(10), which = prng.Below(12), more = prng.Next();
    const auto length = static_cast<uint32_t>(1 + prng.Below(kPayloadMax));
    const bool opening = a.tcb.state == State::kSynSent && prng.Chance(0.3);
    const wire::Segment segment = opening ? SynAck(a, prng) : Arriving(a, prng, ++handle);
    for (Side* side : {&a, &b}) {
      if (kind < 6) {
        side->Take(segment);
      } else if (kind < 9) {
        Command(*side, which, length);
      } else {
        const auto later = Duration::Microseconds(static_cast<int64_t>(more % 300'000));
        side->env.SetNow(side->env.now + later);
        OnTimeout(side->tcb, side->env);
      }
    }
    ASSERT_NO_FATAL_FAILURE(ExpectSame(a, b)) << "step " << step;
    if (prng.Chance(0.5)) {
      ASSERT_NO_FATAL_FAILURE(ExpectSameOutput(a, b)) << "step " << step;
    }
  }
  for (Side* side : {&a, &b}) Release(side->tcb, side->env);
  ASSERT_NO_FATAL_FAILURE(ExpectSame(a, b));
  for (Side* side : {&a, &b}) side->env.released.Clear();
}

TEST(StraightPaths, DoWhatTheLongWayDoes) {
  constexpr uint64_t kConnections = 20'000;
  Side straight(true), steps(false);
  uintptr_t handle = 0;
  for (uint64_t seed = 0; seed < kConnections; ++seed) {
    Prng prng(seed);
    ASSERT_NO_FATAL_FAILURE(RunConnection(straight, steps, prng, handle)) << "seed " << seed;
  }
  // Neither path is left untried.
  EXPECT_GT(straight.plain, 40'000);
  EXPECT_GT(straight.plain_sends, 40'000);
  EXPECT_GT(straight.first_syns, 3000);
  EXPECT_GT(static_cast<int>(straight.env.counters.unacceptable), 1000);
  EXPECT_EQ(steps.plain, 0);
}

}  // namespace
}  // namespace millrace::tcp
