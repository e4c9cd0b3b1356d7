// fuzz/options_fuzz.cc - TCP options: any 0 to 40 octets.
#include <algorithm>
#include <array>

#include "fuzz/fuzz_input.h"
#include "millrace/base/check.h"
#include "millrace/wire/tcp_options.h"

namespace millrace::fuzz {
namespace {

using wire::Segment;

// Whether every length is possible, said in another way: recursively.
bool IsPossible(const std::byte* options, uint32_t length) {
  if (length == 0 || options[0] == std::byte{0}) return true;
  if (options[0] == std::byte{1}) return IsPossible(options + 1, length - 1);
  if (length == 1) return false;
  const auto option_length = static_cast<uint32_t>(options[1]);
  return option_length >= 2 && option_length <= length &&
         IsPossible(options + option_length, length - option_length);
}

void CheckSame(const Segment& a, const Segment& b) {
  const int emitted = ~wire::kSackOption;  // its blocks are checked in CheckSack
  MR_CHECK((a.options & emitted) == (b.options & emitted));
  MR_CHECK(a.mss == b.mss);
  MR_CHECK(a.window_scale == b.window_scale);
  MR_CHECK(a.tsval == b.tsval);
  MR_CHECK(a.tsecr == b.tsecr);
}

// The blocks lie inside the option and come back when they are sent.
void CheckSack(const ExactBytes& bytes, const Segment& parsed) {
  if (!parsed.HasOption(wire::kSackOption)) return;
  MR_CHECK(parsed.sack_count >= 1);
  MR_CHECK(parsed.sack >= bytes.data.get() + 2);
  MR_CHECK(parsed.sack + 8 * parsed.sack_count <= bytes.data.get() + bytes.length);
  std::array<wire::SackBlock, wire::kSackBlocksMax> blocks;
  const uint32_t count = std::min<uint32_t>(parsed.sack_count, blocks.size());
  for (uint32_t i = 0; i < count; ++i) blocks[i] = wire::LoadSackBlock(parsed.sack, i);
  std::array<std::byte, wire::kTcpOptionsBytesMax> emitted;
  const uint32_t length = wire::EmitTcpOptions(
      emitted.data(), {.sack_count = static_cast<uint8_t>(count), .sack = blocks.data()});
  Segment again;
  MR_CHECK(wire::ParseTcpOptions(emitted.data(), length, again));
  MR_CHECK(again.sack_count == count);
  MR_CHECK(std::equal(again.sack, again.sack + 8 * count, parsed.sack));
}

void CheckOptions(const ExactBytes& bytes) {
  Segment parsed;
  const bool possible = wire::ParseTcpOptions(bytes.data.get(), bytes.length, parsed);
  MR_CHECK(possible == IsPossible(bytes.data.get(), bytes.length));
  if (!possible) return;
  CheckSack(bytes, parsed);
  parsed.options &= wire::kFixedOptions;
  // What was understood comes back from our own layout.
  std::array<std::byte, wire::kTcpOptionsBytesMax> emitted;
  const uint32_t length = wire::EmitTcpOptions(emitted.data(), {.present = parsed.options,
                                                                .mss = parsed.mss,
                                                                .window_scale = parsed.window_scale,
                                                                .tsval = parsed.tsval,
                                                                .tsecr = parsed.tsecr});
  MR_CHECK(length == wire::TcpOptionsLength(parsed.options));
  Segment again;
  MR_CHECK(wire::ParseTcpOptions(emitted.data(), length, again));
  CheckSame(parsed, again);
}

}  // namespace
}  // namespace millrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::fuzz::Input input(data, size);
  millrace::fuzz::CheckOptions(input.Take(millrace::wire::kTcpOptionsBytesMax));
  return 0;
}
