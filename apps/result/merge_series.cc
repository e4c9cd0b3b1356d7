#include "apps/result/merge_series.h"

#include <algorithm>
#include <cmath>

namespace millrace::apps {
namespace {

// Start of an interval in seconds from the start of `common`.
double OffsetOf(const Interval& interval, const Result& rank, const Window& common) {
  const int64_t shift_ns = rank.window.start_unix_ns - common.start_unix_ns;
  return interval.start_s + static_cast<double>(shift_ns) * 1e-9;
}

void Add(Interval& sum, const Interval& interval) {
  sum.due += interval.due;
  sum.opened += interval.opened;
  sum.ok += interval.ok;
  sum.failed += interval.failed;
  sum.retransmits += interval.retransmits;
  sum.open += interval.open;
  sum.connect_p50_ns = std::max(sum.connect_p50_ns, interval.connect_p50_ns);
  sum.connect_p99_ns = std::max(sum.connect_p99_ns, interval.connect_p99_ns);
  sum.busiest_core_share = std::max(sum.busiest_core_share, interval.busiest_core_share);
  sum.worst_lag_ns = std::max(sum.worst_lag_ns, interval.worst_lag_ns);
}

// What one rank did inside the common window.
struct Inside {
  double seconds = 0;
  bool all = true;  // of its rows are inside
  uint64_t due = 0, opened = 0, ok = 0;
};

Inside InsideOf(const Result& rank, const Window& common) {
  Inside inside;
  for (const Interval& interval : rank.series) {
    const double middle = OffsetOf(interval, rank, common) + interval.length_s / 2;
    if (middle < 0 || middle > common.seconds()) {
      inside.all = false;
      continue;
    }
    inside.seconds += interval.length_s;
    inside.due += interval.due;
    inside.opened += interval.opened;
    inside.ok += interval.ok;
  }
  return inside;
}

// Adds part of what a rank knows of; what one does not know, nobody knows of the whole.
void AddKnown(std::optional<double>& sum, const std::optional<double>& rate, double part) {
  sum = sum && rate ? std::optional(*sum + *rate * part) : std::nullopt;
}

}  // namespace

std::vector<Interval> MergedSeries(const std::vector<const Result*>& ranks, const Window& common) {
  std::vector<Interval> merged;
  if (ranks.front()->series.empty()) return merged;
  // The first and the last row may be shorter than the others, and one that was written late
  // longer.
  std::vector<double> lengths_s;
  for (const Interval& row : ranks.front()->series) lengths_s.push_back(row.length_s);
  const auto middle_row = lengths_s.begin() + static_cast<ptrdiff_t>(lengths_s.size() / 2);
  std::nth_element(lengths_s.begin(), middle_row, lengths_s.end());
  const double length_s = *middle_row;
  if (!(length_s > 0)) return merged;
  constexpr double kIntervalsMax = 1e6;  // of what a file may ask for
  const double wanted = std::ceil(common.seconds() / length_s - 1e-6);
  for (double i = 0; i < std::min(wanted, kIntervalsMax); ++i) {
    merged.push_back(
        {.start_s = i * length_s, .length_s = std::min(length_s, common.seconds() - i * length_s)});
  }
  for (const Result* rank : ranks) {
    for (const Interval& interval : rank->series) {
      const double middle = OffsetOf(interval, *rank, common) + interval.length_s / 2;
      const double place = std::floor(middle / length_s);
      if (place >= 0 && place < static_cast<double>(merged.size())) {
        Add(merged[static_cast<size_t>(place)], interval);
      }
    }
  }
  return merged;
}

LoadShape MergedRates(const std::vector<const Result*>& ranks, const Window& common) {
  LoadShape sum = ranks.front()->load;
  sum.offered_per_s = sum.achieved_per_s = sum.ok_per_s = sum.requests_per_s = 0;
  sum.rx_bits_per_s = sum.tx_bits_per_s = 0;
  double packets = 0, connections = 0;
  for (const Result* rank : ranks) {
    const Inside inside = InsideOf(*rank, common);
    // What was measured as a whole says more than its rows; what there is no series of goes on as
    // it did on average.
    double offered = rank->load.offered_per_s, achieved = rank->load.achieved_per_s;
    double ok = rank->load.ok_per_s;
    if (!inside.all && inside.seconds > 0) {
      const bool open_loop = offered > 0;
      offered = open_loop ? static_cast<double>(inside.due) / inside.seconds : 0;
      achieved = static_cast<double>(inside.opened) / inside.seconds;
      ok = static_cast<double>(inside.ok) / inside.seconds;
    }
    const double part = rank->load.ok_per_s > 0 ? ok / rank->load.ok_per_s : 1;
    sum.offered_per_s += offered;
    sum.achieved_per_s += achieved;
    sum.ok_per_s += ok;
    sum.requests_per_s += rank->load.requests_per_s * part;
    AddKnown(sum.rx_bits_per_s, rank->load.rx_bits_per_s, part);
    AddKnown(sum.tx_bits_per_s, rank->load.tx_bits_per_s, part);
    const auto n = static_cast<double>(rank->counts.ok + rank->counts.failed);
    packets += rank->load.packets_per_connection * n;
    connections += n;
  }
  sum.packets_per_connection = connections > 0 ? packets / connections : 0;
  return sum;
}

}  // namespace millrace::apps
