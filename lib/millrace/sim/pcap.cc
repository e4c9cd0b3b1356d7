// sim/pcap.cc - simulated frames in a pcap file.
#include "millrace/sim/pcap.h"

#include <algorithm>

namespace millrace::sim {
namespace {

// Both headers are in the writer's byte order, which the magic tells.
struct FileHeader {
  uint32_t magic = 0xA1B2'3C4D;  // timestamps in nanoseconds
  uint16_t version_major = 2, version_minor = 4;
  uint32_t reserved[2] = {0, 0};
  uint32_t frame_bytes_max = 65'535;
  uint32_t link_type = 1;  // LINKTYPE_ETHERNET
};
static_assert(sizeof(FileHeader) == 24);

struct RecordHeader {
  uint32_t seconds, nanoseconds;
  uint32_t captured_bytes, frame_bytes;
};
static_assert(sizeof(RecordHeader) == 16);

}  // namespace

PcapWriter::PcapWriter(const std::string& path) : file_(std::fopen(path.c_str(), "wb")) {
  const FileHeader header;
  Put(std::as_bytes(std::span(&header, 1)));
}

void PcapWriter::Write(Instant now, std::span<const std::byte> frame) {
  constexpr int64_t kNsPerSecond = 1'000'000'000;
  const int64_t ns = std::max<int64_t>(now.ns(), 0);
  const auto length = static_cast<uint32_t>(frame.size());
  const RecordHeader header{.seconds = static_cast<uint32_t>(ns / kNsPerSecond),
                            .nanoseconds = static_cast<uint32_t>(ns % kNsPerSecond),
                            .captured_bytes = length,
                            .frame_bytes = length};
  Put(std::as_bytes(std::span(&header, 1)));
  Put(frame);
  if (ok()) ++frames_;
}

void PcapWriter::Flush() {
  if (ok() && std::fflush(file_.get()) != 0) failed_ = true;
}

void PcapWriter::Put(std::span<const std::byte> bytes) {
  if (!ok()) return;
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) failed_ = true;
}

}  // namespace millrace::sim
