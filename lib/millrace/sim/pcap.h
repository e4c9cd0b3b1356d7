// sim/pcap.h - simulated frames in a file that Wireshark and tcpdump read.
//
// The classic pcap format with nanosecond timestamps (draft-ietf-opsawg-pcap), link type Ethernet.
// Threading: one owner. Cost: buffered writes; a failed one (disk full) is remembered, not fatal.
#ifndef MILLRACE_SIM_PCAP_H_
#define MILLRACE_SIM_PCAP_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>

#include "millrace/base/time.h"

namespace millrace::sim {

class PcapWriter {
 public:
  // Creates or empties the file. When that fails, ok() is false and Write does nothing.
  explicit PcapWriter(const std::string& path);

  // Appends one frame. Negative instants are written as 0.
  void Write(Instant now, std::span<const std::byte> frame);
  // Makes what was written visible to readers.
  void Flush();

  bool ok() const { return file_ != nullptr && !failed_; }
  uint64_t frames() const { return frames_; }

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  void Put(std::span<const std::byte> bytes);

  std::unique_ptr<std::FILE, Closer> file_;
  bool failed_ = false;
  uint64_t frames_ = 0;
};

}  // namespace millrace::sim

#endif  // MILLRACE_SIM_PCAP_H_
