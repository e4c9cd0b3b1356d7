// dpdk/rss.h - receive-side scaling: our key and table in a device, so that it steers as we do.
//
// Set-up only. What a device cannot do is done by stack/steered_port.h, which looks at every frame
// in any case: a device that hashes otherwise costs a hand-over, never a connection.
#ifndef MILLRACE_DPDK_RSS_H_
#define MILLRACE_DPDK_RSS_H_

#include <rte_ethdev.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "millrace/stack/steering.h"

namespace millrace::dpdk {

inline constexpr size_t kRssKeyOctetsMax = 52;
inline constexpr size_t kRssKeyOctets = 40;  // when the device does not say

// How many queue pairs a device has at most, and entries in its table (0: it does not hash TCP).
struct DeviceQueues {
  uint16_t pairs_max = 1;
  uint16_t table_entries = 0;
};
absl::StatusOr<DeviceQueues> ReadDeviceQueues(uint16_t port_id);

// Puts RSS over TCP with the steering's key, written to `key`, into a device's configuration.
// False, and nothing is changed, when the device does not hash TCP, or its table has fewer entries
// than there are buckets. `key` must live until the device is configured.
bool PlanRss(const rte_eth_dev_info& info, const stack::Steering& steering,
             std::array<uint8_t, kRssKeyOctetsMax>& key, rte_eth_conf* conf);

// Writes the table of a started device: entry i leads to the queue of the owner of bucket i, or of
// its relay. False when the device refuses.
bool FillRssTable(uint16_t port_id, const rte_eth_dev_info& info, const stack::Steering& steering,
                  uint16_t queues);

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_RSS_H_
