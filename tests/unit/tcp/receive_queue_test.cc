// The receive queue, alone and against a reference model under random operations (SEG-09, R19).

#include "millrace/tcp/receive_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "millrace/base/prng.h"

namespace millrace::tcp {
namespace {

using Insert = ReceiveQueue::Insert;
constexpr ReceiveQueue::Limits kWide{1000, 1000};

// A queue with its surroundings; stream positions are from 0, the first octet's seq is `first`.
struct Fixture {
  explicit Fixture(uint32_t nodes = 256, uint32_t first_in = 1000)
      : pool(nodes), first(first_in), rcv_nxt(SeqNum(first_in)) {}

  Insert Offer(uint32_t position, const std::string& text, ReceiveQueue::Limits limits = kWide) {
    packets.push_back(text);
    const auto handle = static_cast<wire::PacketHandle>(packets.size());
    const auto* data = reinterpret_cast<const std::byte*>(packets.back().data());
    const Insert result =
        queue.Offer(SeqNum(first + position), data, static_cast<uint32_t>(text.size()), handle,
                    limits, &rcv_nxt, pool, released);
    if (result == Insert::kQueued || result == Insert::kAdvanced) held.insert(handle);
    TakeReleased();
    return result;
  }
  // Takes up to `length` ready octets.
  std::string Take(uint32_t length) {
    std::string out;
    while (length > 0 && queue.ready_bytes() > 0) {
      const auto front = queue.Front(pool);
      const auto part = std::min<uint32_t>(length, static_cast<uint32_t>(front.size()));
      out.append(reinterpret_cast<const char*>(front.data()), part);
      queue.Consume(part, pool, released);
      length -= part;
      TakeReleased();
    }
    return out;
  }
  // Every packet leaves exactly once, and only one that was kept.
  void TakeReleased() {
    for (wire::PacketHandle handle : released.packets()) EXPECT_EQ(held.erase(handle), 1u);
    released.Clear();
    EXPECT_EQ(queue.packets(), held.size());
    EXPECT_EQ(pool.held(), held.size());
    EXPECT_LE(pool.nodes.used(), held.size());
  }
  uint32_t next() const { return rcv_nxt.Since(SeqNum(first)); }

