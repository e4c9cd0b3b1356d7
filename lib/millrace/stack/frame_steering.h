// stack/frame_steering.h - to which worker a received frame belongs, from its first octets.
//
// Looks only at what it needs, verifies nothing and believes nothing: a frame that is wrong goes to
// some worker, whose parser names what is wrong (wire/frame.h). No input crashes or reads outside.
// Pure. Cost: see stack/steered_port.h.
#ifndef MILLRACE_STACK_FRAME_STEERING_H_
#define MILLRACE_STACK_FRAME_STEERING_H_

#include <cstddef>
#include <cstdint>

#include "millrace/stack/steering.h"

namespace millrace::stack {

enum class FrameGoal : uint8_t {
  kOwner,     // to OwnerOf(fold): TCP, and ICMP errors about TCP
  kHere,      // to whoever received it: what any worker can answer, and fragments
  kEveryone,  // what every worker's neighbour table and address detection has to know
};

struct FrameTarget {
  FrameGoal goal = FrameGoal::kHere;
  bool opening = false;  // a SYN: dropped before other segments when there is too much
  Fold fold = 0;         // kOwner
};

// A frame without a VLAN tag, or with one or two.
FrameTarget TargetOf(const std::byte* data, uint32_t length);

}  // namespace millrace::stack

#endif  // MILLRACE_STACK_FRAME_STEERING_H_
