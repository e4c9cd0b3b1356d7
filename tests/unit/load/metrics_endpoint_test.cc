#include "apps/load/metrics_endpoint.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

namespace millrace::apps {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// What the endpoint on this machine answers to a GET of `path`, all of it.
std::string Get(uint16_t port, const std::string& path) {
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  void* const place = &address;
  std::string all;
  if (connect(client, static_cast<sockaddr*>(place), sizeof address) == 0) {
    const std::string request = "GET " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(send(client, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::array<char, 4096> octets;
    for (ssize_t n; (n = recv(client, octets.data(), octets.size(), 0)) > 0;) {
      all.append(octets.data(), static_cast<size_t>(n));
    }
  }
  close(client);
  return all;
}

std::unique_ptr<MetricsEndpoint> Started() {
  auto endpoint = MetricsEndpoint::Start("127.0.0.1:0");
  EXPECT_TRUE(endpoint.ok()) << endpoint.status();
  return *std::move(endpoint);
}

Latencies Connects(uint64_t ns, uint64_t count) {
  Latencies latencies;
  for (uint64_t i = 0; i < count; ++i) latencies[LatencyState::kConnect].Record(ns);
  return latencies;
}

TEST(MetricsEndpoint, CountersAddUpAndGaugesAreTheLastIntervals) {
  const auto endpoint = Started();
  endpoint->OnInterval({.due = 10, .opened = 10, .ok = 9, .failed = 1, .open = 4},
                       Connects(1'000'000, 10), LoadStage::kLeading);
  EXPECT_THAT(Get(endpoint->port(), "/metrics"), HasSubstr("\nmillrace_load_measuring 0\n"));
  endpoint->OnInterval({.due = 5,
                        .opened = 5,
                        .ok = 5,
                        .retransmits = 2,
                        .open = 3,
                        .busiest_core_share = 0.25,
                        .worst_lag_ns = 2'000},
                       Connects(500, 5), LoadStage::kMeasuring);
  const std::string page = Get(endpoint->port(), "/metrics");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
  for (const char* line :
       {"# TYPE millrace_load_due_total counter\n", "\nmillrace_load_due_total 15\n",
        "\nmillrace_load_ok_total 14\n", "\nmillrace_load_failed_total 1\n",
        "\nmillrace_load_retransmits_total 2\n", "# TYPE millrace_load_open gauge\n",
        "\nmillrace_load_open 3\n", "\nmillrace_load_measuring 1\n",
        "\nmillrace_load_busiest_core_ratio 0.25\n", "\nmillrace_load_latency_seconds_count",
        "millrace_load_latency_seconds_count{state=\"connect\"} 15\n"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
  // Five at 500 ns are the last interval; the sum has the ten before it too.
  EXPECT_THAT(page, HasSubstr("millrace_load_latency_seconds{state=\"connect\",quantile=\"0.99\"} "
                              "5.0"));
  EXPECT_THAT(page, HasSubstr("millrace_load_latency_seconds_sum{state=\"connect\"} 0.0100025"));
}

TEST(MetricsEndpoint, OtherPagesAreNotThere) {
  const auto endpoint = Started();
  EXPECT_THAT(Get(endpoint->port(), "/other"), StartsWith("HTTP/1.1 404 "));
}

// Readers on threads of their own while intervals come: for ThreadSanitizer.
TEST(MetricsEndpoint, IsReadWhileItIsWritten) {
  const auto endpoint = Started();
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      for (int n = 0; n < 10; ++n) {
        EXPECT_THAT(Get(endpoint->port(), "/metrics"), HasSubstr("millrace_load_ok_total"));
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    endpoint->OnInterval({.ok = 1}, Connects(1'000, 1), LoadStage::kMeasuring);
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_THAT(Get(endpoint->port(), "/metrics"), HasSubstr("\nmillrace_load_ok_total 200\n"));
}

TEST(MetricsEndpoint, IsForThisMachineAloneUnlessAnAddressIsGiven) {
  for (const char* const where : {":0", "0", "127.0.0.1:0"}) {
    const auto endpoint = MetricsEndpoint::Start(where);
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    const std::string url = "http://127.0.0.1:" + std::to_string((*endpoint)->port()) + "/metrics";
    EXPECT_EQ((*endpoint)->url(), url);
    // Where every address would be listened at, one more of the loopback would be free no more.
    const auto beside = MetricsEndpoint::Start("127.0.0.2:" + std::to_string((*endpoint)->port()));
    EXPECT_TRUE(beside.ok()) << beside.status();
  }
}

TEST(MetricsEndpoint, WhereItCannotListenIsSaid) {
  for (const char* bad : {"", "x", ":", ":99999", "nowhere:1", "1.2.3:4", ":1x", ":80s", "[::1:1",
                          "::1:80", "1.2.3.4:-1"}) {
    EXPECT_EQ(MetricsEndpoint::Start(bad).status().code(), absl::StatusCode::kInvalidArgument)
        << bad;
  }
  const auto first = Started();
  EXPECT_EQ(MetricsEndpoint::Start("127.0.0.1:" + std::to_string(first->port())).status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace millrace::apps
