// dpdk/auto_device.h - `--dev auto`: the device that was meant for us, if that can be told.
#ifndef MILLRACE_DPDK_AUTO_DEVICE_H_
#define MILLRACE_DPDK_AUTO_DEVICE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "millrace/dpdk/port_config.h"

namespace millrace::dpdk {

// "pci:0000:41:00.1": the device that Kubernetes' SR-IOV device plugin gave this container, which
// it says in a variable PCIDEVICE_VENDOR_RESOURCE=ADDRESS,...; else the only network device that is
// bound to vfio-pci. kFailedPrecondition, with what to do, when there is none or more than one.
// `environment`: "NAME=value" each. Nothing is touched.
absl::StatusOr<std::string> ChooseDevice(const std::vector<std::string>& environment,
                                         const HostNetwork& host);
// That of this process.
std::vector<std::string> ReadEnvironment();

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_AUTO_DEVICE_H_
