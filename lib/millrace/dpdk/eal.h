// dpdk/eal.h - starts and ends DPDK's environment (EAL), once per process.
//
// Works without root, without huge pages and without a NIC: huge pages are used when there are
// enough free ones, PCI devices only when they are named. What EAL prints is kept back; when
// something fails, the Status says in one line what to do and quotes the line of EAL that tells
// most. The process keeps its CPU affinity, and no runtime file stays behind.
// Threading: Start and the destructor belong to the main thread. Other threads register
// (dpdk/worker.h) so that they have a mempool cache of their own.
#ifndef MILLRACE_DPDK_EAL_H_
#define MILLRACE_DPDK_EAL_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace millrace::dpdk {

enum class HugePages : uint8_t {
  kAuto,  // when enough are free, else plain memory
  kOn,    // fail when they cannot be had
  kOff,
};

struct EalOptions {
  uint32_t memory_mb = 256;  // of packet memory for the whole process, at least 32
  HugePages huge_pages = HugePages::kAuto;
  std::vector<std::string> pci_allowed;  // "0000:41:00.1"; empty: no PCI device is touched
  std::vector<std::string> vdevs;        // "net_null0,size=64", for devices known at start
  std::vector<std::string> extra;        // raw EAL arguments: the escape hatch, checked by EAL only
};

class Eal {
 public:
  // REQUIRES: not called before in this process (EAL cannot be started twice); a second call
  // returns kFailedPrecondition, even after the first Eal has ended. kInvalidArgument when EAL does
  // not understand `extra`.
  static absl::StatusOr<std::unique_ptr<Eal>> Start(const EalOptions& options);
  ~Eal();  // REQUIRES: every port, pool and ring is gone
  Eal(const Eal&) = delete;
  Eal& operator=(const Eal&) = delete;

  bool huge_pages() const { return huge_pages_; }
  uint32_t memory_mb() const { return memory_mb_; }
  // One line for a start-up banner: "DPDK 22.11.11, 256 MB in plain memory, no PCI".
  std::string Describe() const;

 private:
  Eal() = default;

  bool huge_pages_ = false;
  uint32_t memory_mb_ = 0;
  size_t pci_devices_ = 0;
};

// The arguments that Start hands to EAL, program name first. Separate for tests.
std::vector<std::string> EalArguments(const EalOptions& options, bool huge_pages, int cpu,
                                      int process_id);

// Free 2 MiB huge pages in MB, 0 when none can be mapped by this process.
uint32_t UsableHugePagesMb();

// While it lives, everything that EAL, a driver or a library prints goes into a buffer; the
// standard streams of the process are redirected, so keep its life short and single-threaded.
class OutputCapture {
 public:
  OutputCapture();
  ~OutputCapture();
  OutputCapture(const OutputCapture&) = delete;
  OutputCapture& operator=(const OutputCapture&) = delete;

  // Ends the capture and returns what was printed.
  std::string Stop();

 private:
  int file_ = -1, saved_stdout_ = -1, saved_stderr_ = -1;
  FILE* stream_ = nullptr;
};

// The line of a captured log that explains a failure best: the first that looks like an error,
// else the last one; without line end. Empty for an empty log.
std::string MostRelevantLine(absl::string_view log);

}  // namespace millrace::dpdk

#endif  // MILLRACE_DPDK_EAL_H_
