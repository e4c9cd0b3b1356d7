#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "apps/result/hgrm.h"
#include "apps/result/result_files.h"
#include "apps/result/run_folder.h"
#include "apps/result/series_csv.h"
#include "apps/result/show.h"
#include "apps/result/text.h"
#include "apps/result/write_file.h"
#include "testing/golden.h"
#include "unit/result/sample.h"

namespace millrace::apps {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// A folder that is gone afterwards.
class Folder {
 public:
  Folder() : path_(fs::path(::testing::TempDir()) / "millrace-files-test") {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

TEST(ShowResult, IsTheGoldenText) {
  millrace::testing::ExpectGolden(ShowResult(SampleOfEveryField()), "tests/golden/result.txt");
}

TEST(ShowResult, PercentilesAreARisingList) {
  const PercentileColumns columns = ParsePercentiles("50,99.9");
  ASSERT_EQ(columns.size(), 2u);
  EXPECT_EQ(columns[1].first, "p99.9");
  EXPECT_DOUBLE_EQ(columns[1].second, 0.999);
  for (const char* wrong : {"", "50,", ",50", "x", "0", "100", "99,50", "50,50", "5 0"}) {
    EXPECT_TRUE(ParsePercentiles(wrong).empty()) << wrong;
  }
}

TEST(ShowResult, EmptyResultIsShownWithoutDividingByNothing) {
  const std::string text = ShowResult(Result());
  EXPECT_THAT(text, HasSubstr("failures  none"));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
  EXPECT_THAT(text, Not(HasSubstr("inf")));
}

TEST(ShowResult, ControlCharactersOfAFileReachNoTerminal) {
  Result r = SampleOfEveryField();
  const std::string evil = "\x1b[2J\x07";
  r.run.id = r.run.labels[0].second = r.machine.host = r.load.target = evil;
  r.failures[0].first = r.latency[0].first = r.objectives[0].objective = evil;
  r.ranks[0].host = r.search->goals[0].goal = r.search->trials[0].verdict = evil;
  r.verdict.reasons = r.notes = {evil};
  EXPECT_THAT(ShowResult(r), Not(HasSubstr("\x1b")));
  EXPECT_THAT(ShowResult(r), Not(HasSubstr("\x07")));
}

TEST(SeriesCsv, HasALinePerIntervalUnderTheNamesOfTheJson) {
  Result r = SampleResult();
  r.series.resize(1);
  r.series[0].start_s = 0.1;
  EXPECT_EQ(SeriesCsv(r),
            "start_s,length_s,due,opened,ok,failed,retransmits,open,connect_p50_ns,"
            "connect_p99_ns,busiest_core_share,worst_lag_ns\n"
            "0.1,1.0,200,200,200,0,0,3,48000,190000,0.5,7000\n");
}

// By HdrHistogram's rule of five steps to each halving of what is left to 100 %.
TEST(Hgrm, ReportsFiveLinesPerHalving) {
  Histogram histogram;
  for (uint64_t ms = 1; ms <= 4; ++ms) histogram.Record(ms * 1'000'000);
  EXPECT_EQ(HgrmText(histogram),
            "       Value     Percentile TotalCount 1/(1-Percentile)\n\n"
            "    1.000447 0.000000000000          1           1.00\n"
            "    1.000447 0.100000000000          1           1.11\n"
            "    1.000447 0.200000000000          1           1.25\n"
            "    2.000895 0.300000000000          2           1.43\n"
            "    2.000895 0.400000000000          2           1.67\n"
            "    2.000895 0.500000000000          2           2.00\n"
            "    3.000319 0.550000000000          3           2.22\n"
            "    3.000319 0.600000000000          3           2.50\n"
            "    3.000319 0.650000000000          3           2.86\n"
            "    3.000319 0.700000000000          3           3.33\n"
            "    3.000319 0.750000000000          3           4.00\n"
            "    4.000000 0.775000000000          4           4.44\n"
            "    4.000000 1.000000000000          4\n"
            "#[Mean    =     2.500000, StdDeviation   =     1.117820]\n"
            "#[Max     =     4.000000, Total count    =            4]\n");
}

// Counts beyond what a double can tell apart from all of them.
TEST(Hgrm, EndsWhateverTheCounts) {
  Histogram histogram;
  ASSERT_TRUE(histogram.RestoreCounter(1'000, uint64_t{1} << 62));
  ASSERT_TRUE(histogram.RestoreCounter(2'000, 1));
  ASSERT_TRUE(histogram.RestoreTotals(0, 1'000, 2'000));
  const std::string text = HgrmText(histogram);
  EXPECT_LT(text.size(), 100'000u);
  EXPECT_THAT(text, HasSubstr("0.002000 1.000000000000 4611686018427387905\n"));
}

TEST(Hgrm, EmptyHistogramHasNoLines) {
  EXPECT_THAT(HgrmText(Histogram()), HasSubstr("1/(1-Percentile)\n\n#[Mean"));
}

TEST(RunFolder, HasEveryFileAndIsReadBack) {
  const Folder folder;
  ASSERT_TRUE(WriteRunFolder(SampleResult(), "log\n", folder / "a/b").ok());
  for (const char* name :
       {"result.json", "series.csv", "log.txt", "connect.intended.hgrm", "close.actual.hgrm"}) {
    EXPECT_TRUE(fs::exists(folder / (std::string("a/b/") + name))) << name;
  }
  const auto result = ReadResult(folder / "a/b");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->run.id, SampleResult().run.id);
}

TEST(RunFolder, StateOfAForgedResultCannotLeaveIt) {
  const Folder folder;
  Result r = SampleResult();
  r.latency[0].first = "../../evil";
  ASSERT_TRUE(WriteRunFolder(r, "", folder / "run").ok());
  EXPECT_TRUE(fs::exists(folder / "run/..-..-evil.actual.hgrm"));
}

TEST(RunFolder, IdIsADateAndWhatIsSafeOfTheName) {
  EXPECT_EQ(RunId(1'795'255'925'000'000'000, ""), "2026-11-21T10-12-05");
  EXPECT_EQ(RunId(1'795'255'925'999'999'999, "a b/../c"), "2026-11-21T10-12-05_a-b-..-c");
}

TEST(ResultFiles, FolderOfRunFoldersIsReadInOrder) {
  const Folder folder;
  for (const char* name : {"c", "a", "b"}) {
    Result r = SampleResult();
    r.run.id = name;
    fs::create_directories(folder / name);
    ASSERT_TRUE(WriteResult(r, folder / (std::string(name) + "/result.json")).ok());
  }
  fs::create_directories(folder / "no-run");
  const std::vector<std::string> paths = {folder / ""};
  const auto results = ReadResults(paths);
  ASSERT_TRUE(results.ok()) << results.status();
  std::vector<std::string> ids;
  for (const Result& r : *results) ids.push_back(r.run.id);
  EXPECT_THAT(ids, ElementsAre("a", "b", "c"));
}

TEST(ResultFiles, WhatCannotBeReadIsNamed) {
  const Folder folder;
  EXPECT_THAT(MessageOf(ReadResult("/nowhere/at.json").status()),
              HasSubstr("cannot read /nowhere/at.json: No such file"));
  const std::vector<std::string> empty = {folder / ""};
  EXPECT_THAT(MessageOf(ReadResults(empty).status()), HasSubstr("has a result.json"));
  std::ofstream(folder / "result.json") << "{";
  EXPECT_THAT(MessageOf(ReadResult(folder / "").status()), HasSubstr("result.json: is no JSON"));
}

TEST(ResultFiles, PipeIsWrittenIntoAndStaysOne) {
  const Folder folder;
  const std::string path = folder / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  // Nobody waits for the other end: this one is both.
  const int end = open(path.c_str(), O_RDWR | O_NONBLOCK);
  ASSERT_GE(end, 0);
  ASSERT_TRUE(WriteFile(path, "octets").ok());
  std::array<char, 16> read_back{};
  EXPECT_EQ(read(end, read_back.data(), read_back.size()), 6);
  EXPECT_STREQ(read_back.data(), "octets");
  close(end);
  EXPECT_TRUE(fs::is_fifo(path));
}

TEST(ResultFiles, SymbolicLinkIsFollowed) {
  const Folder folder;
  std::ofstream(folder / "file") << "something longer";
  fs::create_symlink(folder / "file", folder / "link");
  ASSERT_TRUE(WriteFile(folder / "link", "octets").ok());
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  std::string text;
  std::ifstream(folder / "file") >> text;
  EXPECT_EQ(text, "octets");
}

TEST(ResultFiles, WhatCannotBeWrittenIsKnownBefore) {
  const Folder folder;
  fs::create_symlink(folder / "target", folder / "link");
  for (const std::string& good : {std::string("-"), std::string("/dev/full"), folder / "new",
                                  folder / "link", std::string("new-in-this-folder")}) {
    EXPECT_TRUE(CheckWritable(good).ok()) << good;
  }
  EXPECT_EQ(CheckWritable(folder / "none/new").message(),
            "cannot write " + (folder / "none/new") + ": No such file or directory");
  EXPECT_EQ(CheckWritable("/dev/null/new").message(),
            "cannot write /dev/null/new: Not a directory");
  EXPECT_EQ(CheckWritable(folder / "").message(),
            "cannot write " + (folder / "") + ": Is a directory");
  EXPECT_FALSE(fs::exists(folder / "new") || fs::exists(folder / "target"));
}

TEST(ResultFiles, IsWrittenWholeOrNotAtAll) {
  const Folder folder;
  EXPECT_THAT(MessageOf(WriteResult(SampleResult(), folder / "none/result.json")),
              StartsWith("cannot write " + (folder / "none/result.json")));
  // The device that is always full.
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  fs::create_symlink("/dev/full", folder / "result.json.part");
  EXPECT_THAT(MessageOf(WriteResult(SampleResult(), folder / "result.json")),
              HasSubstr("No space left on device"));
  EXPECT_FALSE(fs::exists(folder / "result.json"));
  EXPECT_FALSE(fs::exists(folder / "result.json.part"));
}

}  // namespace
}  // namespace millrace::apps
