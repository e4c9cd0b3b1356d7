#include "apps/ranks/message.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "apps/result/field_reader.h"
#include "apps/result/field_writer.h"
#include "apps/result/result_json.h"
#include "apps/result/text.h"

namespace millrace::apps {

// Found by FieldReader and FieldWriter.
template <class V, Is<JoinMessage> S>
void Fields(V& visit, S& v) {
  visit("protocol", v.protocol, "");
  visit("version", v.version, "");
  visit("host", v.host, "");
  visit("rank", v.rank, "");
  visit("ranks", v.ranks, "");
  visit("settings", v.settings, "");
}
template <class V, Is<WelcomeMessage> S>
void Fields(V&, S&) {}
template <class V, Is<PingMessage> S>
void Fields(V& visit, S& v) {
  visit("sent_unix_ns", v.sent_unix_ns, "");
}
template <class V, Is<PongMessage> S>
void Fields(V& visit, S& v) {
  visit("sent_unix_ns", v.sent_unix_ns, "");
  visit("answered_unix_ns", v.answered_unix_ns, "");
}
template <class V, Is<StepMessage> S>
void Fields(V& visit, S& v) {
  visit("step", v.step, "");
  visit("rate_per_s", v.rate_per_s, "");
  visit("length_ns", v.length_ns, "");
}
template <class V, Is<ReadyMessage> S>
void Fields(V& visit, S& v) {
  visit("step", v.step, "");
}
template <class V, Is<StartMessage> S>
void Fields(V& visit, S& v) {
  visit("step", v.step, "");
  visit("at_unix_ns", v.at_unix_ns, "");
}
template <class V, Is<AliveMessage> S>
void Fields(V& visit, S& v) {
  visit("started", v.started, "");
  visit("ok", v.ok, "");
  visit("failed", v.failed, "");
  visit("open", v.open, "");
}
template <class V, Is<StopMessage> S>
void Fields(V&, S&) {}
template <class V, Is<EndMessage> S>
void Fields(V& visit, S& v) {
  visit("code", v.code, "");
  visit("why", v.why, "");
}

namespace {

using Json = nlohmann::ordered_json;

constexpr int kDepthMax = 32;
// A histogram's size follows from its layout, so these bound what a short message can ask for.
constexpr size_t kStatesMax = 16;
constexpr uint32_t kDigitsMax = 3;

absl::Status Wrong(const std::string& what) { return absl::InvalidArgumentError(what); }

// Whether brackets nest deeper than a result does: copies of JSON recurse.
bool IsDeep(std::string_view text) {
  int depth = 0;
  bool in_string = false, escaped = false;
  for (const char c : text) {
    if (in_string) {
      in_string = escaped || c != '"';
      escaped = !escaped && c == '\\';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDepthMax) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

bool HasModestHistograms(const Json& result) {
  const auto latency = result.find("latency");
  if (latency == result.end() || !latency->is_object()) return true;  // the reader will say it
  if (latency->size() > kStatesMax) return false;
  for (const auto& [state, both] : latency->items()) {
    if (!both.is_object()) continue;
    for (const char* const start : {"intended", "actual"}) {
      const auto histogram = both.find(start);
      if (histogram == both.end() || !histogram->is_object()) continue;
      const auto digits = histogram->find("significant_digits");
      if (digits != histogram->end() && *digits > kDigitsMax) return false;
    }
  }
  return true;
}

absl::Status Read(const Json& json, ResultMessage* message) {
  const auto step = json.find("step"), interrupted = json.find("interrupted");
  const auto result = json.find("result");
  if (step == json.end() || !step->is_number_unsigned() || interrupted == json.end() ||
      !interrupted->is_boolean() || result == json.end() || !result->is_object() ||
      !HasModestHistograms(*result)) {
    return Wrong("no such result");
  }
  message->step = step->get<uint64_t>();
  message->interrupted = interrupted->get<bool>();
  absl::StatusOr<Result> read = ResultFromJson(*result);
  if (read.ok()) message->result = *std::move(read);
  return read.status();
}

template <class Message>
absl::Status Read(const Json& json, Message* message) {
  std::string error;
  FieldReader reader(json, "", error);
  Fields(reader, *message);
  return error.empty() ? absl::OkStatus() : Wrong(error);
}

template <size_t kIndex = 0>
absl::StatusOr<RankMessage> ReadAny(const std::string& type, const Json& json) {
  if constexpr (kIndex == std::variant_size_v<RankMessage>) {
    return Wrong("a message of unknown type \"" + Printable(type.substr(0, 32)) + "\"");
  } else {
    using Message = std::variant_alternative_t<kIndex, RankMessage>;
    if (type != Message::kType) return ReadAny<kIndex + 1>(type, json);
    Message message;
    if (absl::Status read = Read(json, &message); !read.ok()) {
      return Wrong(type + ": " + Printable(std::string(read.message()).substr(0, 200)));
    }
    return message;
  }
}

}  // namespace

std::string RankLine(const RankMessage& message) {
  Json json;
  std::visit(
      [&json](const auto& m) {
        using Message = std::remove_cvref_t<decltype(m)>;
        json["type"] = Message::kType;
        if constexpr (std::same_as<Message, ResultMessage>) {
          json["step"] = m.step;
          json["interrupted"] = m.interrupted;
          json["result"] = ToJson(m.result);
        } else {
          FieldWriter writer(json);
          Fields(writer, m);
        }
      },
      message);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<RankMessage> ParseRankLine(std::string_view line) {
  if (IsDeep(line)) return Wrong("JSON that is nested too deeply");
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Wrong("no JSON object");
  const auto type = json.find("type");
  if (type == json.end() || !type->is_string()) return Wrong("a message without a type");
  return ReadAny(type->get<std::string>(), json);
}

}  // namespace millrace::apps
