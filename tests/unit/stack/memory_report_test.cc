// What a connection costs, by the engine's own accounts: a golden table, so that no change makes
// one dearer unnoticed.

#include "millrace/stack/memory_report.h"

#include <gtest/gtest.h>

#include <memory>

namespace millrace::stack {
namespace {

std::unique_ptr<Engine> MakeEngine(const Limits& limits) {
  EngineConfig config;
  config.address = *IpPrefix::Parse("10.0.0.1/24");
  config.limits = limits;
  config.pages = Region::Pages::kPlain;
  return std::make_unique<Engine>(config, PortCapabilities{}, EngineSecrets::FromOperatingSystem(),
                                  Instant::FromNanoseconds(1));
}

// Record, timer links and share of the table.
TEST(MemoryReport, BytesPerFlowOverIpv4) {
  const auto engine = MakeEngine({});
  ASSERT_TRUE(engine->ok());
  const MemoryReport report = ReportMemory(*engine);
  EXPECT_NEAR(report.connection_bytes, 240 + 12.0, 0.01);
  EXPECT_NEAR(report.half_open_bytes, 52 + 12.0, 0.01);
  EXPECT_NEAR(report.time_wait_bytes, 48 + 12.0, 0.01);
}

// Address space only: nothing is touched, so this needs no memory.
TEST(MemoryReport, TenMillionConnectionsAndSixtyMillionTimeWaits) {
  const Limits small = {.connections = 1,
                        .half_open = 1,
                        .time_wait = 1,
                        .send_extents = 1,
                        .send_chunks = 1,
                        .receive_nodes = 1,
                        .receive_chunks = 1,
                        .extras = 1,
                        .recoveries = 1,
                        .sent_runs = 1,
                        .address_pairs = 0};
  Limits connections = small;
  connections.connections = 10'000'000;
  auto engine = MakeEngine(connections);
  ASSERT_TRUE(engine->ok());
  EXPECT_LT(ReportMemory(*engine).reserved_bytes(), 2'522'000'000);
  Limits time_waits = small;
  time_waits.time_wait = 60'000'000;
  engine = MakeEngine(time_waits);
  ASSERT_TRUE(engine->ok());
  EXPECT_LT(ReportMemory(*engine).reserved_bytes(), 3'602'000'000);
}

TEST(MemoryReport, NamesThePools) {
  const auto engine = MakeEngine({.connections = 100, .send_chunks = 7});
  const MemoryReport report = ReportMemory(*engine);
  EXPECT_EQ(report.Find("connections").capacity, 100u);
  EXPECT_EQ(report.Find("connections").used, 0u);
  EXPECT_EQ(report.Find("send_chunks").reserved_bytes(), 7u * 2048);
  EXPECT_EQ(report.Find("flow_table").reserved_bytes(), engine->table().bytes());
}

}  // namespace
}  // namespace millrace::stack
