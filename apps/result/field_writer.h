// apps/result/field_writer.h - values to JSON, by the fields that result_fields.h lists.
#ifndef MILLRACE_APPS_RESULT_FIELD_WRITER_H_
#define MILLRACE_APPS_RESULT_FIELD_WRITER_H_

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/result/result_fields.h"

namespace millrace::apps {

// Percentiles that are written for people and tools that do not add up buckets. Readers pass over.
inline constexpr std::array<std::pair<const char*, double>, 6> kPercentiles{
    {{"p50_ns", 0.5},
     {"p90_ns", 0.9},
     {"p99_ns", 0.99},
     {"p99.9_ns", 0.999},
     {"p99.99_ns", 0.9999},
     {"p99.999_ns", 0.99999}}};

class FieldWriter {
 public:
  using Json = nlohmann::ordered_json;

  explicit FieldWriter(Json& json) : json_(json) {}

  template <class T>
  void operator()(const char* name, const T& value, const char*) {
    Put(json_[name], value);
  }
  // Absent when there is none.
  template <class T>
  void operator()(const char* name, const std::optional<T>& value, const char*) {
    if (value) Put(json_[name], *value);
  }

 private:
  template <class T>
  static void Put(Json& json, const T& value) {
    if constexpr (std::same_as<T, double>) {
      json = std::isfinite(value) ? value : 0.0;  // JSON has no other
    } else if constexpr (std::integral<T> || std::same_as<T, std::string> ||
                         std::same_as<T, Json>) {
      json = value;
    } else if constexpr (std::is_enum_v<T>) {
      json = NamesOf(value)[static_cast<size_t>(value)];
    } else {
      json = Json::object();
      FieldWriter writer(json);
      Fields(writer, value);
    }
  }
  template <class T>
  static void Put(Json& json, const std::vector<T>& values) {
    json = Json::array();
    for (const T& value : values) Put(json.emplace_back(), value);
  }
  template <class T>
  static void Put(Json& json, const ByName<T>& values) {
    json = Json::object();
    for (const auto& [name, value] : values) Put(json[name], value);
  }
  static void Put(Json& json, const Histogram& histogram) {
    json = {{"significant_digits", histogram.digits()},
            {"highest_ns", histogram.highest()},
            {"count", histogram.count()},
            {"sum_ns", histogram.sum()},
            {"min_ns", histogram.min()},
            {"max_ns", histogram.max()},
            {"mean_ns", histogram.mean()}};
    for (const auto& [name, quantile] : kPercentiles) {
      json[name] = histogram.ValueAtQuantile(quantile);
    }
    Json& buckets = json["buckets"] = Json::array();
    histogram.ForEach([&buckets](uint64_t highest, uint64_t count) {
      buckets.push_back(Json::array({highest, count}));
    });
  }

  Json& json_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_FIELD_WRITER_H_
