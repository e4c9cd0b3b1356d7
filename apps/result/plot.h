// result/plot.h - line plots and bars as SVG, in the colours of the page around them.
#ifndef MILLRACE_APPS_RESULT_PLOT_H_
#define MILLRACE_APPS_RESULT_PLOT_H_

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::apps {

// Text as XML: '<', '>', '&' and quotes escaped, control characters as '?'.
std::string Escaped(std::string_view text);

struct PlotLine {
  std::string name;
  int colour = 0;  // of eight: class "c0" to "c7"
  bool dashed = false;
  bool steps = false;  // a point holds until the next one
  std::vector<std::pair<double, double>> points;
};

struct Tick {
  double at;
  std::string label;
};

// Where values go: a range, linear or logarithmic, and what is written beside it.
struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;
  std::vector<Tick> ticks;
  std::string title;

  // 0 at low, 1 at high; outside values stay at the ends.
  double Place(double value) const;
};

// From 0 to at least `high`, with ticks at round values that `label` writes.
Axis LinearAxis(double high, std::string title, const std::function<std::string(double)>& label);
// Whole decades around low and high, both above 0.
Axis LogAxis(double low, double high, std::string title,
             const std::function<std::string(double)>& label);

// One <svg> with axes, grid, lines and a legend. `title` is also what a screen reader says.
std::string LinePlot(const std::string& title, const Axis& x, const Axis& y,
                     const std::vector<PlotLine>& lines);

struct Bar {
  std::string name, value;
  double part;  // 0 to 1 of the plot's width
};
std::string BarPlot(const std::string& title, const std::vector<Bar>& bars);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_PLOT_H_
