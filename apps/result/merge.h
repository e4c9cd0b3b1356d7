// result/merge.h - one result from those of the ranks that shared a load.
//
// Counts and histograms are added: nothing is lost, and the merged percentiles are those of all
// connections. Rates are those of the common window, the time in which all ranks measured: rates of
// ranks that ran one after the other must not be added. What differs between ranks is kept in a
// line for each.
#ifndef MILLRACE_APPS_RESULT_MERGE_H_
#define MILLRACE_APPS_RESULT_MERGE_H_

#include <span>

#include "absl/status/statusor.h"
#include "apps/result/result.h"

namespace millrace::apps {

// In the order of their ranks, whatever that of `results`. kInvalidArgument, with the ids, when
// - there is none, or one was merged already,
// - one is of find-max or sweep: ranks that search alone try other rates at other times (those of a
//   coordinator are merged trial by trial, and have no search of their own),
// - a rank is missing or there twice (results of rank 0 of 1 each stand for as many ranks),
// - the loads differ: target, loop, arrival, close, or configuration but for what names a machine,
// - histograms have other layouts or states,
// - the windows have less than half of the longest in common,
// - an objective is none that this version knows.
// Objectives are those of the whole, whatever each rank's own verdict about them was. Latencies of
// the merged series are the worst of the ranks, an upper bound: rows have no histograms.
absl::StatusOr<Result> MergeResults(std::span<const Result> results);

// `configuration` without what says where a rank runs: what ranks that share a load have in common.
nlohmann::ordered_json SharedConfiguration(nlohmann::ordered_json configuration);

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_RESULT_MERGE_H_
