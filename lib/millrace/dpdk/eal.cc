#include "millrace/dpdk/eal.h"

#include <fcntl.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <rte_version.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "millrace/dpdk/interrupt_thread.h"
#include "millrace/dpdk/pipe_signal.h"

namespace millrace::dpdk {
namespace {

constexpr uint32_t kMemoryMbMin = 32;
constexpr absl::string_view kProgram = "millrace: ";  // before what getopt complains of
constexpr size_t kHugePageBytes = size_t{2} << 20;

std::string FilePrefix(int process_id) { return absl::StrCat("millrace-", process_id); }

// Restores the calling thread's CPU affinity: EAL pins the thread that starts it.
class AffinityKeeper {
 public:
  AffinityKeeper() : valid_(sched_getaffinity(0, sizeof mask_, &mask_) == 0) {}
  ~AffinityKeeper() {
    if (valid_) sched_setaffinity(0, sizeof mask_, &mask_);
  }
  AffinityKeeper(const AffinityKeeper&) = delete;
  AffinityKeeper& operator=(const AffinityKeeper&) = delete;

 private:
  cpu_set_t mask_;
  bool valid_;
};

// EAL makes a directory for files that are never written with --no-shconf or --in-memory.
void RemoveRuntimeDirectory(int process_id) {
  const std::filesystem::path directory(rte_eal_get_runtime_dir());
  if (directory.filename() != FilePrefix(process_id)) return;  // --file-prefix given in `extra`
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  // The parent is the user's own: left in /tmp, it would be in the way of the next user.
  if (directory.parent_path() == "/tmp/dpdk") std::filesystem::remove("/tmp/dpdk", ignored);
}

absl::StatusOr<bool> ChooseHugePages(const EalOptions& options) {
  if (options.huge_pages == HugePages::kOff) return false;
  const uint32_t free_mb = UsableHugePagesMb();
  if (free_mb >= options.memory_mb) return true;
  if (options.huge_pages == HugePages::kAuto) return false;
  return absl::ResourceExhaustedError(absl::StrCat(
      "huge pages: ", options.memory_mb, " MB are needed and ", free_mb,
      " MB of 2 MiB pages are free and usable; reserve them as root with 'sysctl vm.nr_hugepages=",
      (options.memory_mb + 1) / 2, "', or run without huge pages"));
}

absl::Status ExtraError(absl::string_view extra, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("extra EAL arguments \"", extra, "\": ", why.empty() ? "refused" : why));
}

absl::Status StartError(int error, const EalOptions& options, bool huge_pages,
                        const std::string& log) {
  if (error == EALREADY) {
    return absl::FailedPreconditionError(
        "DPDK was started in this process before and can be started only once");
  }
  const std::string line = MostRelevantLine(log);
  const std::string found = line.empty() ? "" : absl::StrCat(" (", line, ")");
  const std::string extra = absl::StrJoin(options.extra, " ");
  if (error == EINVAL && !extra.empty())
    return ExtraError(extra, absl::StripPrefix(line, kProgram));
  std::string advice;
  if (!options.extra.empty()) {
    advice = absl::StrCat("check the extra arguments \"", extra, "\", or leave them out");
  } else if (!options.vdevs.empty()) {
    advice = "check the virtual devices named";
  } else if (!options.pci_allowed.empty()) {
    advice =
        "check that the PCI devices exist, are bound to vfio-pci and that this user may use "
        "them";
  } else if (huge_pages) {
    advice = "try it without huge pages";
  } else {
    advice = absl::StrCat("check that ", options.memory_mb, " MB of memory can be had");
  }
  return absl::FailedPreconditionError(absl::StrCat("DPDK does not start: ", advice, found));
}

}  // namespace

