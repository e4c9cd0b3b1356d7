// bench/micro/source_port_bench.cc - choosing the source of an outgoing connection.
#include <cstdint>

#include "benchmark/benchmark.h"
#include "millrace/stack/source_port.h"

namespace millrace::stack {
namespace {

void Next(benchmark::State& state) {
  SourcePorts ports({.addresses = {IpAddress::V4(0x0A00'0000), static_cast<int>(state.range(0))},
                     .secret = {0x0706'0504'0302'0100, 0x0F0E'0D0C'0B0A'0908}});
  const uint64_t destinations = static_cast<uint64_t>(state.range(1));
  uint64_t n = 0;
  for (auto _ : state) {
    const Endpoint server{
        IpAddress::V4(0x0A01'0000 + static_cast<uint32_t>(n++ & (destinations - 1))), 80};
    benchmark::DoNotOptimize(ports.Next(server));
  }
}
BENCHMARK(Next)
    ->Name("next")
    ->ArgNames({"prefix", "destinations"})
    ->Args({32, 1})
    ->Args({32, 1024})
    ->Args({24, 1})
    ->Args({16, 1024});

// One of several workers: ports whose answers come home.
void NextOfWorker(benchmark::State& state) {
  const auto workers = static_cast<uint32_t>(state.range(0));
  const Steering steering(Steering::DrawPattern(7, 512), 512, workers);
  SourcePorts ports({.addresses = {IpAddress::V4(0x0A00'0000), 28},
                     .secret = {0x0706'0504'0302'0100, 0x0F0E'0D0C'0B0A'0908},
                     .steering = &steering,
                     .worker = 1});
  const Endpoint server{IpAddress::V4(0x0A01'0000), 80};
  for (auto _ : state) {
    benchmark::DoNotOptimize(ports.Choose(
        server, [](SourcePorts::Candidate c) { return uint64_t{c.port}; },
        [](SourcePorts::Candidate, uint64_t) { return true; }));
  }
}
BENCHMARK(NextOfWorker)->Name("choose_of_worker")->ArgName("workers")->Arg(2)->Arg(8)->Arg(32);

void Choose(benchmark::State& state) {
  SourcePorts ports({.addresses = {IpAddress::V4(0x0A00'0000), 28},
                     .secret = {0x0706'0504'0302'0100, 0x0F0E'0D0C'0B0A'0908}});
  const Endpoint server{IpAddress::V4(0x0A01'0000), 80};
  for (auto _ : state) {
    benchmark::DoNotOptimize(ports.Choose(
        server, [](SourcePorts::Candidate c) { return uint64_t{c.port}; },
        [](SourcePorts::Candidate, uint64_t) { return true; }));
  }
}
BENCHMARK(Choose)->Name("choose");

}  // namespace
}  // namespace millrace::stack

BENCHMARK_MAIN();
