// sim/frame.h - a frame on a simulated wire: octets on the heap, exactly as many as it has.
//
// The allocation is exact so that AddressSanitizer reports the first octet read beside it.
// Threading: a value that moves.
#ifndef MILLRACE_SIM_FRAME_H_
#define MILLRACE_SIM_FRAME_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

namespace millrace::sim {

class Frame {
 public:
  Frame() = default;
  // `length` octets of kFill: a field that the sender forgot is the same in every run, and not 0.
  explicit Frame(uint32_t length) : octets_(new std::byte[length]), length_(length) {
    std::memset(octets_.get(), kFill, length);
  }
  static Frame CopyOf(std::span<const std::byte> octets) {
    Frame frame;
    frame.length_ = static_cast<uint32_t>(octets.size());
    frame.octets_.reset(new std::byte[octets.size()]);
    if (!octets.empty()) std::memcpy(frame.octets_.get(), octets.data(), octets.size());
    return frame;
  }

  std::byte* data() { return octets_.get(); }
  const std::byte* data() const { return octets_.get(); }
  uint32_t length() const { return length_; }
  std::span<const std::byte> octets() const { return {octets_.get(), length_}; }

 private:
  static constexpr int kFill = 0xA5;

  std::unique_ptr<std::byte[]> octets_;
  uint32_t length_ = 0;
};

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_FRAME_H_
