#include "apps/result/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace millrace::apps {
namespace {

// Continued fraction of the incomplete beta function, by Lentz's method. Converges fast for
// x < (a + 1) / (a + b + 2).
double BetaFraction(double x, double a, double b) {
  constexpr int kStepsMax = 500;
  constexpr double kTiny = 1e-300;
  const auto away_from_zero = [](double v) { return std::abs(v) < kTiny ? kTiny : v; };
  double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), fraction = d;
  for (int m = 1; m <= kStepsMax; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away_from_zero(1 + even * d);
    c = away_from_zero(1 + even / c);
    fraction *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away_from_zero(1 + odd * d);
    c = away_from_zero(1 + odd / c);
    fraction *= d * c;
    if (std::abs(d * c - 1) < 1e-15) break;
  }
  return fraction;
}

// The logarithm of the gamma function; std::lgamma writes to a global.
double LogGamma(double x) {
  int sign = 0;
  return lgamma_r(x, &sign);
}

// Regularised incomplete beta function I_x(a, b).
double Beta(double x, double a, double b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - Beta(1 - x, b, a);
  const double log_front =
      LogGamma(a + b) - LogGamma(a) - LogGamma(b) + a * std::log(x) + b * std::log1p(-x);
  return std::exp(log_front) * BetaFraction(x, a, b) / a;
}

double Mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Of the mean: the variance of the values, divided by their number.
double MeanVariance(std::span<const double> values) {
  const double mean = Mean(values);
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  const auto n = static_cast<double>(values.size());
  return squares / (n - 1) / n;
}

}  // namespace

double StudentBelow(double t, double freedom) {
  const double beyond = Beta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2;
  return t > 0 ? 1 - beyond : beyond;
}

double StudentQuantile(double p, double freedom) {
  if (p < 0.5) return -StudentQuantile(1 - p, freedom);
  double low = 0, high = 1;
  while (StudentBelow(high, freedom) < p && high < 1e12) high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-12 * high; ++i) {
    const double middle = (low + high) / 2;
    (StudentBelow(middle, freedom) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

double MeanDifference::HalfWidth(double level) const {
  return error == 0 ? 0 : StudentQuantile((1 + level) / 2, freedom) * error;
}

double MeanDifference::ChanceAbove(double bound) const {
  if (error == 0) return difference > bound ? 0 : 1;
  return 1 - StudentBelow((difference - bound) / error, freedom);
}

double MeanDifference::ChanceBelow(double bound) const {
  if (error == 0) return difference < bound ? 0 : 1;
  return StudentBelow((difference - bound) / error, freedom);
}

MeanDifference Compare(std::span<const double> a, std::span<const double> b, double a_error,
                       double b_error) {
  MeanDifference compared;
  if (a.empty() || b.empty()) return compared;
  compared.difference = Mean(b) - Mean(a);
  if (a.size() < 2 || b.size() < 2) return compared;
  double va = MeanVariance(a), vb = MeanVariance(b);
  compared.by_ruler = va < a_error * a_error || vb < b_error * b_error;
  va = std::max(va, a_error * a_error);
  vb = std::max(vb, b_error * b_error);
  compared.error = std::sqrt(va + vb);
  const double na = static_cast<double>(a.size()) - 1, nb = static_cast<double>(b.size()) - 1;
  const double spread = va * va / na + vb * vb / nb;
  compared.freedom = spread > 0 ? (va + vb) * (va + vb) / spread : na + nb;
  return compared;
}

std::vector<bool> Holm(std::span<const double> chances, double alpha) {
  std::vector<size_t> order(chances.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t x, size_t y) { return chances[x] < chances[y]; });
  std::vector<bool> clear(chances.size());
  for (size_t i = 0; i < order.size(); ++i) {
    if (chances[order[i]] > alpha / static_cast<double>(order.size() - i)) break;
    clear[order[i]] = true;
  }
  return clear;
}

}  // namespace millrace::apps
