#include "bench/rate/report.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "apps/common/report.h"
#include "apps/common/units.h"

namespace millrace::bench {
namespace {

// Bulk is counted where it arrives, all else where it was asked for.
const EndReport& Counted(const Flags& flags, const RunResult& run) {
  return flags.bulk ? run.server : run.client;
}

double Per(double amount, uint64_t units) {
  return units == 0 ? 0 : amount / static_cast<double>(units);
}
double Per(uint64_t amount, uint64_t units) { return Per(static_cast<double>(amount), units); }

double Rate(const EndReport& counted) {
  return counted.seconds == 0 ? 0 : static_cast<double>(counted.units) / counted.seconds;
}

const char* UnitOf(const Flags& flags) {
  return flags.bulk ? "octet" : flags.transactions ? "transaction" : "connection";
}

template <class... Args>
void Add(std::string& text, const char* format, Args... args) {
  std::array<char, 256> line;
  std::snprintf(line.data(), line.size(), format, args...);
  text += line.data();
}

// Of bulk, per thousand octets.
void AddCycles(std::string& text, const char* name, const Flags& flags, const EndReport& end,
               uint64_t units, const EndReport* metered, uint64_t metered_units) {
  const double scale = flags.bulk ? 1000 : 1;
  Add(text, "  %10.1f busy cycles per %s, %s", scale * Per(end.busy_cycles, units),
      flags.bulk ? "1000 octets" : UnitOf(flags), name);
  if (metered != nullptr) {
    Add(text, "; in a metered run %.1f, %.1f of them the driver's",
        scale * Per(metered->busy_cycles, metered_units),
        scale * Per(metered->driver_cycles, metered_units));
  }
  text += "\n";
}

nlohmann::ordered_json CyclesJson(const EndReport& end, uint64_t units, const EndReport* metered,
                                  uint64_t metered_units) {
  nlohmann::ordered_json json;
  json["busy_cycles"] = Per(end.busy_cycles, units);
  if (metered != nullptr) {
    json["metered_busy_cycles"] = Per(metered->busy_cycles, metered_units);
    json["metered_driver_cycles"] = Per(metered->driver_cycles, metered_units);
  }
  return json;
}

}  // namespace

std::string Text(const Flags& flags, const Measured& m) {
  const EndReport& counted = Counted(flags, m.run);
  const std::string unit = UnitOf(flags);
  const uint64_t units = counted.all_units;
  std::string text;
  Add(text, "%s, %s, %s: %s %ss in %.3f s\n", flags.null ? "null exchange" : "engine",
      flags.ModeText().c_str(), flags.tcp.OptionsText().c_str(),
      apps::GroupDigits(counted.units).c_str(), unit.c_str(), counted.seconds);
  if (flags.bulk) {
    Add(text, "  %10.3f Gbit/s of data\n", 8e-9 * Rate(counted));
  } else {
    Add(text, "  %10.0f %ss/s\n  %10.1f ns per %s", Rate(counted), unit.c_str(),
        1e9 / Rate(counted), unit.c_str());
    if (m.run.cpu_seconds > 0) Add(text, ", %.1f of CPU time", Per(1e9 * m.run.cpu_seconds, units));
    text += "\n";
  }
  if (flags.transactions) {
    Add(text, "  %10.1f us round trip p50, %.1f us p99\n",
        1e-3 * static_cast<double>(counted.p50_ns), 1e-3 * static_cast<double>(counted.p99_ns));
  }
  const RunResult* metered = m.metered.has_value() ? &*m.metered : nullptr;
  const uint64_t metered_units = metered == nullptr ? 0 : Counted(flags, *metered).all_units;
  AddCycles(text, "client", flags, m.run.client, units,
            metered == nullptr ? nullptr : &metered->client, metered_units);
  AddCycles(text, "server", flags, m.run.server, units,
            metered == nullptr ? nullptr : &metered->server, metered_units);
  if (!flags.bulk) {
    Add(text, "  %10.3f packets per %s, sent and received\n", Per(m.run.client.packets, units),
        unit.c_str());
  }
  Add(text, "  %10llu failed, %llu retransmits, %llu TIME-WAIT entries evicted\n",
      static_cast<unsigned long long>(m.run.client.failed),
      static_cast<unsigned long long>(m.run.retransmits()),
      static_cast<unsigned long long>(m.run.client.evicted + m.run.server.evicted));
  return text;
}

nlohmann::ordered_json Json(const Flags& flags, const Measured& m) {
  const EndReport& counted = Counted(flags, m.run);
  const std::string unit = UnitOf(flags);
  nlohmann::ordered_json json;
  json["schema"] = 2;
  json["mode"] = flags.ModeText();
  json["engine"] = flags.null ? "null" : "millrace";
  json["machine"] = apps::MachineJson();
  json["cycles_per_s"] = m.cycles_per_s;
  json["huge_pages"] = m.huge_pages;
  json["concurrency"] = flags.ToPlan(false).exchange.plan.concurrency;
  json["options"] = flags.tcp.OptionsText();
  json["request_bytes"] = flags.request_bytes;
  json["response_bytes"] = flags.response_bytes;
  json["unit"] = unit;
  json["units"] = counted.units;
  json["seconds"] = counted.seconds;
  json["per_s"] = Rate(counted);
  if (flags.bulk) json["gbit_per_s"] = 8e-9 * Rate(counted);
  json["unit_ns"] = counted.units == 0 ? 0 : 1e9 / Rate(counted);
  if (m.run.cpu_seconds > 0) json["unit_cpu_ns"] = Per(1e9 * m.run.cpu_seconds, counted.all_units);
  if (flags.transactions) {
    json["round_trip_p50_ns"] = counted.p50_ns;
    json["round_trip_p99_ns"] = counted.p99_ns;
  }
  const RunResult* metered = m.metered.has_value() ? &*m.metered : nullptr;
  const uint64_t metered_units = metered == nullptr ? 0 : Counted(flags, *metered).all_units;
  json["client"] = CyclesJson(m.run.client, counted.all_units,
                              metered == nullptr ? nullptr : &metered->client, metered_units);
  json["server"] = CyclesJson(m.run.server, counted.all_units,
                              metered == nullptr ? nullptr : &metered->server, metered_units);
  json["packets_per_unit"] = Per(m.run.client.packets, counted.all_units);
  json["failed"] = m.run.client.failed;
  json["retransmits"] = m.run.retransmits();
  json["time_wait_evicted"] = m.run.client.evicted + m.run.server.evicted;
  return json;
}

std::string Objection(const Flags& flags, const RunResult& run) {
  const EndReport& counted = Counted(flags, run);
  if (counted.units == 0) return "nothing came to its end";
  if (run.client.failed > 0) return "connections failed";
  constexpr uint32_t kOneSegmentBytes = 500;
  const bool plain = !flags.bulk && !flags.transactions && run.retransmits() == 0 &&
                     flags.request_bytes + flags.response_bytes <= kOneSegmentBytes;
  const double packets = Per(run.client.packets, counted.all_units);
  if (plain && std::abs(packets - 6) > 0.06) {
    return "the exchange took " + std::to_string(packets) + " packets instead of 6";
  }
  return "";
}

nlohmann::json EndToJson(const EndReport& r) {
  return {{"units", r.units},
          {"all_units", r.all_units},
          {"seconds", r.seconds},
          {"failed", r.failed},
          {"packets", r.packets},
          {"retransmits", r.retransmits},
          {"evicted", r.evicted},
          {"busy_cycles", r.busy_cycles},
          {"driver_cycles", r.driver_cycles},
          {"p50_ns", r.p50_ns},
          {"p99_ns", r.p99_ns}};
}

EndReport EndFromJson(const nlohmann::json& json) {
  return {.units = json.at("units"),
          .all_units = json.at("all_units"),
          .seconds = json.at("seconds"),
          .failed = json.at("failed"),
          .packets = json.at("packets"),
          .retransmits = json.at("retransmits"),
          .evicted = json.at("evicted"),
          .busy_cycles = json.at("busy_cycles"),
          .driver_cycles = json.at("driver_cycles"),
          .p50_ns = json.at("p50_ns"),
          .p99_ns = json.at("p99_ns")};
}

}  // namespace millrace::bench
