// apps/result/result_json.h - a Result as JSON and back, and the schema of that JSON.
//
// Histograms carry their layout and their counters, so that results can be merged without loss.
// What is written is valid by the schema; a reader takes documents with fields it does not know
// (a later program may add some under the same schema number) and refuses anything that lacks a
// field, has another type, or contradicts itself, with the path of the field in the message.
#ifndef MILLRACE_APPS_RESULT_RESULT_JSON_H_
#define MILLRACE_APPS_RESULT_RESULT_JSON_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "apps/result/result.h"

namespace millrace::apps {

nlohmann::ordered_json ToJson(const Result& result);
// kInvalidArgument: "latency.connect.actual.count: ...".
absl::StatusOr<Result> ResultFromJson(const nlohmann::ordered_json& json);
// JSON Schema (draft 7) of what ToJson returns.
nlohmann::ordered_json ResultSchema();

// The document as text, with a line per histogram's buckets and a line end behind.
std::string ResultText(const Result& result);
// kInvalidArgument when the text is no result; the message begins with `name`, "-" or a path.
absl::StatusOr<Result> ParseResult(std::string_view text, const std::string& name);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_RESULT_JSON_H_
