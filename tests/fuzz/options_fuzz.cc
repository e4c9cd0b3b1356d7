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
  MR_CHECK(a.options == b.options);
  MR_CHECK(a.mss == b.mss);
  MR_CHECK(a.window_scale == b.window_scale);
  MR_CHECK(a.tsval == b.tsval);
  MR_CHECK(a.tsecr == b.tsecr);
}

void CheckOptions(const ExactBytes& bytes) {
  Segment parsed;
  const bool possible = wire::ParseTcpOptions(bytes.data.get(), bytes.length, parsed);
  MR_CHECK(possible == IsPossible(bytes.data.get(), bytes.length));
  if (!possible) return;
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
