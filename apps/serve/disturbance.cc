#include "apps/serve/disturbance.h"

#include <numeric>
#include <optional>
#include <vector>

#include "apps/common/units.h"

namespace millrace::apps {
const char* ToString(Fate fate) {
  constexpr std::array<const char*, kFates> kNames{"answer",  "status", "reset",  "silent",
                                                   "garbage", "early",  "forever"};
  return kNames[static_cast<size_t>(fate)];
}

bool DisturbanceOptions::Any() const {
  return !delay.IsZero() || std::accumulate(error_share.begin(), error_share.end(), 0.0) > 0;
}

std::string ParseErrors(std::string_view text, bool http, DisturbanceOptions* options) {
  std::vector<std::string> names;
  for (size_t i = 1; i < kFates; ++i) names.emplace_back(ToString(static_cast<Fate>(i)));
  double sum = 0;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string part(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const size_t equals = part.find('=');
    const std::string name =
        equals == std::string::npos ? http ? "status" : "reset" : part.substr(0, equals);
    size_t kind = 1;
    while (kind < kFates && names[kind - 1] != name) ++kind;
    if (kind == kFates) {
      const std::string near = Nearest(name, names);
      return "\"" + name + "\" is no kind of error" +
             (near.empty() ? ": there are status, reset, silent, garbage, early and forever"
                           : " (did you mean \"" + near + "\"?)");
    }
    const std::string value = equals == std::string::npos ? part : part.substr(equals + 1);
    const std::optional<double> share = value == "100%" ? 1.0 : ParseShare(value);
    if (!share) return "\"" + part + "\" is no share; write 0.1% or " + name + "=0.001";
    options->error_share[kind] = *share;
    sum += *share;
  }
  return sum > 1 ? "the shares of errors add up to more than everything" : "";
}

Fate Disturbance::DrawFate() {
  double draw = dice_.Uniform();
  for (size_t i = 1; i < kFates; ++i) {
    draw -= options_.error_share[i];
    if (draw < 0) return static_cast<Fate>(i);
  }
  return Fate::kAnswer;
}

}  // namespace millrace::apps
