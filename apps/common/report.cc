#include "apps/common/report.h"

#include <sched.h>
#include <sys/utsname.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <string_view>

#include "apps/common/units.h"
#include "millrace/dpdk/worker.h"

namespace millrace::apps {
namespace {

struct Quantile {
  const char* name;
  double value;
};
constexpr std::array<Quantile, 4> kQuantiles{
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}}};

std::string Padded(std::string text, size_t width) {
  if (text.size() < width) text.insert(0, width - text.size(), ' ');
  return text;
}

std::string TimeOf(uint64_t ns) {
  return FormatDuration(Duration::Nanoseconds(static_cast<int64_t>(ns)));
}

// "model name" of /proc/cpuinfo; which CPUs are ours is not read from there.
std::string CpuName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

std::string LatencyTable(std::span<const LatencyRow> rows) {
  constexpr size_t kNameWidth = 12, kWidth = 9;
  std::string table = "  latency     ";
  for (const Quantile& q : kQuantiles) table += Padded(q.name, kWidth);
  table += Padded("max", kWidth) + "\n";
  for (const LatencyRow& row : rows) {
    std::string name = row.name;
    name.resize(kNameWidth, ' ');
    table += "  " + name;
    for (const Quantile& q : kQuantiles) {
      table += Padded(TimeOf(row.histogram->ValueAtQuantile(q.value)), kWidth);
    }
    table += Padded(TimeOf(row.histogram->max()), kWidth) + "\n";
  }
  return table;
}

nlohmann::ordered_json LatencyJson(std::span<const LatencyRow> rows) {
  nlohmann::ordered_json json;
  for (const LatencyRow& row : rows) {
    nlohmann::ordered_json& entry = json[row.name];
    entry["count"] = row.histogram->count();
    entry["mean_ns"] = row.histogram->mean();
    for (const Quantile& q : kQuantiles) {
      entry[std::string(q.name) + "_ns"] = row.histogram->ValueAtQuantile(q.value);
    }
    entry["max_ns"] = row.histogram->max();
  }
  return json;
}

std::string CountersText(const stack::Engine& engine, const PortLayers* layers) {
  return NumbersText(CountersJson(engine, layers));
}

std::string NumbersText(const nlohmann::ordered_json& numbers) {
  std::string text;
  for (const auto& [name, number] : numbers.items()) {
    const auto value = number.get<uint64_t>();
    if (value == 0) continue;
    std::array<char, 96> line;
    std::snprintf(line.data(), line.size(), "  %-32s %16s\n", name.c_str(),
                  GroupDigits(value).c_str());
    text += line.data();
  }
  return text;
}

void AddUp(nlohmann::ordered_json& sum, const nlohmann::ordered_json& part) {
  for (const auto& [name, number] : part.items()) {
    const auto value = number.get<uint64_t>();
    sum[name] = sum.contains(name) ? sum[name].get<uint64_t>() + value : value;
  }
}

nlohmann::ordered_json CountersJson(const stack::Engine& engine, const PortLayers* layers) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  const auto add = [&json](std::string_view name, uint64_t value) {
    json[std::string(name)] = value;
  };
  engine.counters().ForEach(add);
  engine.tcp_counters().ForEach(add);
  if (layers != nullptr) layers->ForEachCounter(add);
  return json;
}

std::string FailuresText(const LoadResult& result) {
  std::string text;
  for (size_t i = 0; i < result.failed.size(); ++i) {
    if (result.failed[i] == 0) continue;
    const auto reason = static_cast<tcp::CloseReason>(i);
    if (!text.empty()) text += ", ";
    text += GroupDigits(result.failed[i]) + " ";
    text += reason == tcp::CloseReason::kNormal ? "short response" : tcp::ToString(reason);
  }
  return text;
}

nlohmann::ordered_json FailuresJson(const LoadResult& result) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (size_t i = 0; i < result.failed.size(); ++i) {
    const auto reason = static_cast<tcp::CloseReason>(i);
    json[reason == tcp::CloseReason::kNormal ? "short response" : tcp::ToString(reason)] =
        result.failed[i];
  }
  return json;
}

nlohmann::ordered_json MachineJson() {
  nlohmann::ordered_json json;
  json["cpu"] = CpuName();
  json["cpus_allowed"] = dpdk::AllowedCpus().size();
  utsname name{};
  if (uname(&name) == 0) json["kernel"] = std::string(name.sysname) + " " + name.release;
#if defined(__clang__)
  json["compiler"] = "clang " __clang_version__;
#else
  json["compiler"] = "gcc " __VERSION__;
#endif
  return json;
}

}  // namespace millrace::apps
