#include "apps/result/result_json.h"

#include <algorithm>

#include "apps/result/field_reader.h"
#include "apps/result/field_writer.h"

namespace millrace::apps {
namespace {

using Json = nlohmann::ordered_json;

// What no schema can say.
std::string Contradiction(const Result& result) {
  uint64_t failures = 0;
  for (const auto& [reason, count] : result.failures) failures += count;
  if (failures != result.counts.failed) {
    return "failures: their sum is " + std::to_string(failures) + ", but counts.failed is " +
           std::to_string(result.counts.failed);
  }
  if (result.window.end_unix_ns < result.window.start_unix_ns) {
    return "window: ends before it starts";
  }
  if (result.rank.index >= result.rank.count) return "rank: index is not below count";
  return "";
}

bool IsPlain(const Json& json) {
  return std::all_of(json.begin(), json.end(), [](const Json& v) { return v.is_primitive(); });
}

// Octets that are no UTF-8 (of a host name, of a label) are replaced, not thrown about.
std::string Dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Indented, but lists of numbers and of pairs (buckets) on one line each.
void Print(const Json& json, size_t indent, std::string& text) {
  const bool pairs = json.is_array() && !json.empty() && json.front().is_array();
  if (json.is_primitive() || json.empty() || pairs || (json.is_array() && IsPlain(json))) {
    text += Dumped(json);
    return;
  }
  const std::string margin(indent + 1, ' ');
  text += json.is_object() ? "{" : "[";
  bool first = true;
  for (const auto& [name, value] : json.items()) {
    text += first ? "\n" : ",\n";
    first = false;
    text += margin;
    if (json.is_object()) text += Dumped(name) + ": ";
    Print(value, indent + 1, text);
  }
  text += "\n" + std::string(indent, ' ') + (json.is_object() ? "}" : "]");
}

}  // namespace

Json ToJson(const Result& result) {
  Json json;
  FieldWriter writer(json);
  Fields(writer, result);
  return json;
}

absl::StatusOr<Result> ResultFromJson(const Json& json) {
  if (!json.is_object()) return absl::InvalidArgumentError("is no result");
  const auto schema = json.find("schema");
  if (schema == json.end()) return absl::InvalidArgumentError("schema: is missing");
  if (*schema != kResultSchema) {
    return absl::InvalidArgumentError("schema: " + schema->dump() + " is not known here, only " +
                                      std::to_string(kResultSchema));
  }
  Result result;
  std::string error;
  FieldReader reader(json, "", error);
  Fields(reader, result);
  if (error.empty()) error = Contradiction(result);
  if (!error.empty()) return absl::InvalidArgumentError(error);
  return result;
}

std::string ResultText(const Result& result) {
  std::string text;
  Print(ToJson(result), 0, text);
  return text + "\n";
}

absl::StatusOr<Result> ParseResult(std::string_view text, const std::string& name) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error& error) {
    return absl::InvalidArgumentError(name + ": is no JSON (at octet " +
                                      std::to_string(error.byte) + ")");
  }
  absl::StatusOr<Result> result = ResultFromJson(json);
  if (result.ok()) return result;
  return absl::InvalidArgumentError(name + ": " + std::string(result.status().message()));
}

}  // namespace millrace::apps
