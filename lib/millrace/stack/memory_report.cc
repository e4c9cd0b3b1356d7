#include "millrace/stack/memory_report.h"

#include <string_view>

#include "millrace/base/check.h"

namespace millrace::stack {
namespace {

template <class T>
PoolMemory Of(const char* name, const Slab<T>& slab) {
  return {name, sizeof(T), slab.capacity(), slab.used(), slab.touched()};
}

// In buckets. Every bucket is home to somebody soon, so all of the table counts as touched.
PoolMemory OfTable(const FlowTable& table) {
  const auto buckets = static_cast<uint32_t>(table.bytes() / FlowTable::kBucketBytes);
  return {"flow_table", FlowTable::kBucketBytes, buckets, table.size(), buckets};
}

}  // namespace

const PoolMemory& MemoryReport::Find(const char* name) const {
  for (const PoolMemory& pool : pools) {
    if (std::string_view(pool.name) == name) return pool;
  }
  MR_CHECK(false);
  return pools.front();
}

MemoryReport ReportMemory(Engine& engine) {
  const tcp::Env& env = engine.env();
  const AddressPairs& pairs = engine.address_pairs();
  const FlowTable& table = engine.table();
  const double in_table = table.capacity() == 0 ? 0
                                                : static_cast<double>(table.bytes()) /
                                                      static_cast<double>(table.capacity());
  return {.pools = {Of("connections", engine.connections()),
                    Of("half_open", engine.half_opens()),
                    Of("time_wait", engine.time_waits()),
                    OfTable(table),
                    Of("send_extents", env.send_pool.extents),
                    Of("send_chunks", env.send_pool.chunks),
                    Of("receive_nodes", env.receive_pool.nodes),
                    Of("receive_chunks", env.receive_pool.chunks),
                    Of("extras", env.extras),
                    Of("recoveries", env.recovery_pool.records),
                    Of("sent_runs", env.recovery_pool.runs),
                    {"address_pairs", sizeof(AddressPairs::Pair), pairs.capacity(), pairs.size(),
                     pairs.size()},
                    {"engine", sizeof(Engine), 1, 1, 1}},
          .half_open_bytes = sizeof(HalfOpen) + in_table,
          .connection_bytes = sizeof(Connection) + in_table,
          .time_wait_bytes = sizeof(TimeWait) + in_table};
}

}  // namespace millrace::stack