  ReceivePool pool;
  ReceiveQueue queue;
  ReleasedPackets released;
  std::deque<std::string> packets;
  std::set<wire::PacketHandle> held;
  uint32_t first;
  SeqNum rcv_nxt;
};

TEST(ReceiveQueue, InOrderDataIsReadyAtOnce) {
  Fixture f;
  EXPECT_EQ(f.Offer(0, "abc"), Insert::kAdvanced);
  EXPECT_EQ(f.Offer(3, "def"), Insert::kAdvanced);
  EXPECT_EQ(f.queue.ready_bytes(), 6u);
  EXPECT_FALSE(f.queue.has_gap());
  EXPECT_EQ(f.Take(2), "ab");
  EXPECT_EQ(f.queue.packets(), 2u);
  EXPECT_EQ(f.Take(100), "cdef");
  EXPECT_EQ(f.queue.packets(), 0u);
}

// SEG-09 (SHLD-31), also where the sequence numbers wrap.
TEST(ReceiveQueue, OutOfOrderDataWaitsForTheGap) {
  for (uint32_t first : {1000u, 0xFFFF'FFFDu}) {
    Fixture f(256, first);
    EXPECT_EQ(f.Offer(6, "ghi"), Insert::kQueued);
    EXPECT_EQ(f.Offer(3, "def"), Insert::kQueued);
    EXPECT_TRUE(f.queue.has_gap());
    EXPECT_EQ(f.queue.ready_bytes(), 0u);
    EXPECT_EQ(f.Offer(0, "abc"), Insert::kAdvanced);
    EXPECT_EQ(f.next(), 9u);
    EXPECT_FALSE(f.queue.has_gap());
    EXPECT_EQ(f.Take(100), "abcdefghi");
  }
}

TEST(ReceiveQueue, FirstCopyOfAnOctetIsTheOneThatCounts) {
  Fixture f;
  EXPECT_EQ(f.Offer(3, "DEF"), Insert::kQueued);
  EXPECT_EQ(f.Offer(3, "xyz"), Insert::kDuplicate);
  EXPECT_EQ(f.Offer(4, "yz"), Insert::kDuplicate);
  EXPECT_EQ(f.Offer(2, "wxy"), Insert::kQueued);  // only octet 2 is new
  EXPECT_EQ(f.Offer(5, "zGH"), Insert::kQueued);  // 6 and 7
  EXPECT_EQ(f.Offer(0, "abXXX"), Insert::kAdvanced);
  EXPECT_EQ(f.next(), 8u);
}

// R19: the bounds hold, and what is out of order makes room for what is in order: last piece first.
TEST(ReceiveQueue, InOrderDataTakesThePlaceOfReassembly) {
  Fixture f;
  constexpr ReceiveQueue::Limits kTight{6, 3};
  EXPECT_EQ(f.Offer(10, "a", kTight), Insert::kQueued);
  EXPECT_EQ(f.Offer(20, "b", kTight), Insert::kQueued);
  EXPECT_EQ(f.Offer(30, "c", kTight), Insert::kQueued);
  EXPECT_EQ(f.Offer(40, "d", kTight), Insert::kFull);
  for (uint32_t i = 0; i < 6; ++i) {
    EXPECT_EQ(f.Offer(i, "x", kTight), Insert::kAdvanced) << i;
    EXPECT_EQ(f.queue.packets(), std::min(4 + i, 6u));
  }
  EXPECT_FALSE(f.queue.has_gap());
  EXPECT_EQ(f.Offer(6, "x", kTight), Insert::kFull);
  EXPECT_EQ(f.next(), 6u);
  EXPECT_EQ(f.Take(1), "x");
  EXPECT_EQ(f.Offer(6, "x", kTight), Insert::kAdvanced);
}

TEST(ReceiveQueue, EmptyPoolRefusesWhatIsOutOfOrderFirst) {
  Fixture f(2);
  EXPECT_EQ(f.Offer(0, "a"), Insert::kAdvanced);
  EXPECT_EQ(f.Offer(5, "b"), Insert::kQueued);
  EXPECT_EQ(f.Offer(7, "c"), Insert::kFull);
  EXPECT_EQ(f.Offer(1, "d"), Insert::kAdvanced);
  EXPECT_FALSE(f.queue.has_gap());
  EXPECT_EQ(f.Offer(2, "e"), Insert::kFull);
  EXPECT_EQ(f.Take(9), "ad");
}

// One packet in order needs no node, whatever is done with it.
TEST(ReceiveQueue, OnePacketInOrderIsHeldInPlace) {
  Fixture f;
  for (uint32_t round = 0; round < 3; ++round) {
    EXPECT_EQ(f.Offer(6 * round, "abcdef"), Insert::kAdvanced);
    EXPECT_EQ(f.queue.packets(), 1u);
    EXPECT_EQ(f.Take(2), "ab");
    std::array<char, 3> out{};
    EXPECT_EQ(f.queue.CopyReady(std::as_writable_bytes(std::span(out)), f.pool), 3u);
    EXPECT_EQ(std::string(out.data(), 3), "cde");
    std::array<SackBlock, kSackBlocksMax> blocks;
    EXPECT_EQ(f.queue.FillSack(f.pool, blocks), 0u);
    f.queue.DropBehind(SeqNum(0), f.pool, f.released);
    EXPECT_FALSE(f.queue.has_gap());
    EXPECT_EQ(f.Take(9), "cdef");
    EXPECT_TRUE(f.queue.IsEmpty());
    EXPECT_EQ(f.pool.nodes.touched(), 0u) << "no node was ever taken";
  }
  EXPECT_EQ(f.Offer(18, "x"), Insert::kAdvanced);
  f.queue.Clear(f.pool, f.released);
  f.TakeReleased();
  EXPECT_TRUE(f.held.empty());
}

// What was held in place, and maybe read in part, is the first of the chain when a second comes.
TEST(ReceiveQueue, PacketInPlaceGoesToANodeWhenAnotherComes) {
  for (const bool in_order : {true, false}) {
    Fixture f;
    EXPECT_EQ(f.Offer(0, "abcd"), Insert::kAdvanced);
    EXPECT_EQ(f.Take(1), "a");
    EXPECT_EQ(f.Offer(in_order ? 4 : 6, "gh"), in_order ? Insert::kAdvanced : Insert::kQueued);
    EXPECT_EQ(f.queue.has_gap(), !in_order);
    EXPECT_EQ(f.pool.nodes.used(), 2u);
    EXPECT_EQ(f.Take(9), in_order ? "bcdgh" : "bcd");
    if (!in_order) {
      EXPECT_EQ(f.Offer(4, "ef"), Insert::kAdvanced);
    }
    EXPECT_EQ(f.Take(9), in_order ? "" : "efgh");
    EXPECT_EQ(f.pool.held(), 0u);
    // And the next one is held in place again.
    EXPECT_EQ(f.Offer(f.next(), "i"), Insert::kAdvanced);
    EXPECT_EQ(f.pool.nodes.used(), 0u);
  }
}

// All queues share one bound, of packets in nodes and in place together.
TEST(ReceiveQueue, PacketsInPlaceCountAgainstThePool) {
  Fixture a(3);
  ReceiveQueue queues[4];
  SeqNum rcv_nxt[4];
  const std::byte octet{7};
  uintptr_t packet = 0;
  const auto offer = [&](int which, uint32_t ahead) {
    return queues[which].Offer(rcv_nxt[which] + ahead, &octet, 1, wire::PacketHandle{++packet},
                               kWide, &rcv_nxt[which], a.pool, a.released);
  };
  EXPECT_EQ(offer(0, 0), Insert::kAdvanced);
  EXPECT_EQ(offer(1, 0), Insert::kAdvanced);
  EXPECT_EQ(offer(2, 5), Insert::kQueued);
  EXPECT_EQ(offer(3, 0), Insert::kFull);
  EXPECT_FALSE(
      queues[3].AppendNext(rcv_nxt[3], &octet, 1, wire::PacketHandle{++packet}, 9, a.pool));
  EXPECT_EQ(offer(0, 0), Insert::kFull);  // though it may have a node for what it holds
  EXPECT_EQ(offer(1, 3), Insert::kFull);
  EXPECT_EQ(a.pool.held(), 3u);
  for (ReceiveQueue& queue : queues) queue.Clear(a.pool, a.released);
  EXPECT_EQ(a.pool.held(), 0u);
  EXPECT_EQ(a.pool.nodes.used(), 0u);
  EXPECT_EQ(a.released.size(), 3u);
}

TEST(ReceiveQueue, ClearGivesEverythingBack) {
  Fixture f;
  EXPECT_EQ(f.Offer(0, "abc"), Insert::kAdvanced);
  EXPECT_EQ(f.Offer(10, "x"), Insert::kQueued);
  EXPECT_EQ(f.Offer(20, "y"), Insert::kQueued);
  f.queue.Clear(f.pool, f.released);
  f.TakeReleased();
  EXPECT_TRUE(f.held.empty());
  EXPECT_FALSE(f.queue.has_gap());
}

// LR-06: the block of the segment that came last is first; adjacent pieces are one block.
TEST(ReceiveQueue, SackBlocksBeginWithTheNewest) {
  Fixture f;
  EXPECT_EQ(f.Offer(10, "aa"), Insert::kQueued);
  EXPECT_EQ(f.Offer(30, "cc"), Insert::kQueued);
  EXPECT_EQ(f.Offer(12, "bb"), Insert::kQueued);
  std::array<SackBlock, kSackBlocksMax> blocks;
  ASSERT_EQ(f.queue.FillSack(f.pool, blocks), 2u);
  EXPECT_EQ(blocks[0].left, SeqNum(1010));
  EXPECT_EQ(blocks[0].right, SeqNum(1014));
  EXPECT_EQ(blocks[1].left, SeqNum(1030));
  EXPECT_EQ(blocks[1].right, SeqNum(1032));
}

// LR-06, RFC 2018 section 4: the block that grew last is first, then "the most recently reported",
// so that each is told of by as many segments as an option has blocks.
TEST(ReceiveQueue, SackBlocksAreInTheOrderInWhichTheyGrew) {
  Fixture f;
  const auto lefts = [&](uint32_t newer) {
    std::array<SackBlock, kSackBlocksMax> blocks;
    std::vector<uint32_t> at;
    const size_t count = f.queue.FillSack(f.pool, blocks, newer);
    for (size_t i = 0; i < count; ++i) at.push_back(blocks[i].left.Since(SeqNum(1000)));
    return at;
  };
  using List = std::vector<uint32_t>;
  for (const uint32_t at : {50u, 10u, 70u, 30u}) EXPECT_EQ(f.Offer(at, "aa"), Insert::kQueued);
  EXPECT_EQ(lefts(0), (List{30, 70, 10}));
  EXPECT_EQ(lefts(1), (List{70, 10, 50}));
  EXPECT_EQ(lefts(2), (List{10, 50, 30})) << "what is newer fills the rest";
  EXPECT_EQ(f.Offer(52, "b"), Insert::kQueued);  // 50 has grown
  EXPECT_EQ(lefts(0), (List{50, 30, 70}));
  EXPECT_EQ(lefts(1), (List{30, 70, 10}));
  EXPECT_EQ(f.Offer(10, "a"), Insert::kDuplicate);  // and 10 came again
  EXPECT_EQ(lefts(0), (List{10, 50, 30}));
  EXPECT_EQ(f.Offer(0, "0123456789"), Insert::kAdvanced);
  EXPECT_EQ(lefts(0), (List{50, 30, 70}));
}

// The model: which octets are known, by position, and the octet that came first for each.
class Model {
 public:
  void Note(uint32_t position, const std::string& text) {
    for (size_t i = 0; i < text.size(); ++i) {
      known_.emplace(position + static_cast<uint32_t>(i), text[i]);
    }
  }
  uint32_t contiguous() const {
    uint32_t n = 0;
    for (auto it = known_.begin(); it != known_.end() && it->first == n; ++it) ++n;
    return n;
  }
  bool Has(uint32_t position) const { return known_.count(position) != 0; }

 private:
  std::map<uint32_t, char> known_;
};

// Every octet of the stream has one value, as a decent peer sends it: what comes out must be it.
char OctetAt(uint32_t position) { return static_cast<char>(position * 7 % 253); }

std::string StreamPart(uint32_t position, uint32_t length) {
  std::string text(length, '\0');
  for (uint32_t i = 0; i < length; ++i) text[i] = OctetAt(position + i);
  return text;
}

TEST(ReceiveQueue, DoesWhatTheModelDoesUnderRandomOperations) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Prng prng(seed);
    Fixture f(512, static_cast<uint32_t>(0u - prng.Below(2000)));
    Model model;
    std::string delivered;
    for (int step = 0; step < 400; ++step) {
      const uint32_t from = f.next();
      if (prng.Chance(0.7)) {
        const auto position = from + static_cast<uint32_t>(prng.Chance(0.3) ? 0 : prng.Below(120));
        const auto length = static_cast<uint32_t>(1 + prng.Below(20));
        const std::string text = StreamPart(position, length);
        const Insert result = f.Offer(position, text);
        bool news = false;
        for (uint32_t i = 0; i < length; ++i) news = news || !model.Has(position + i);
        ASSERT_NE(result, Insert::kFull);
        ASSERT_EQ(position == from, result == Insert::kAdvanced);
        ASSERT_TRUE(!news || result != Insert::kDuplicate);
        model.Note(position, text);
        // With room for all, nothing that was taken is forgotten and nothing else is claimed.
        ASSERT_EQ(f.next(), model.contiguous()) << "seed " << seed << " step " << step;
      } else {
        delivered += f.Take(static_cast<uint32_t>(prng.Below(60)));
      }
      ASSERT_EQ(delivered.size() + f.queue.ready_bytes(), f.next()) << "seed " << seed;
    }
    // The gaps are filled in order: everything known comes out, once, in order.
    for (int i = 0; i < 300 && f.queue.has_gap(); ++i) {
      ASSERT_EQ(f.Offer(f.next(), StreamPart(f.next(), 1)), Insert::kAdvanced);
    }
    ASSERT_FALSE(f.queue.has_gap());
    delivered += f.Take(0xFFFF'FFFF);
    ASSERT_EQ(delivered, StreamPart(0, f.next()));
    ASSERT_TRUE(f.held.empty());
  }
}

TEST(ReceiveQueue, CopyReadyLooksThroughPacketsAndTakesNothing) {
  Fixture f;
  EXPECT_EQ(f.Offer(0, "abc"), Insert::kAdvanced);
  EXPECT_EQ(f.Offer(3, "def"), Insert::kAdvanced);
  EXPECT_EQ(f.Offer(8, "late"), Insert::kQueued);
  std::array<char, 16> out{};
  const auto copy = [&](size_t room) {
    const auto bytes = std::as_writable_bytes(std::span(out).first(room));
    return std::string(out.data(), f.queue.CopyReady(bytes, f.pool));
  };
  EXPECT_EQ(copy(16), "abcdef");  // not what is behind the gap
  EXPECT_EQ(copy(5), "abcde");
  EXPECT_EQ(copy(0), "");
  EXPECT_EQ(f.Take(4), "abcd");
  EXPECT_EQ(copy(16), "ef");
}

}  // namespace
}  // namespace millrace::tcp
