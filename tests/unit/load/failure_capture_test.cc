#include "apps/load/failure_capture.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "apps/common/pcapng.h"
#include "unit/wire/frame_builder.h"

namespace millrace::apps {
namespace {

using wire::testing::Build;
using wire::testing::FrameSpec;

// A recorder with two failed connections, whose packets came in turn: three each.
class FailureCapture : public ::testing::Test {
 protected:
  FailureCapture() {
    for (uint32_t i = 0; i < 6; ++i) {
      FrameSpec spec;
      spec.source = wire::testing::kOurIp;
      spec.destination = wire::testing::kPeerIp;
      spec.tcp.source_port = PortOf(i);
      spec.tcp.destination_port = 80;
      recorder_.Record(Instant::FromNanoseconds(i), FrameWay::kSent, Build(spec));
    }
    const Endpoint server{IpAddress::V4(wire::testing::kPeerIp), 80};
    for (const uint32_t i : {0u, 1u}) {
      recorder_.OnFailure({IpAddress::V4(wire::testing::kOurIp), PortOf(i)}, server,
                          Instant::FromNanoseconds(0), "reason", "meaning");
    }
  }
  ~FailureCapture() override { std::filesystem::remove(path_); }

  // What is told of a file of at most so many octets.
  std::string TextAt(uint64_t bytes_max) {
    const auto summary = WriteCapture({path_, bytes_max}, {&recorder_}, 0, [] {});
    EXPECT_TRUE(summary.ok()) << summary.status();
    return summary.ok() ? summary->Text("x") : "";
  }

  const std::string path_ = ::testing::TempDir() + "failures-" + std::to_string(getpid());

 private:
  static uint16_t PortOf(uint32_t i) { return static_cast<uint16_t>(1000 + i % 2); }

  FlightRecorder recorder_{{.ring_bytes = 64 * sizeof(FlightRecorder::Slot),
                            .kept_bytes = 16 * sizeof(FlightRecorder::Slot)}};
};

TEST_F(FailureCapture, HasEveryConnectionWhenThereIsRoom) {
  EXPECT_EQ(TextAt(1 << 20), "2 failed connections, 6 packets in x");
}

// Neither in the file nor absent from it: a connection of which only the first packets had room.
TEST_F(FailureCapture, TellsApartWhatIsInPartInAFileThatIsCut) {
  ASSERT_EQ(TextAt(1 << 20), "2 failed connections, 6 packets in x");
  const uint64_t whole = std::filesystem::file_size(path_);
  EXPECT_EQ(TextAt(whole - 1),
            "1 failed connections, 5 packets in x (0 more are not in it, 1 in part); it has "
            "reached its size");
  const uint64_t empty = PcapngWriter(path_, "millrace", FlightRecorder::kSnapBytes).bytes();
  EXPECT_EQ(TextAt(empty),
            "0 failed connections, 0 packets in x (2 more are not in it, 0 in part); it has "
            "reached its size");
}

}  // namespace
}  // namespace millrace::apps
