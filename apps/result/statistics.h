// result/statistics.h - whether repeats of one thing differ from repeats of another.
//
// Welch's test of two means whose variances differ, with Student's distribution. Pure functions.
#ifndef MILLRACE_APPS_RESULT_STATISTICS_H_
#define MILLRACE_APPS_RESULT_STATISTICS_H_

#include <span>
#include <vector>

namespace millrace::apps {

// Part of Student's distribution below `t`; `freedom` > 0 need not be whole.
double StudentBelow(double t, double freedom);
// The t below which the part `p` lies, 0 < p < 1.
double StudentQuantile(double p, double freedom);

// The difference of two means, as far as some values of each tell.
struct MeanDifference {
  double difference = 0;  // mean of `b` minus mean of `a`
  double error = 0;       // standard error; 0 when all values of each side are alike
  double freedom = 0;     // degrees of freedom (Welch-Satterthwaite); 0: there is no estimate
  bool by_ruler = false;  // the values of a side vary less than what measured them can tell

  bool has_interval() const { return freedom > 0; }
  // Half the width of the interval that holds the true difference with probability `level`.
  double HalfWidth(double level) const;
  // How likely a difference of at least this much is when the true one is `bound`.
  double ChanceAbove(double bound) const;
  double ChanceBelow(double bound) const;
};

// There is no estimate when a side has fewer than two values. `a_error`, `b_error`: what the mean
// of a side is uncertain by at least, however alike its values: they were all measured by one
// ruler.
MeanDifference Compare(std::span<const double> a, std::span<const double> b, double a_error = 0,
                       double b_error = 0);

// Holm's method: which of these tests fail their hypothesis so clearly that with probability
// 1 - alpha not a single one of them is wrong.
std::vector<bool> Holm(std::span<const double> chances, double alpha);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_STATISTICS_H_
