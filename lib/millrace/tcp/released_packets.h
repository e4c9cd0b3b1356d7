// tcp/released_packets.h - packets that nothing holds any more, until the port takes them back in
// bulk.
//
// A vector whose growth is a call: that of std::vector was inlined with each push_back, and the
// functions around saved registers for it. Bounds: reserved at start for all that can be released
// at once.
#ifndef MILLRACE_TCP_RELEASED_PACKETS_H_
#define MILLRACE_TCP_RELEASED_PACKETS_H_

#include <cstddef>
#include <span>
#include <vector>

#include "millrace/wire/segment.h"

namespace millrace::tcp {

class ReleasedPackets {
 public:
  ReleasedPackets() = default;
  ReleasedPackets(const ReleasedPackets&) = delete;
  ReleasedPackets& operator=(const ReleasedPackets&) = delete;

  void Reserve(size_t count) {
    const size_t used = size();
    packets_.resize(count < used ? used : count);
    next_ = packets_.data() + used;
    end_ = packets_.data() + packets_.size();
  }
  void Push(wire::PacketHandle handle) {
    if (next_ == end_) [[unlikely]]
      Grow();
    *next_++ = handle;
  }
  void Clear() { next_ = packets_.data(); }

  size_t size() const { return static_cast<size_t>(next_ - packets_.data()); }
  size_t capacity() const { return packets_.size(); }
  std::span<const wire::PacketHandle> packets() const { return {packets_.data(), size()}; }

 private:
  [[gnu::noinline]] void Grow() { Reserve(size() + size() / 2 + 64); }

  std::vector<wire::PacketHandle> packets_;
  wire::PacketHandle* next_ = nullptr;
  wire::PacketHandle* end_ = nullptr;
};

}  // namespace millrace::tcp

#endif  // MILLRACE_TCP_RELEASED_PACKETS_H_
