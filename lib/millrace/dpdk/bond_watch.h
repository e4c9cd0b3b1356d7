// dpdk/bond_watch.h - moves a bond to another of its ports when the one that carries has no link.
//
// The driver of a bond does so by itself when that of a port reports the event, which not all do:
// that of a tap (22.11) knows that its link is down and tells nobody. So this looks, every 20 ms,
// in the thread of DPDK's interrupts, in which the reports of drivers are handled too.
#ifndef MILLRACE_DPDK_BOND_WATCH_H_
#define MILLRACE_DPDK_BOND_WATCH_H_

#include <atomic>
#include <cstdint>
#include <vector>

namespace millrace::dpdk {

class BondWatch {
 public:
  // Of a bond that was started, and its ports in the order of preference. EAL's numbers.
  BondWatch(uint16_t bond, std::vector<uint16_t> members);
  // Returns when no look is under way any more. Before the ports are closed.
  ~BondWatch();
  BondWatch(const BondWatch&) = delete;
  BondWatch& operator=(const BondWatch&) = delete;

  // How many times another port has taken over.
  uint64_t changes() const { return changes_.load(std::memory_order_relaxed); }

 private:
  static void OnAlarm(void* watch);
  void Look();

  uint16_t bond_;
  std::vector<uint16_t> members_;
  std::atomic<uint64_t> changes_ = 0;
};

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_BOND_WATCH_H_
