#include "millrace/wire/tcp_options.h"

namespace millrace::wire {
namespace {

// RFC 7413 4.1.1: a cookie of 4 to 16 octets, an even number, or none. Of two options the first
// counts.
void TakeFastOpen(const std::byte* cookie, uint32_t length, OptionBits form, Segment& out) {
  if (length != 0 && (length < 4 || length > 16 || length % 2 != 0)) return;
  if (out.HasOption(kFastOpenOption)) return;
  out.fast_open = cookie;
  out.fast_open_length = static_cast<uint8_t>(length);
  out.options |= form;
}

// Takes over one option of `length` octets (at least 2) at `p` that lies inside the header.
void TakeOption(const std::byte* p, uint32_t length, Segment& out) {
  switch (static_cast<TcpOptionKind>(LoadU8(p))) {
    case TcpOptionKind::kMss:
      if (length != kMssOptionBytes || out.HasOption(kMssOption)) return;
      out.mss = LoadBe16(p + 2);
      out.options |= kMssOption;
      return;
    case TcpOptionKind::kWindowScale:
      if (length != kWindowScaleOptionBytes || out.HasOption(kWindowScaleOption)) return;
      out.window_scale = LoadU8(p + 2);
      out.options |= kWindowScaleOption;
      return;
    case TcpOptionKind::kSackPermitted:
      if (length == kSackPermittedOptionBytes) out.options |= kSackPermittedOption;
      return;
    case TcpOptionKind::kSack:
      // RFC 2018 section 3: two octets and eight per block.
      if (length < 10 || (length - 2) % 8 != 0 || out.HasOption(kSackOption)) return;
      out.sack = p + 2;
      out.sack_count = static_cast<uint8_t>((length - 2) / 8);
      out.options |= kSackOption;
      return;
    case TcpOptionKind::kTimestamps:
      if (length != kTimestampsOptionBytes || out.HasOption(kTimestampsOption)) return;
      out.tsval = LoadBe32(p + 2);
      out.tsecr = LoadBe32(p + 6);
      out.options |= kTimestampsOption;
      return;
    case TcpOptionKind::kFastOpen:
      return TakeFastOpen(p + 2, length - 2, kFastOpenOption, out);
    case TcpOptionKind::kExperiment:
      if (length < 4 || LoadBe16(p + 2) != kFastOpenExperimentId) return;
      return TakeFastOpen(p + 4, length - 4, kFastOpenOption | kFastOpenExperiment, out);
    case TcpOptionKind::kUserTimeout:
      if (length != kUserTimeoutOptionBytes || out.HasOption(kUserTimeoutOption)) return;
      out.user_timeout = LoadBe16(p + 2);
      out.options |= kUserTimeoutOption;
      return;
    default:
      return;  // RFC 9293 3.1 (MUST-6): "ignore without error any TCP Option it does not implement"
  }
}

}  // namespace

bool ParseTcpOptions(const std::byte* options, uint32_t length, Segment& out) {
  uint32_t at = 0;
  while (at < length) {
    const auto kind = static_cast<TcpOptionKind>(LoadU8(options + at));
    if (kind == TcpOptionKind::kEnd) return true;
    if (kind == TcpOptionKind::kNop) {
      ++at;
      continue;
    }
    const uint32_t left = length - at;
    if (left < 2) return false;
    const uint32_t option_length = LoadU8(options + at + 1);
    // RFC 9293 3.1 (MUST-7): "MUST be prepared to handle an illegal option length (e.g., zero)"
    if (option_length < 2 || option_length > left) return false;
    TakeOption(options + at, option_length, out);
    at += option_length;
  }
  return true;
}

}  // namespace millrace::wire
