// Goodput of each congestion control by loss, delay and reordering, as a table that is checked in.
// Each value is the mean of several seeds, so that a change of timing alone does not move it.
//
//   MILLRACE_WRITE_GOLDEN=1 sim-goodput    writes tests/golden/goodput.tsv

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "testing/transfer.h"

namespace millrace::testing {
namespace {

constexpr int kSeeds = 5;

struct Control {
  const char* name;
  tcp::CongestionKind kind;
  uint32_t mark_packets;  // of the link; with it ECN is on
};

struct Row {
  Control control;
  int delay_ms;
  double loss, reorder;

  std::string name() const {
    std::ostringstream text;
    text << control.name << '\t' << delay_ms << '\t' << loss * 100 << '\t' << reorder * 100;
    return text.str();
  }
};

// Mbit/s, of one transfer; 0: it did not end.
double GoodputOf(const Row& row, uint64_t seed) {
  Transfer::Options options;
  options.octets = 4'000'000;
  options.there.delay = options.back.delay = Duration::Milliseconds(row.delay_ms);
  options.there.loss = row.loss;
  options.there.reorder = row.reorder;
  options.there.reorder_delay = Duration::Microseconds(row.delay_ms * 250);
  options.there.rate_bps = 100'000'000;
  options.there.mark_packets = row.control.mark_packets;
  options.there.seed = seed;
  options.tcp.congestion = row.control.kind;
  if (row.control.mark_packets > 0) options.tcp.ecn = tcp::Ecn::kActive;
  Transfer t(options);
  t.Open();
  const double seconds = t.Run();
  return seconds == 0 ? 0 : static_cast<double>(options.octets) * 8e-6 / seconds;
}

double Goodput(const Row& row) {
  double sum = 0;
  for (int seed = 1; seed <= kSeeds; ++seed) sum += GoodputOf(row, static_cast<uint64_t>(seed));
  return sum / kSeeds;
}

std::vector<Row> Rows() {
  constexpr Control kControls[] = {
      {"cubic", tcp::CongestionKind::kCubic, 0}, {"newreno", tcp::CongestionKind::kNewReno, 0},
      {"dctcp", tcp::CongestionKind::kDctcp, 0}, {"dctcp, marked", tcp::CongestionKind::kDctcp, 20},
      {"bbr", tcp::CongestionKind::kBbr, 0},     {"none", tcp::CongestionKind::kNone, 0}};
  std::vector<Row> rows;
  for (const Control& control : kControls) {
    for (const int delay_ms : {1, 20, 100}) {
      for (const double loss : {0.0, 0.001, 0.01, 0.05}) {
        for (const double reorder : {0.0, 0.02}) {
          rows.push_back({control, delay_ms, loss, reorder});
        }
      }
    }
  }
  return rows;
}

TEST(Goodput, IsThatOfTheTable) {
  const std::string path = MILLRACE_GOLDEN_DIR "/goodput.tsv";
  if (std::getenv("MILLRACE_WRITE_GOLDEN") != nullptr) {
    std::ofstream out(path);
    out << "# goodput of 4 MB over 100 Mbit/s, mean of " << kSeeds
        << " seeds, from tests/sim/goodput_test.cc\n"
           "# control\tdelay one way, ms\tloss, %\treordered, %\tMbit/s\n";
    for (const Row& row : Rows()) {
      out << row.name() << '\t' << std::fixed << std::setprecision(2) << Goodput(row) << '\n';
    }
  }
  std::map<std::string, double> table;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const size_t tab = line.rfind('\t');
    if (line[0] != '#') table[line.substr(0, tab)] = std::stod(line.substr(tab + 1));
  }
  EXPECT_EQ(table.size(), Rows().size());
  for (const Row& row : Rows()) {
    ASSERT_TRUE(table.contains(row.name())) << row.name();
    const double expected = table[row.name()];
    EXPECT_NEAR(Goodput(row), expected, expected / 4) << row.name();
    // Frames that come late cannot help who goes by losses.
    const bool by_loss = row.control.kind != tcp::CongestionKind::kBbr &&
                         row.control.kind != tcp::CongestionKind::kNone;
    if (!by_loss || row.loss < 0.01 || row.delay_ms > 20 || row.reorder == 0) continue;
    Row in_order = row;
    in_order.reorder = 0;
    EXPECT_LE(expected, 1.1 * table[in_order.name()]) << row.name();
  }
}

}  // namespace
}  // namespace millrace::testing
