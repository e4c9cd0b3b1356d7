// apps/common/pcapng.h - frames in a file that Wireshark and tshark read, with comments.
//
// pcapng (draft-ietf-opsawg-pcapng): one section, one interface of link type Ethernet, timestamps
// in nanoseconds since 1970 UTC, direction and comment as options of a packet.
// Threading: one owner. Cost: buffered writes; the first that fails is remembered.
#ifndef MILLRACE_APPS_COMMON_PCAPNG_H_
#define MILLRACE_APPS_COMMON_PCAPNG_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace millrace::apps {

class PcapngWriter {
 public:
  struct Packet {
    int64_t time_unix_ns = 0;
    bool sent = false;                 // else received
    std::span<const std::byte> frame;  // what was captured of it
    uint32_t length = 0;               // of the whole frame
    std::string_view comment;          // "" for none
  };

  // Creates or empties the file. `program`: named as who wrote it. `snap_bytes`: of a frame, at
  // most.
  PcapngWriter(const std::string& path, std::string_view program, uint32_t snap_bytes);

  void Write(const Packet& packet);
  // Octets that Write adds for it.
  static uint64_t BytesOf(const Packet& packet);
  uint64_t bytes() const { return bytes_; }
  // Ends the file. kFailedPrecondition: "cannot write PATH: No space left on device".
  absl::Status Close();

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  void Put(const std::string& block);

  std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
  int error_ = 0;  // errno of the first write that failed
  uint64_t bytes_ = 0;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_COMMON_PCAPNG_H_
