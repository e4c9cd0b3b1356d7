#include "apps/common/load_result.h"

#include <algorithm>

namespace millrace::apps {

void LoadResult::Add(const LoadResult& other) {
  opened += other.opened;
  ok += other.ok;
  for (size_t i = 0; i < failed.size(); ++i) failed[i] += other.failed[i];
  not_opened += other.not_opened;
  if (other.last_refusal != stack::ConnectResult::kOk) last_refusal = other.last_refusal;
  ok_in_window += other.ok_in_window;
  window = std::max(window, other.window);
  connect_ns.Add(other.connect_ns);
  first_byte_ns.Add(other.first_byte_ns);
  close_ns.Add(other.close_ns);
  total_ns.Add(other.total_ns);
}

}  // namespace millrace::apps
