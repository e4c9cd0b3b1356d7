#include "apps/result/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "apps/result/text.h"

namespace millrace::apps {
namespace {

// Of the drawing, in its own units; the page scales it.
constexpr double kWidth = 760, kHeight = 300;
constexpr double kLeft = 74, kRight = 32, kTop = 14, kBottom = 48;
constexpr double kInnerWidth = kWidth - kLeft - kRight, kInnerHeight = kHeight - kTop - kBottom;
constexpr double kLegendRow = 18;

// "12.5": at most one decimal, the same everywhere.
std::string Number(double value) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.1f", value);
  std::string number = text.data();
  if (number.ends_with(".0")) number.resize(number.size() - 2);
  return number == "-0" ? "0" : number;
}

std::string Attribute(const char* name, double value) {
  return std::string(" ") + name + "=\"" + Number(value) + "\"";
}

std::string Text(double x, double y, const char* anchor, const std::string& text) {
  return "<text" + Attribute("x", x) + Attribute("y", y) + " text-anchor=\"" + anchor + "\">" +
         Escaped(text) + "</text>\n";
}

std::string Rule(const char* kind, double x1, double y1, double x2, double y2) {
  return std::string("<line class=\"") + kind + "\"" + Attribute("x1", x1) + Attribute("y1", y1) +
         Attribute("x2", x2) + Attribute("y2", y2) + "/>\n";
}

std::string Head(const std::string& title, double height) {
  return "<svg viewBox=\"0 0 " + Number(kWidth) + " " + Number(height) +
         "\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">\n<title>" + Escaped(title) +
         "</title>\n";
}

double XOf(const Axis& axis, double value) { return kLeft + axis.Place(value) * kInnerWidth; }
double YOf(const Axis& axis, double value) { return kTop + (1 - axis.Place(value)) * kInnerHeight; }

std::string Grid(const Axis& x, const Axis& y) {
  const double bottom = kTop + kInnerHeight, right = kLeft + kInnerWidth;
  std::string svg;
  for (const Tick& tick : y.ticks) {
    const double at = YOf(y, tick.at);
    svg += Rule("grid", kLeft, at, right, at) + Text(kLeft - 6, at + 4, "end", tick.label);
  }
  for (const Tick& tick : x.ticks) {
    const double at = XOf(x, tick.at);
    svg += Rule("grid", at, kTop, at, bottom) + Text(at, bottom + 17, "middle", tick.label);
  }
  svg += Rule("axis", kLeft, bottom, right, bottom) + Rule("axis", kLeft, kTop, kLeft, bottom);
  svg += Text(kLeft + kInnerWidth / 2, bottom + 36, "middle", x.title);
  svg += "<text class=\"turned\" transform=\"translate(14 " + Number(kTop + kInnerHeight / 2) +
         ") rotate(-90)\" text-anchor=\"middle\">" + Escaped(y.title) + "</text>\n";
  return svg;
}

std::string Path(const PlotLine& line, const Axis& x, const Axis& y) {
  std::string points;
  double last_y = 0;
  for (const auto& [vx, vy] : line.points) {
    const double px = XOf(x, vx), py = YOf(y, vy);
    if (line.steps && !points.empty()) points += Number(px) + "," + Number(last_y) + " ";
    points += Number(px) + "," + Number(py) + " ";
    last_y = py;
  }
  if (points.empty()) return "";
  points.pop_back();
  return "<polyline class=\"c" + std::to_string(line.colour) + (line.dashed ? " dashed" : "") +
         "\" points=\"" + points + "\"/>\n";
}

}  // namespace

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : Printable(text)) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

double Axis::Place(double value) const {
  const double part = logarithmic ? std::log(std::max(value, low) / low) / std::log(high / low)
                                  : (value - low) / (high - low);
  return std::clamp(part, 0.0, 1.0);
}

Axis LinearAxis(double high, std::string title, const std::function<std::string(double)>& label) {
  if (!(high > 0) || !std::isfinite(high)) high = 1;
  constexpr double kTicksMax = 6;
  const double decade = std::pow(10, std::floor(std::log10(high / kTicksMax)));
  double step = decade;
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    step = decade * factor;
    if (high / step <= kTicksMax) break;
  }
  Axis axis{.high = step * std::ceil(high / step - 1e-9), .title = std::move(title)};
  for (double i = 0; i * step <= axis.high * (1 + 1e-9); ++i) {
    axis.ticks.push_back({i * step, label(i * step)});
  }
  return axis;
}

Axis LogAxis(double low, double high, std::string title,
             const std::function<std::string(double)>& label) {
  const double first = std::floor(std::log10(low) + 1e-9);
  const double last = std::max(std::ceil(std::log10(high) - 1e-9), first + 1);
  Axis axis{.low = std::pow(10, first),
            .high = std::pow(10, last),
            .logarithmic = true,
            .title = std::move(title)};
  for (double i = first; i <= last; ++i) {
    axis.ticks.push_back({std::pow(10, i), label(std::pow(10, i))});
  }
  return axis;
}

std::string LinePlot(const std::string& title, const Axis& x, const Axis& y,
                     const std::vector<PlotLine>& lines) {
  constexpr size_t kInARow = 4;
  const auto rows = static_cast<double>((lines.size() + kInARow - 1) / kInARow);
  std::string svg = Head(title, kHeight + rows * kLegendRow + 4) + Grid(x, y);
  for (const PlotLine& line : lines) svg += Path(line, x, y);
  for (size_t i = 0; i < lines.size(); ++i) {
    const double left = kLeft + static_cast<double>(i % kInARow) * kInnerWidth / kInARow;
    const double at = kHeight + static_cast<double>(i / kInARow) * kLegendRow + 4;
    PlotLine sample = lines[i];
    svg += "<polyline class=\"c" + std::to_string(sample.colour) +
           (sample.dashed ? " dashed" : "") + "\" points=\"" + Number(left) + "," + Number(at) +
           " " + Number(left + 24) + "," + Number(at) + "\"/>\n" +
           Text(left + 30, at + 4, "start", sample.name);
  }
  return svg + "</svg>\n";
}

std::string BarPlot(const std::string& title, const std::vector<Bar>& bars) {
  constexpr double kRow = 24, kNames = 190, kValues = 110;
  std::string svg = Head(title, kRow * static_cast<double>(bars.size()) + 8);
  for (size_t i = 0; i < bars.size(); ++i) {
    const double top = kRow * static_cast<double>(i) + 4;
    const double width = std::max(1.0, bars[i].part * (kWidth - kNames - kValues));
    svg += Text(kNames - 8, top + 15, "end", bars[i].name);
    svg += "<rect class=\"bar\"" + Attribute("x", kNames) + Attribute("y", top + 2) +
           Attribute("width", width) + Attribute("height", kRow - 6) + "/>\n";
    svg += Text(kNames + width + 8, top + 15, "start", bars[i].value);
  }
  return svg + "</svg>\n";
}

}  // namespace millrace::apps
