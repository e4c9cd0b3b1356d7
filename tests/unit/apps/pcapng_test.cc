#include "apps/common/pcapng.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace millrace::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Block {
  uint32_t type;
  std::string body;
};

uint32_t WordAt(const std::string& text, size_t at) {
  uint32_t word = 0;
  std::memcpy(&word, text.data() + at, sizeof word);
  return word;
}

// By the lengths in front, which have to be those behind.
std::vector<Block> BlocksOf(const std::string& file) {
  std::vector<Block> blocks;
  for (size_t at = 0; at < file.size();) {
    const uint32_t length = WordAt(file, at + 4);
    EXPECT_EQ(length % 4, 0u);
    EXPECT_LE(at + length, file.size());
    EXPECT_EQ(WordAt(file, at + length - 4), length);
    blocks.push_back({WordAt(file, at), file.substr(at + 8, length - 12)});
    at += length;
  }
  return blocks;
}

class PcapngTest : public ::testing::Test {
 protected:
  PcapngTest() {
    std::string name = (std::filesystem::temp_directory_path() / "pcapng-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~PcapngTest() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return folder_ + "/x.pcapng"; }
  std::string Content() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string folder_;
};

TEST_F(PcapngTest, HasASectionAnInterfaceAndThePackets) {
  PcapngWriter writer(path(), "tester", 64);
  const std::vector<std::byte> frame(61, std::byte{0xAB});
  const uint64_t before = writer.bytes();
  const PcapngWriter::Packet packet{.time_unix_ns = 0x1234'5678'9ABC'DEF0,
                                    .sent = true,
                                    .frame = frame,
                                    .length = 1514,
                                    .comment = "why it failed"};
  writer.Write(packet);
  EXPECT_EQ(writer.bytes() - before, PcapngWriter::BytesOf(packet));
  writer.Write({.frame = frame, .length = 61});
  ASSERT_TRUE(writer.Close().ok());
  const std::vector<Block> blocks = BlocksOf(Content());
  ASSERT_EQ(blocks.size(), 4u);
  EXPECT_EQ(blocks[0].type, 0x0A0D'0D0Au);
  EXPECT_EQ(WordAt(blocks[0].body, 0), 0x1A2B'3C4Du);
  EXPECT_THAT(blocks[0].body, HasSubstr("tester"));
  EXPECT_EQ(blocks[1].type, 1u);
  EXPECT_EQ(WordAt(blocks[1].body, 0), 1u);   // Ethernet
  EXPECT_EQ(WordAt(blocks[1].body, 4), 64u);  // at most
  const std::string& body = blocks[2].body;
  EXPECT_EQ(blocks[2].type, 6u);
  EXPECT_THAT((std::vector<uint32_t>{WordAt(body, 0), WordAt(body, 4), WordAt(body, 8),
                                     WordAt(body, 12), WordAt(body, 16)}),
              ElementsAre(0, 0x1234'5678, 0x9ABC'DEF0, 61, 1514));
  EXPECT_EQ(WordAt(body, 84), 2u | 4u << 16);  // flags, four octets
  EXPECT_EQ(WordAt(body, 88), 2u);             // sent
  EXPECT_EQ(WordAt(body, 92), 1u | 13u << 16);
  EXPECT_THAT(body, HasSubstr("why it failed"));
  EXPECT_EQ(WordAt(blocks[3].body, 88), 1u);  // received
  EXPECT_EQ(blocks[3].body.size(), 96u);      // no comment
}

TEST_F(PcapngTest, WhatCannotBeWrittenIsSaid) {
  PcapngWriter nowhere("/nonexistent/x", "tester", 64);
  nowhere.Write({});
  EXPECT_EQ(nowhere.Close().message(), "cannot write /nonexistent/x: No such file or directory");
  PcapngWriter full("/dev/full", "tester", 64);
  EXPECT_EQ(full.Close().message(), "cannot write /dev/full: No space left on device");
}

}  // namespace
}  // namespace millrace::apps
