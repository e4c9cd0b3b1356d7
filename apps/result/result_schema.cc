#include "apps/result/field_writer.h"
#include "apps/result/result_json.h"
#include "apps/result/stream.h"

namespace millrace::apps {
namespace {

using Json = nlohmann::ordered_json;

// Visits the fields of a value that was made by default: types matter, contents do not.
class SchemaWriter {
 public:
  // Of an object whose fields are T's.
  template <class T>
  static Json Of() {
    Json schema = {{"type", "object"},
                   {"properties", Json::object()},
                   {"required", Json::array()},
                   {"additionalProperties", false}};
    SchemaWriter writer(schema);
    T value;
    Fields(writer, value);
    return schema;
  }

  template <class T>
  void operator()(std::string_view name, const T& value, const char* meaning) {
    Add(name, value, meaning);
    schema_["required"].push_back(name);
  }
  template <class T>
  void operator()(std::string_view name, const std::optional<T>&, const char* meaning) {
    Add(name, T(), meaning);
  }

 private:
  explicit SchemaWriter(Json& schema) : schema_(schema) {}

  template <class T>
  void Add(std::string_view name, const T& value, const char* meaning) {
    Json property = {{"description", meaning}};
    property.update(TypeOf(value));
    if (name.ends_with("_share")) property["maximum"] = 1;
    if (name == "schema") property["const"] = kResultSchema;
    if constexpr (std::same_as<T, std::string>) {
      if (name == "type") property["const"] = value;
    }
    schema_["properties"][std::string(name)] = std::move(property);
  }

  template <class T>
  static Json TypeOf(const T& value) {
    if constexpr (std::same_as<T, std::string>) {
      return {{"type", "string"}};
    } else if constexpr (std::same_as<T, bool>) {
      return {{"type", "boolean"}};
    } else if constexpr (std::same_as<T, double>) {
      return {{"type", "number"}, {"minimum", 0}};
    } else if constexpr (std::unsigned_integral<T>) {
      return {{"type", "integer"}, {"minimum", 0}};
    } else if constexpr (std::integral<T>) {
      return {{"type", "integer"}};
    } else if constexpr (std::same_as<T, Json>) {
      return {{"type", "object"}};
    } else if constexpr (std::is_enum_v<T>) {
      return {{"enum", NamesOf(value)}};
    } else if constexpr (std::same_as<T, Histogram>) {
      return {{"$ref", "#/definitions/histogram"}};
    } else {
      return Of<T>();
    }
  }
  template <class T>
  static Json TypeOf(const std::vector<T>&) {
    return {{"type", "array"}, {"items", TypeOf(T())}};
  }
  template <class T>
  static Json TypeOf(const ByName<T>&) {
    return {{"type", "object"}, {"additionalProperties", TypeOf(T())}};
  }

  Json& schema_;
};

Json HistogramSchema() {
  const Json whole = {{"type", "integer"}, {"minimum", 0}};
  const auto described = [](Json type, const char* meaning) {
    type["description"] = meaning;
    return type;
  };
  Json properties = {
      {"significant_digits",
       {{"description", "two values in one bucket agree to so many decimal digits"},
        {"type", "integer"},
        {"minimum", 1},
        {"maximum", 5}}},
      {"highest_ns", described(whole, "what is above counts as this")},
      {"count", described(whole, "of all buckets")},
      {"sum_ns", described(whole, "exact")},
      {"min_ns", described(whole, "exact; 0 when nothing was recorded")},
      {"max_ns", described(whole, "exact; 0 when nothing was recorded")},
      {"mean_ns", {{"description", "sum_ns / count"}, {"type", "number"}, {"minimum", 0}}}};
  for (const auto& [name, quantile] : kPercentiles) {
    properties[name] = described(whole, "upper end of the bucket, at most max_ns");
  }
  properties["buckets"] = {
      {"description", "[highest value of the bucket in ns, count], ascending, without empty ones"},
      {"type", "array"},
      {"items", {{"type", "array"}, {"items", whole}, {"minItems", 2}, {"maxItems", 2}}}};
  Json required = Json::array();
  for (const auto& [name, type] : properties.items()) required.push_back(name);
  return {{"description", "counts of durations, in the layout of HdrHistogram"},
          {"type", "object"},
          {"properties", std::move(properties)},
          {"required", std::move(required)},
          {"additionalProperties", false}};
}

}  // namespace

Json ResultSchema() {
  Json schema = {
      {"$schema", "http://json-schema.org/draft-07/schema#"},
      {"title", "result of a Millrace run, schema 1"},
      {"description",
       "Names end in their unit. Times of day are nanoseconds since 1970 UTC, shares are "
       "0 to 1, rates are over `window`."}};
  schema.update(SchemaWriter::Of<Result>());
  schema["definitions"]["histogram"] = HistogramSchema();
  return schema;
}

Json StreamSchema() {
  return {
      {"$schema", "http://json-schema.org/draft-07/schema#"},
      {"title", "a line of --json-stream, schema 1"},
      {"description",
       "One line begins, one for each interval or trial follows, one ends. Names end in their "
       "unit. Times of day are nanoseconds since 1970 UTC, shares are 0 to 1."},
      {"oneOf", Json::array({SchemaWriter::Of<StreamBegin>(), SchemaWriter::Of<StreamInterval>(),
                             SchemaWriter::Of<StreamTrial>(), SchemaWriter::Of<StreamEnd>()})}};
}

}  // namespace millrace::apps
