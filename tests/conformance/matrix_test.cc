// Every state against every kind of segment: the table tests/conformance/matrix.tsv, row by row.
//
// A row says what the engine did, and the model agreed; the last column what the main text of
// RFC 9293 3.10.7 asks for where a decision departs ("=" where not). MILLRACE_WRITE_MATRIX=1
// writes the table anew: read the difference against the RFC before it goes in.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "conformance/matrix_cases.h"

namespace millrace::conformance {
namespace {

constexpr char kHeader[] =
    "# state\tRCV.WND\tCTL\tSEQ\tACK\tSEG.WND\ttext\tanswer\tnext state\ttaken and told\t"
    "RFC 9293 without decisions\n"
    "# Ten octets, or a FIN, are in flight where the state allows it. Where RCV.WND is zero the "
    "user "
    "does not read.\n"
    "# Made and checked by tests/conformance/matrix_test.cc.\n";

std::vector<std::string> TableRows() {
  std::ifstream file(MILLRACE_MATRIX);
  std::vector<std::string> rows;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') rows.push_back(line);
  }
  return rows;
}

TEST(Matrix, EveryStateTreatsEveryKindOfSegmentAsTheTableSays) {
  const std::vector<Case> cases = AllCases();
  const bool write = std::getenv("MILLRACE_WRITE_MATRIX") != nullptr;
  const std::vector<std::string> table = TableRows();
  if (!write) {
    ASSERT_EQ(table.size(), cases.size());
  }
  ASSERT_GE(cases.size(), 450u);
  std::string written = kHeader;
  for (size_t i = 0; i < cases.size(); ++i) {
    std::string difference;
    const std::string row = Row(cases[i], &difference);
    EXPECT_EQ(difference, "") << row;
    if (!write) {
      EXPECT_EQ(row, table[i]);
    }
    written += row + "\n";
  }
  if (write) std::ofstream(MILLRACE_MATRIX) << written;
}

}  // namespace
}  // namespace millrace::conformance
