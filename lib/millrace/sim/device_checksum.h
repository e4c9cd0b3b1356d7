// sim/device_checksum.h - the checksum work of a device, in software.
//
// Independent of wire/frame.h on purpose: it verifies what devices verify and leaves the rest
// unknown, and it never trusts a length in the frame. Threading: pure functions.
#ifndef MILLRACE_SIM_DEVICE_CHECKSUM_H_
#define MILLRACE_SIM_DEVICE_CHECKSUM_H_

#include <cstddef>
#include <span>

#include "millrace/stack/port.h"
#include "millrace/wire/frame.h"

namespace millrace::sim {

struct ReceivedChecksums {
  wire::ChecksumState ip = wire::ChecksumState::kUnknown;
  wire::ChecksumState l4 = wire::ChecksumState::kUnknown;
};

// What a device says of a received frame. Known for untagged IPv4, and in it, for whole TCP
// segments; for those directly behind an IPv6 header; kUnknown for everything else.
ReceivedChecksums VerifyChecksums(std::span<const std::byte> frame);

// Fills in what `offload` asks for. The TCP field holds the folded pseudo-header sum before
// (stack/port.h). False, and nothing is written, when the offsets or the IP total length do not
// fit the frame: the engine built a wrong frame.
[[nodiscard]] bool CompleteChecksums(std::span<std::byte> frame, const stack::TxOffload& offload);

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_DEVICE_CHECKSUM_H_
