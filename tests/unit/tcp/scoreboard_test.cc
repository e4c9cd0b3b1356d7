// The scoreboard against a list of octets (LR-07, LR-08, LR-17).

#include "millrace/tcp/scoreboard.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "millrace/base/prng.h"

namespace millrace::tcp {
namespace {

constexpr uint32_t kRuns = 1000;

struct Fixture {
  SentRunPool pool{kRuns, Region::Pages::kPlain};
  Scoreboard board;
  uint32_t visited = 0;
  void Sack(SeqNum from, SeqNum to, uint32_t runs_max = kRuns) {
    believed = board.MarkSacked(from, to, runs_max, pool,
                                [this](const SentRun& r, uint32_t) { visited += r.length(); });
  }
  bool believed = true;
  void Ack(SeqNum to) {
    board.Acknowledge(to, pool, [this](const SentRun& r, uint32_t) { visited += r.length(); });
  }
};

TEST(Scoreboard, BurstIsOneRunAndSackedNeighboursJoin) {
  Fixture f;
  const SeqNum una(0xFFFF'FF00);  // over the wrap
  ASSERT_TRUE(f.board.Append(una, una + 1000, 1, 1, kRuns, f.pool));
  ASSERT_TRUE(f.board.Append(una, una + 2000, 1, 1, kRuns, f.pool));
  EXPECT_EQ(f.board.runs(), 1);
  ASSERT_TRUE(f.board.Append(una, una + 3000, 1, 2, kRuns, f.pool));
  EXPECT_EQ(f.board.runs(), 2);
  f.Sack(una + 500, una + 1000);
  f.Sack(una + 1500, una + 2500);
  EXPECT_EQ(f.board.sacked_runs(), 2);
  f.Sack(una + 900, una + 1600);
  EXPECT_EQ(f.board.sacked_runs(), 1);
  EXPECT_EQ(f.board.sacked_bytes(), 2000u);
  EXPECT_EQ(f.visited, 2000u) << "each octet once";
  f.Ack(una + 1000);
  EXPECT_EQ(f.visited, 2500u);
  EXPECT_EQ(f.board.sacked_bytes(), 1500u);
  f.Ack(una + 3000);
  EXPECT_TRUE(f.board.empty());
  EXPECT_EQ(f.pool.used(), 0u);
}

TEST(Scoreboard, WithoutRoomForARunSackIsNotBelieved) {
  Fixture f;
  ASSERT_TRUE(f.board.Append(SeqNum(0), SeqNum(1000), 1, 1, 2, f.pool));
  f.Sack(SeqNum(100), SeqNum(1000), 2);
  EXPECT_EQ(f.board.sacked_bytes(), 900u);
  f.Sack(SeqNum(50), SeqNum(60), 2);
  EXPECT_EQ(f.board.sacked_bytes(), 900u);
  ASSERT_TRUE(f.board.Append(SeqNum(0), SeqNum(2000), 1, 5, 2, f.pool));
  EXPECT_EQ(f.board.sacked_bytes(), 0u) << "the last run took the new octets in";
  f.Ack(SeqNum(2000));
  EXPECT_EQ(f.pool.used(), 0u);
}

// RFC 2018 section 5: of segments that arrived in part nothing is believed, whichever way the block
// cuts them; those between are.
TEST(Scoreboard, OnlyWholeSegmentsAreSacked) {
  const struct {
    const char* name;
    uint32_t from, to, sacked;
  } cases[] = {{"the last octet", 3999, 4000, 0},
               {"the last segment", 3000, 4000, 1000},
               {"and more of it", 2999, 4000, 1000},
               {"all but an octet", 1, 4000, 3000},
               {"all but the last octet", 0, 3999, 3000},
               {"inside of one", 1100, 1900, 0},
               {"two halves", 500, 1500, 0},
               {"two halves and one", 500, 2500, 1000}};
  for (const auto& [name, from, to, sacked] : cases) {
    SCOPED_TRACE(name);
    Fixture f;
    const SeqNum una(0xFFFF'F800);
    ASSERT_TRUE(f.board.Append(una, una + 4000, 1000, 1, kRuns, f.pool));
    f.Sack(una + from, una + to);
    EXPECT_EQ(f.board.sacked_bytes(), sacked);
    EXPECT_EQ(f.visited, sacked);
    EXPECT_EQ(f.believed, to - from == sacked);
  }
}

// Where a run's segments differ in length, octets are believed; a short one at the end is one.
TEST(Scoreboard, KnowsWhereSegmentsEndAsFarAsItCan) {
  const struct {
    const char* name;
    std::vector<uint32_t> segments;
    uint32_t from, to, sacked;
  } cases[] = {{"a short one behind", {1000, 1000, 300}, 2000, 2300, 300},
               {"part of the short one", {1000, 1000, 300}, 2100, 2300, 0},
               {"small ones", {100, 100, 100}, 100, 250, 100},
               {"a long one behind a short one", {300, 1000}, 300, 1200, 900},
               {"two short ones", {1000, 300, 300}, 1300, 1500, 200},
               {"a burst cut by the port", {3000, 500}, 1000, 3100, 2000}};
  for (const auto& [name, segments, from, to, sacked] : cases) {
    SCOPED_TRACE(name);
    Fixture f;
    uint32_t end = 0;
    for (const uint32_t segment : segments) {
      end += segment;
      ASSERT_TRUE(f.board.Append(SeqNum(0), SeqNum(end), 1000, 1, kRuns, f.pool));
    }
    EXPECT_EQ(f.board.runs(), 1);
    f.Sack(SeqNum(from), SeqNum(to));
    EXPECT_EQ(f.board.sacked_bytes(), sacked);
  }
}

// What an ACK leaves of a segment is one by itself, and those behind it are as they were.
TEST(Scoreboard, AckInsideASegmentLeavesTheOthers) {
  Fixture f;
  ASSERT_TRUE(f.board.Append(SeqNum(0), SeqNum(4000), 1000, 1, kRuns, f.pool));
  f.Ack(SeqNum(1500));
  EXPECT_EQ(f.visited, 1500u);
  f.Sack(SeqNum(1600), SeqNum(2900));
  EXPECT_EQ(f.board.sacked_bytes(), 0u);
  f.Sack(SeqNum(1500), SeqNum(3100));
  EXPECT_EQ(f.board.sacked_bytes(), 1500u);
  for (uint32_t ack = 1501; ack < 4000; ++ack) f.Ack(SeqNum(ack));
  EXPECT_LE(f.board.runs(), 2);
}

// Nobody knows of which copy a peer speaks when a retransmission has cut a segment.
TEST(Scoreboard, OfSegmentsThatARetransmissionCutEveryOctetCounts) {
  Fixture f;
  ASSERT_TRUE(f.board.Append(SeqNum(0), SeqNum(4000), 1000, 1, kRuns, f.pool));
  f.board.MarkRetransmitted(SeqNum(0), SeqNum(600), 2, kRuns, f.pool);
  f.Sack(SeqNum(0), SeqNum(600));
  EXPECT_EQ(f.board.sacked_bytes(), 600u);
}

// Random operations on both; every sum must agree after each.
TEST(Scoreboard, AgreesWithAListOfOctets) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Prng dice(seed);
    Fixture f;
    uint32_t una = 0, nxt = 0, now = 0;
    std::map<uint32_t, uint8_t> octets;
    for (int step = 0; step < 200; ++step) {
      ++now;
      const uint64_t kind = dice.Below(10);
      const uint32_t a = una + static_cast<uint32_t>(dice.Below(nxt - una + 1));
      const uint32_t b = una + static_cast<uint32_t>(dice.Below(nxt - una + 1));
      const uint32_t from = std::min(a, b), to = std::max(a, b);
      if (kind < 3) {
        const uint32_t more = 1 + static_cast<uint32_t>(dice.Below(20));
        ASSERT_TRUE(f.board.Append(SeqNum(una), SeqNum(nxt + more), 1, now / 3, kRuns, f.pool));
        for (uint32_t i = 0; i < more; ++i) octets[nxt++] = 0;
      } else if (kind == 3) {
        f.Ack(SeqNum(from));
        for (; una < from; ++una) octets.erase(una);
      } else if (kind < 6 && from < to) {
        f.Sack(SeqNum(from), SeqNum(to));
        for (uint32_t i = from; i < to; ++i) octets[i] = kRunSacked;
      } else if (kind < 8 && from < to) {
        f.board.MarkRetransmitted(SeqNum(from), SeqNum(to), now, kRuns, f.pool);
        for (uint32_t i = from; i < to; ++i) {
          if (octets[i] != kRunSacked) octets[i] |= kRunRetransmitted;
        }
      } else if (kind == 8) {
        f.board.ForEach(f.pool, [&](SentRun& run) {
          if (run.Has(kRunSacked) || dice.Chance(0.5)) return true;
          f.board.MarkLost(run);
          for (uint32_t i = run.begin.value(); i < run.end.value(); ++i) octets[i] = kRunLost;
          return true;
        });
      } else if (dice.Chance(0.1)) {
        f.board.ForgetLosses(f.pool);
        for (auto& [seq, bits] : octets) bits &= static_cast<uint8_t>(~kRunLost);
      }
      uint32_t sacked = 0, unrepaired = 0, pipe = 0;
      for (const auto& [seq, bits] : octets) {
        sacked += bits == kRunSacked;
        if (bits == kRunSacked) continue;
        unrepaired += bits == kRunLost;
        pipe += ((bits & kRunLost) == 0 ? 1 : 0) + ((bits & kRunRetransmitted) != 0 ? 1 : 0);
      }
      ASSERT_EQ(f.board.sacked_bytes(), sacked) << seed << " " << step;
      ASSERT_EQ(f.board.unrepaired_bytes(), unrepaired) << seed << " " << step;
      ASSERT_EQ(f.board.Pipe(nxt - una), pipe) << seed << " " << step;
      ASSERT_EQ(f.board.empty(), octets.empty());
    }
    f.board.Clear(f.pool);
    ASSERT_EQ(f.pool.used(), 0u);
  }
}

}  // namespace
}  // namespace millrace::tcp
