// The send buffer, alone and against a plain string under random operations.

#include "millrace/tcp/send_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "millrace/base/prng.h"

namespace millrace::tcp {
namespace {

std::span<const std::byte> Bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

std::string Read(SendBuffer& buffer, const SendPool& pool, uint32_t position, uint32_t length) {
  std::string out(length, '\0');
  if (length == 0) return out;
  pool.Copy(buffer.At(position, pool), length, std::as_writable_bytes(std::span(out)).data());
  return out;
}

std::string Pattern(size_t length, size_t from) {
  std::string text(length, '\0');
  for (size_t i = 0; i < length; ++i) text[i] = static_cast<char>((from + i) * 31 % 251);
  return text;
}

TEST(SendBuffer, SmallWritesShareAChunk) {
  SendPool pool(8, 8);
  SendBuffer buffer;
  EXPECT_EQ(buffer.AppendCopy(Bytes("abc"), 1000, pool), 3u);
  EXPECT_EQ(buffer.AppendCopy(Bytes("defg"), 1000, pool), 4u);
  EXPECT_EQ(pool.chunks.used(), 1u);
  EXPECT_EQ(pool.extents.used(), 1u);
  EXPECT_EQ(Read(buffer, pool, 0, 7), "abcdefg");
  EXPECT_EQ(Read(buffer, pool, 2, 3), "cde");
}

TEST(SendBuffer, LimitCutsTheWrite) {
  SendPool pool(8, 8);
  SendBuffer buffer;
  EXPECT_EQ(buffer.AppendCopy(Bytes("abcdef"), 4, pool), 4u);
  EXPECT_EQ(buffer.AppendCopy(Bytes("gh"), 4, pool), 0u);
  EXPECT_EQ(buffer.AppendCopy(Bytes("gh"), 3, pool), 0u);
  EXPECT_EQ(buffer.size_bytes(), 4u);
}

TEST(SendBuffer, EmptyPoolCutsTheWriteAndLeaksNothing) {
  for (auto [extents, chunks] : {std::pair{8u, 2u}, std::pair{2u, 8u}}) {
    SendPool pool(extents, chunks);
    SendBuffer buffer;
    const std::string data = Pattern(10'000, 0);
    EXPECT_EQ(buffer.AppendCopy(Bytes(data), 100'000, pool), 2 * kChunkBytes);
    EXPECT_EQ(Read(buffer, pool, 0, 2 * kChunkBytes), data.substr(0, 2 * kChunkBytes));
    EXPECT_EQ(pool.chunks.used(), 2u);
    buffer.Clear(pool);
    EXPECT_EQ(pool.chunks.used(), 0u);
    EXPECT_EQ(pool.extents.used(), 0u);
  }
}

TEST(SendBuffer, StaticOctetsAreTakenWholeOrNotAtAll) {
  SendPool pool(1, 1);
  SendBuffer buffer;
  static const std::string kText = Pattern(5000, 3);
  EXPECT_TRUE(buffer.AppendStatic(Bytes(kText), pool));
  EXPECT_EQ(pool.chunks.used(), 0u);
  EXPECT_FALSE(buffer.AppendStatic(Bytes(kText), pool));
  EXPECT_EQ(buffer.size_bytes(), 5000u);
  EXPECT_EQ(Read(buffer, pool, 4000, 1000), kText.substr(4000));
}

TEST(SendBuffer, OnlyOneStaticPieceNeedsNoExtent) {
  SendPool pool(2, 1);
  SendBuffer buffer;
  static const std::string kText = Pattern(300, 7);
  ASSERT_TRUE(buffer.AppendStatic(Bytes(kText), pool));
  EXPECT_EQ(pool.extents.used(), 0u);
  EXPECT_EQ(Read(buffer, pool, 100, 200), kText.substr(100));
  buffer.Consume(50, pool);
  EXPECT_EQ(Read(buffer, pool, 0, 250), kText.substr(50));
  // What comes behind it, copied or not, makes it the first of a chain.
  ASSERT_EQ(buffer.AppendCopy(Bytes("more"), 1000, pool), 4u);
  EXPECT_EQ(pool.extents.used(), 2u);
  EXPECT_EQ(Read(buffer, pool, 0, 254), kText.substr(50) + "more");
  EXPECT_FALSE(buffer.AppendStatic(Bytes(kText), pool));
  buffer.Consume(251, pool);
  EXPECT_EQ(Read(buffer, pool, 0, 3), "ore");
  buffer.Clear(pool);
  EXPECT_EQ(pool.extents.used() + pool.chunks.used(), 0u);
  ASSERT_TRUE(buffer.AppendStatic(Bytes(kText), pool));
  buffer.Consume(300, pool);
  EXPECT_EQ(buffer.size_bytes(), 0u);
}

// Sequence arithmetic is right up to 2^31 only.
TEST(SendBuffer, NeverHoldsMoreThanAGigabyte) {
  SendPool pool(8, 1);
  SendBuffer buffer;
  static const std::byte kNothing{};
  const std::span<const std::byte> huge(&kNothing, size_t{1} << 29);  // never read
  EXPECT_TRUE(buffer.AppendStatic(huge, pool));
  EXPECT_TRUE(buffer.AppendStatic(huge, pool));
  EXPECT_FALSE(buffer.AppendStatic(huge.first(1), pool));
  EXPECT_FALSE(SendBuffer().AppendStatic({&kNothing, size_t{1} << 33}, pool));
  buffer.Clear(pool);
}

TEST(SendBuffer, DoesWhatAStringDoesUnderRandomOperations) {
  const std::string fixed = Pattern(20'000, 100);
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Prng prng(seed);
    SendPool pool(24, 12);
    SendBuffer buffer;
    std::string model;
    size_t produced = 0;
    for (int step = 0; step < 2000; ++step) {
      const uint64_t what = prng.Below(100);
      if (what < 35) {
        const std::string data = Pattern(prng.Below(prng.Chance(0.2) ? 6000 : 200), produced);
        const uint32_t taken = buffer.AppendCopy(Bytes(data), 20'000, pool);
        ASSERT_LE(taken, data.size());
        ASSERT_LE(model.size() + taken, std::max<size_t>(model.size(), 20'000));
        model += data.substr(0, taken);
        produced += taken;
      } else if (what < 45) {
        const size_t at = prng.Below(fixed.size());
        const std::string part = fixed.substr(at, prng.Below(3000));
        const auto span = Bytes(fixed).subspan(at, part.size());
        if (buffer.AppendStatic(span, pool)) model += part;
      } else if (what < 70 && !model.empty()) {
        const auto length = static_cast<uint32_t>(prng.Below(model.size() + 1));
        buffer.Consume(length, pool);
        model.erase(0, length);
      } else if (!model.empty()) {
        const auto at = static_cast<uint32_t>(prng.Below(model.size()));
        const auto length = static_cast<uint32_t>(prng.Below(model.size() - at + 1));
        ASSERT_EQ(Read(buffer, pool, at, length), model.substr(at, length));
      }
      ASSERT_EQ(buffer.size_bytes(), model.size()) << "seed " << seed << " step " << step;
      if (model.empty()) {
        ASSERT_EQ(pool.extents.used() + pool.chunks.used(), 0u);
      }
    }
    ASSERT_EQ(Read(buffer, pool, 0, buffer.size_bytes()), model);
    buffer.Clear(pool);
    ASSERT_EQ(pool.extents.used() + pool.chunks.used(), 0u);
  }
}

}  // namespace
}  // namespace millrace::tcp
