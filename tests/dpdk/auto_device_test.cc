// tests/dpdk/auto_device_test.cc - `--dev auto`, told from variables and drivers alone.
#include "millrace/dpdk/auto_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace millrace::dpdk {
namespace {

using ::testing::HasSubstr;

HostNetwork Machine() {
  HostNetwork host;
  host.ethernet_devices = {{.address = "0000:01:00.0", .driver = "ixgbe", .interfaces = {"wan0"}},
                           {.address = "0000:41:00.1", .driver = "vfio-pci"},
                           {.address = "0000:43:00.0", .driver = ""}};
  return host;
}

TEST(ChooseDevice, IsWhatTheDevicePluginGave) {
  // Named by the resource, as the sriov-network-device-plugin of k8snetworkplumbingwg does.
  const auto chosen =
      ChooseDevice({"PATH=/bin", "PCIDEVICE_INTEL_COM_SRIOV_INFO={\"0000:03:02.1\":{}}",
                    "PCIDEVICE_INTEL_COM_SRIOV=0000:03:02.1"},
                   Machine());
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_EQ(*chosen, "pci:0000:03:02.1");
}

TEST(ChooseDevice, IsTheOneBoundToVfio) {
  EXPECT_EQ(*ChooseDevice({}, Machine()), "pci:0000:41:00.1");
  EXPECT_EQ(*ChooseDevice({"PCIDEVICE_X=", "PCIDEVICE_"}, Machine()), "pci:0000:41:00.1");
}

TEST(ChooseDevice, SaysWhenThereIsNoneOrMoreThanOne) {
  const auto message = [](const std::vector<std::string>& environment, const HostNetwork& host) {
    const auto chosen = ChooseDevice(environment, host);
    EXPECT_EQ(chosen.status().code(), absl::StatusCode::kFailedPrecondition);
    return std::string(chosen.status().message());
  };
  EXPECT_THAT(message({}, HostNetwork()), HasSubstr("none is bound to vfio-pci"));
  HostNetwork two = Machine();
  two.ethernet_devices[0].driver = "vfio-pci";
  EXPECT_THAT(message({}, two), HasSubstr("0000:01:00.0, 0000:41:00.1 bound to vfio-pci"));
  EXPECT_THAT(message({"PCIDEVICE_A_B=0000:03:02.1,0000:03:04.3"}, two),
              HasSubstr("0000:03:02.1, 0000:03:04.3 by PCIDEVICE_*"));
}

}  // namespace
}  // namespace millrace::dpdk
