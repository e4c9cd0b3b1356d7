// serve/disturbance.h - delays and errors that a server puts in on purpose, by distribution.
//
// For testing load generators and clients: what is injected is known, so what they report can be
// checked. Draws come from a seed. Threading: one owner.
#ifndef MILLRACE_APPS_SERVE_DISTURBANCE_H_
#define MILLRACE_APPS_SERVE_DISTURBANCE_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "apps/common/quantiles.h"
#include "millrace/base/prng.h"
#include "millrace/base/time.h"

namespace millrace::apps {

// What becomes of a request.
enum class Fate : uint8_t {
  kAnswer,
  kStatus,   // HTTP: 503
  kReset,    // RST in place of the answer
  kSilent,   // no answer, ever
  kGarbage,  // octets that are no answer, then FIN
  kEarly,    // half of the answer, then FIN
  kForever,  // octets without end
};
inline constexpr size_t kFates = 7;
const char* ToString(Fate fate);

struct DisturbanceOptions {
  Quantiles delay;                           // between a request and its answer
  std::array<double, kFates> error_share{};  // of requests; the rest is answered
  uint64_t seed = 1;

  bool Any() const;
};

// "0.1%": so many answers are errors (503 with HTTP, else a reset). "reset=0.1%,silent=1e-4": by
// kind. Returns "" or what is wrong.
std::string ParseErrors(std::string_view text, bool http, DisturbanceOptions* options);

class Disturbance {
 public:
  explicit Disturbance(const DisturbanceOptions& options)
      : options_(options), any_(options.Any()), dice_(options.seed) {}

  bool any() const { return any_; }
  Duration DrawDelay() {
    return options_.delay.IsZero() ? Duration() : options_.delay.At(dice_.Uniform());
  }
  Fate DrawFate();

 private:
  DisturbanceOptions options_;
  bool any_;
  Prng dice_;
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_SERVE_DISTURBANCE_H_
