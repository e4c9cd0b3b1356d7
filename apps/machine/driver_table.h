// machine/driver_table.h - which driver of DPDK serves the hardware of a kernel driver.
#ifndef MILLRACE_APPS_MACHINE_DRIVER_TABLE_H_
#define MILLRACE_APPS_MACHINE_DRIVER_TABLE_H_

#include <array>
#include <string_view>

namespace millrace::apps {

struct DriverPair {
  std::string_view kernel, dpdk;
  bool shared = false;  // works beside the kernel driver, which must stay
  bool slow = false;    // 1 Gbit/s hardware
};

// From the guides of DPDK 22.11's network drivers.
inline constexpr std::array<DriverPair, 17> kDriverPairs{{{"mlx5_core", "net_mlx5", true},
                                                          {"mlx4_core", "net_mlx4", true},
                                                          {"mana", "net_mana", true},
                                                          {"ice", "net_ice"},
                                                          {"i40e", "net_i40e"},
                                                          {"iavf", "net_iavf"},
                                                          {"ixgbe", "net_ixgbe"},
                                                          {"ixgbevf", "net_ixgbe"},
                                                          {"igc", "net_igc", false, true},
                                                          {"igb", "net_e1000", false, true},
                                                          {"e1000e", "net_e1000", false, true},
                                                          {"e1000", "net_e1000", false, true},
                                                          {"bnxt_en", "net_bnxt"},
                                                          {"ena", "net_ena"},
                                                          {"gve", "net_gve"},
                                                          {"vmxnet3", "net_vmxnet3"},
                                                          {"virtio-pci", "net_virtio"}}};

// Null when DPDK is not known to serve it.
constexpr const DriverPair* PairOf(std::string_view kernel_driver) {
  for (const DriverPair& pair : kDriverPairs) {
    if (pair.kernel == kernel_driver) return &pair;
  }
  return nullptr;
}

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_MACHINE_DRIVER_TABLE_H_
