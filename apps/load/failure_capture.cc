#include "apps/load/failure_capture.h"

#include <algorithm>
#include <optional>

#include "apps/common/pcapng.h"
#include "apps/common/units.h"

namespace millrace::apps {
namespace {

struct Line {
  const FlightRecorder::Slot* slot;
  bool begins;                       // the first packet of its connection
  const FlightRecorder::Kept* ends;  // the connection whose last packet this is; else null
};

std::vector<Line> LinesOf(const std::vector<FlightRecorder*>& recorders) {
  std::vector<Line> lines;
  for (const FlightRecorder* recorder : recorders) {
    for (const FlightRecorder::Kept& kept : recorder->kept()) {
      for (const FlightRecorder::Slot& slot : recorder->frames_of(kept)) {
        lines.push_back({&slot, &slot == recorder->frames_of(kept).data(), nullptr});
      }
      lines.back().ends = &kept;
    }
  }
  std::stable_sort(lines.begin(), lines.end(),
                   [](const Line& a, const Line& b) { return a.slot->time < b.slot->time; });
  return lines;
}

}  // namespace

std::string ParseCapture(const std::string& text, CaptureSpec* spec) {
  const size_t colon = text.rfind(':');
  spec->path = text.substr(0, colon);
  if (spec->path.empty()) return "\"" + text + "\": write FILE or FILE:100M";
  if (colon == std::string::npos) return "";
  const std::string size = text.substr(colon + 1);
  constexpr uint64_t kLeast = 4096, kMost = uint64_t{1} << 34;
  const std::optional<uint64_t> bytes = ParseSize(size);
  if (!bytes || *bytes < kLeast || *bytes > kMost) {
    return "\"" + size + "\" is no size of a file (write 4k to 16G, as in failures.pcapng:100M)";
  }
  spec->bytes_max = *bytes;
  return "";
}

absl::Status CheckCapture(const CaptureSpec& spec) {
  if (spec.path.empty()) return absl::OkStatus();
  return PcapngWriter(spec.path, "millrace", FlightRecorder::kSnapBytes).Close();
}

std::string CaptureSummary::Text(const std::string& path) const {
  std::string text = GroupDigits(connections) + " failed connections, " + GroupDigits(packets) +
                     " packets in " + path;
  if (missed + partly > 0) {
    text +=
        " (" + GroupDigits(missed) + " more are not in it, " + GroupDigits(partly) + " in part)";
  }
  if (cut) text += "; it has reached its size";
  return text;
}

absl::StatusOr<CaptureSummary> WriteCapture(const CaptureSpec& spec,
                                            const std::vector<FlightRecorder*>& recorders,
                                            int64_t unix_minus_run_ns,
                                            const std::function<void()>& meanwhile) {
  constexpr uint64_t kPacketsBetween = 4'096;
  CaptureSummary summary;
  for (FlightRecorder* recorder : recorders) {
    recorder->Settle();
    summary.missed += recorder->missed();
  }
  PcapngWriter writer(spec.path, "millrace", FlightRecorder::kSnapBytes);
  uint64_t in_all = 0, begun = 0;
  for (const FlightRecorder* recorder : recorders) in_all += recorder->kept().size();
  for (const auto& [slot, begins, ends] : LinesOf(recorders)) {
    std::string comment;
    if (ends != nullptr) comment = std::string(ends->reason) + ": " + std::string(ends->meaning);
    const PcapngWriter::Packet packet{.time_unix_ns = slot->time.ns() + unix_minus_run_ns,
                                      .sent = slot->way == FrameWay::kSent,
                                      .frame = slot->frame(),
                                      .length = slot->length,
                                      .comment = comment};
    if (writer.bytes() + PcapngWriter::BytesOf(packet) > spec.bytes_max) {
      summary.cut = true;
      break;
    }
    writer.Write(packet);
    if (++summary.packets % kPacketsBetween == 0) meanwhile();
    begun += begins ? 1 : 0;
    summary.connections += ends != nullptr ? 1 : 0;
  }
  summary.partly = begun - summary.connections;
  summary.missed += in_all - begun;
  if (absl::Status closed = writer.Close(); !closed.ok()) return closed;
  return summary;
}

}  // namespace millrace::apps
