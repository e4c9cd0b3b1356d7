#include "apps/result/stream.h"

#include "apps/result/field_writer.h"

namespace millrace::apps {
namespace {

template <class T>
std::string LineOf(const T& line) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  FieldWriter writer(json);
  Fields(writer, line);
  // What the user named may be any octets.
  return json.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

StreamLatency StreamLatencyOf(const Histogram& histogram) {
  return {.count = histogram.count(),
          .p50_ns = histogram.ValueAtQuantile(0.5),
          .p90_ns = histogram.ValueAtQuantile(0.9),
          .p99_ns = histogram.ValueAtQuantile(0.99),
          .p999_ns = histogram.ValueAtQuantile(0.999),
          .max_ns = histogram.max()};
}

std::string StreamLine(const StreamBegin& line) { return LineOf(line); }
std::string StreamLine(const StreamInterval& line) { return LineOf(line); }
std::string StreamLine(const StreamTrial& line) { return LineOf(line); }
std::string StreamLine(const StreamEnd& line) { return LineOf(line); }

}  // namespace millrace::apps