uint32_t UsableHugePagesMb() {
  std::ifstream file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  uint32_t pages = 0;
  if (!(file >> pages) || pages == 0) return 0;
  // Free pages may still be out of reach (limits of a container, reservations): map one.
  void* probe = mmap(nullptr, kHugePageBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
  if (probe == MAP_FAILED) return 0;
  munmap(probe, kHugePageBytes);
  return pages * 2;
}

std::vector<std::string> EalArguments(const EalOptions& options, bool huge_pages, int cpu,
                                      int process_id) {
  std::vector<std::string> args = {"millrace"};
  // One EAL thread, where we are; workers are threads of ours that register.
  args.push_back(absl::StrCat("--lcores=0@", cpu));
  args.push_back(absl::StrCat("--file-prefix=", FilePrefix(process_id)));
  args.push_back("--no-telemetry");
  if (huge_pages) {
    args.push_back("--in-memory");
  } else {  // refused together with --in-memory by DPDK 22.11
    args.push_back("--no-huge");
    args.push_back("--no-shconf");
  }
  args.push_back("-m");
  args.push_back(absl::StrCat(options.memory_mb));
  if (options.pci_allowed.empty()) {
    args.push_back("--no-pci");
    args.push_back("--iova-mode=va");  // no device needs physical addresses: none are looked up
  }
  for (const std::string& address : options.pci_allowed) {
    args.push_back("-a");
    args.push_back(address);
  }
  for (const std::string& vdev : options.vdevs) args.push_back(absl::StrCat("--vdev=", vdev));
  args.insert(args.end(), options.extra.begin(), options.extra.end());
  return args;
}

absl::StatusOr<std::unique_ptr<Eal>> Eal::Start(const EalOptions& options) {
  if (options.memory_mb < kMemoryMbMin) {
    return absl::InvalidArgumentError(absl::StrCat("packet memory of ", options.memory_mb,
                                                   " MB is too little; give at least ",
                                                   kMemoryMbMin, " MB"));
  }
  const absl::StatusOr<bool> huge = ChooseHugePages(options);
  if (!huge.ok()) return huge.status();

  const int cpu = std::max(sched_getcpu(), 0);
  std::vector<std::string> args = EalArguments(options, *huge, cpu, getpid());
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);

  int result = 0, error = 0;
  std::string log;
  {
    AffinityKeeper keeper;
    const PipeSignalBlocker blocker;
    OutputCapture capture;
    rte_log_set_global_level(RTE_LOG_NOTICE);
    result = rte_eal_init(static_cast<int>(args.size()), argv.data());
    error = rte_errno;
    log = capture.Stop();
  }
  if (result < 0) return StartError(error, options, *huge, log);
  // EAL says how many words it took, and is silent about those that are no options.
  if (static_cast<size_t>(result) + 1 < args.size()) {
    const OutputCapture quiet;
    rte_eal_cleanup();
    return ExtraError(absl::StrJoin(options.extra, " "), "some of it is neither option nor value");
  }
  RemoveRuntimeDirectory(getpid());
  // Errors stay visible to a developer who asks for them by `extra`; users read our own messages.
  const bool wants_log = std::any_of(options.extra.begin(), options.extra.end(), [](const auto& a) {
    return absl::StartsWith(a, "--log-level");
  });
  if (wants_log) {
    std::fputs(log.c_str(), stderr);
  } else {
    rte_log_set_global_level(RTE_LOG_CRIT);
  }

  std::unique_ptr<Eal> eal(new Eal);
  eal->huge_pages_ = *huge;
  eal->memory_mb_ = options.memory_mb;
  eal->pci_devices_ = options.pci_allowed.size();
  return eal;
}

Eal::~Eal() {
  OutputCapture capture;
  ParkInterruptThread();
  rte_eal_cleanup();
}

std::string Eal::Describe() const {
  return absl::StrCat(rte_version(), ", ", memory_mb_, " MB in ",
                      huge_pages_ ? "huge pages" : "plain memory", ", ",
                      pci_devices_ == 0 ? "no PCI" : absl::StrCat(pci_devices_, " PCI device(s)"));
}

OutputCapture::OutputCapture() {
  file_ = memfd_create("dpdk-log", MFD_CLOEXEC);
  if (file_ < 0) return;  // then the output is shown, which is better than none
  std::fflush(stdout);
  std::fflush(stderr);
  saved_stdout_ = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  saved_stderr_ = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  if (saved_stdout_ >= 0) dup2(file_, STDOUT_FILENO);
  if (saved_stderr_ >= 0) dup2(file_, STDERR_FILENO);
  // EAL's own default stream also writes to syslog; ours does not.
  stream_ = fdopen(fcntl(file_, F_DUPFD_CLOEXEC, 3), "a");
  if (stream_ != nullptr) {
    setvbuf(stream_, nullptr, _IOLBF, 0);
    rte_openlog_stream(stream_);
  }
}

std::string OutputCapture::Stop() {
  if (file_ < 0) return "";
  std::fflush(stdout);
  std::fflush(stderr);
  if (saved_stdout_ >= 0) dup2(saved_stdout_, STDOUT_FILENO);
  if (saved_stderr_ >= 0) dup2(saved_stderr_, STDERR_FILENO);
  if (stream_ != nullptr) {
    rte_openlog_stream(stderr);
    std::fclose(stream_);
  }
  std::string text;
  char buffer[4096];
  lseek(file_, 0, SEEK_SET);
  for (ssize_t n; (n = read(file_, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  for (int fd : {file_, saved_stdout_, saved_stderr_}) {
    if (fd >= 0) close(fd);
  }
  file_ = -1;
  return text;
}

OutputCapture::~OutputCapture() { Stop(); }

std::string MostRelevantLine(absl::string_view log) {
  static constexpr absl::string_view kSigns[] = {
      "cannot",  "could not", "fail",      "invalid",       "error",  "unable",       "unknown",
      "no such", "not found", "not exist", "not permitted", "denied", "unrecognized", "requires"};
  std::string last, relevant;
  for (absl::string_view line : absl::StrSplit(absl::string_view(log), '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) continue;
    last = std::string(line);
    const std::string lower = absl::AsciiStrToLower(last);
    // The first complaint is the cause; those after it are its consequences.
    const bool complains = std::any_of(std::begin(kSigns), std::end(kSigns),
                                       [&](auto sign) { return absl::StrContains(lower, sign); });
    if (complains && relevant.empty()) relevant = last;
  }
  return relevant.empty() ? last : relevant;
}

}  // namespace millrace::dpdk
