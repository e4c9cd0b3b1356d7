#include "apps/load/json_stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace millrace::apps {
namespace {

using Json = nlohmann::json;

class JsonStreamTest : public ::testing::Test {
 protected:
  JsonStreamTest() {
    std::string name = (std::filesystem::temp_directory_path() / "stream-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~JsonStreamTest() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return folder_ + "/lines.jsonl"; }
  std::vector<Json> Lines() const {
    std::vector<Json> lines;
    std::ifstream file(path());
    for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
    return lines;
  }

 private:
  std::string folder_;
};

TEST_F(JsonStreamTest, EveryLineIsThereBeforeTheNext) {
  auto stream = JsonStream::Open(path());
  ASSERT_TRUE(stream.ok()) << stream.status();
  (*stream)->Begin({.id = "a", .command = "load run"}, "open loop");
  EXPECT_EQ(Lines().size(), 1u);
  Latencies latencies;
  latencies[LatencyState::kClose].Record(1'000);
  (*stream)->OnInterval({.length_s = 1, .ok = 7}, latencies, LoadStage::kLeading);
  (*stream)->OnInterval({.length_s = 1, .ok = 8}, latencies, LoadStage::kMeasuring);
  (*stream)->OnTrial({.verdict = "ok"});
  (*stream)->End({.failures = {{"syn_timeout", 3}}});
  const std::vector<Json> lines = Lines();
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0]["type"], "begin");
  EXPECT_EQ(lines[1]["measured"], false);
  EXPECT_EQ(lines[2]["measured"], true);
  EXPECT_EQ(lines[2]["interval"]["ok"], 8);
  EXPECT_EQ(lines[2]["latency"]["close"]["p99_ns"], 1'000);
  EXPECT_EQ(lines[2]["latency"]["connect"]["count"], 0);
  EXPECT_EQ(lines[3]["trial"]["verdict"], "ok");
  EXPECT_EQ(lines[4]["failures"]["syn_timeout"], 3);
  EXPECT_LE(lines[1]["time_unix_ns"], lines[4]["time_unix_ns"]);
  EXPECT_TRUE((*stream)->status().ok());
}

TEST_F(JsonStreamTest, AFullDiskIsSaidAtTheEnd) {
  auto stream = JsonStream::Open("/dev/full");
  ASSERT_TRUE(stream.ok()) << stream.status();
  (*stream)->OnTrial({});
  (*stream)->OnTrial({});
  EXPECT_EQ((*stream)->status().message(), "cannot write /dev/full: No space left on device");
}

TEST_F(JsonStreamTest, AFifoThatNobodyReadsIsSaidAtOnce) {
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  EXPECT_EQ(JsonStream::Open(path()).status().message(),
            "cannot write " + path() + ": nobody reads it yet");
}

// The run goes on whatever the reader does: it neither waits for one that does not read nor ends
// with one that goes.
TEST_F(JsonStreamTest, AReaderThatStopsOrGoesHoldsUpNothing) {
  for (const bool goes : {false, true}) {
    unlink(path().c_str());
    ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
    const int reader = open(path().c_str(), O_RDONLY | O_NONBLOCK);
    auto stream = JsonStream::Open(path());
    ASSERT_TRUE(stream.ok()) << stream.status();
    if (goes) close(reader);
    constexpr int kLines = 20'000;  // more than a pipe and the stream hold
    for (int i = 0; i < kLines; ++i) (*stream)->OnTrial({.verdict = "ok"});
    EXPECT_EQ((*stream)->status().message(),
              goes ? "cannot write " + path() + ": Broken pipe"
                   : path() + " is read too slowly: the stream is cut short");
    if (!goes) close(reader);
  }
}

TEST_F(JsonStreamTest, AFolderThatIsNotThereIsSaidAtOnce) {
  EXPECT_EQ(JsonStream::Open("/nonexistent/x").status().message(),
            "cannot write /nonexistent/x: No such file or directory");
}

}  // namespace
}  // namespace millrace::apps
