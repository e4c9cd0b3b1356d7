#include "bench/rate/processes.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/rate/report.h"
#include "bench/rate/side_by_side.h"
#include "millrace/dpdk/worker.h"

extern char** environ;

namespace millrace::bench {
namespace {

constexpr int kGraceMs = 10'000;  // for a process that was told to end

// A child of ours and its standard output.
class OwnedProcess {
 public:
  static absl::StatusOr<std::unique_ptr<OwnedProcess>> Start(
      const std::vector<std::string>& arguments) {
    std::array<int, 2> ends;
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return absl::ResourceExhaustedError("no pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    // In a group of its own: what a terminal sends is for the parent, which ends both in order.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    std::vector<std::string> words = arguments;
    words.insert(words.begin(), "rate");
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    std::unique_ptr<OwnedProcess> process(new OwnedProcess(ends[0]));
    const int error = posix_spawn(&process->id_, "/proc/self/exe", &actions, &attributes,
                                  pointers.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(ends[1]);
    if (error != 0) {
      process->id_ = -1;
      return absl::ResourceExhaustedError("the second process cannot be started");
    }
    return process;
  }
  ~OwnedProcess() {
    Stop();
    close(output_);
  }
  OwnedProcess(const OwnedProcess&) = delete;
  OwnedProcess& operator=(const OwnedProcess&) = delete;

  // One line of its output, unless `stop` comes first; what was wrong is on the standard error
  // already.
  absl::StatusOr<std::string> ReadLine(int timeout_ms, apps::StopSignals& stop) {
    constexpr int kStepMs = 50;
    std::string line;
    char octet = 0;
    pollfd wait = {.fd = output_, .events = POLLIN};
    for (int waited_ms = 0; waited_ms < timeout_ms;) {
      if (stop.Wait(Duration())) return Interrupted();
      if (poll(&wait, 1, kStepMs) <= 0) {
        waited_ms += kStepMs;
        continue;
      }
      if (read(output_, &octet, 1) != 1) return absl::InternalError("a process ended too early");
      if (octet == '\n') return line;
      line += octet;
    }
    return absl::DeadlineExceededError("no report in time");
  }

  void Interrupt() const { kill(id_, SIGTERM); }
  // SIGTERM, and SIGKILL when that does not help.
  void Stop() {
    if (id_ <= 0) return;
    Interrupt();
    constexpr int kStepMs = 10;
    for (int waited = 0; waitpid(id_, nullptr, WNOHANG) == 0; waited += kStepMs) {
      if (waited == kGraceMs) kill(id_, SIGKILL);
      poll(nullptr, 0, kStepMs);
    }
    id_ = -1;
  }

 private:
  explicit OwnedProcess(int output) : output_(output) {}

  int output_;
  pid_t id_ = -1;
};

// A directory that goes with its socket.
class SocketFolder {
 public:
  SocketFolder() { made_ = mkdtemp(path_.data()) != nullptr; }
  ~SocketFolder() {
    if (!made_) return;
    unlink(socket().c_str());
    rmdir(path_.c_str());
  }
  SocketFolder(const SocketFolder&) = delete;
  SocketFolder& operator=(const SocketFolder&) = delete;
  bool made() const { return made_; }
  std::string socket() const { return path_ + "/memif.sock"; }

 private:
  std::string path_ = "/tmp/millrace-rate-XXXXXX";
  bool made_ = false;
};

absl::StatusOr<EndReport> ReadReport(OwnedProcess& process, int timeout_ms,
                                     apps::StopSignals& stop) {
  absl::StatusOr<std::string> line = process.ReadLine(timeout_ms, stop);
  if (!line.ok()) return line.status();
  const nlohmann::json json = nlohmann::json::parse(*line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InternalError("not a report: " + *line);
  return EndFromJson(json);
}

}  // namespace

absl::StatusOr<RunResult> RunMemifPair(const Flags& flags, std::vector<std::string> arguments,
                                       bool metered, apps::StopSignals& stop) {
  const SocketFolder folder;
  if (!folder.made()) return absl::ResourceExhaustedError("no directory for the socket in /tmp");
  std::erase_if(arguments, [](const std::string& word) {
    return word == "--memif" || word == "--json" || word == "--driver";
  });
  arguments.push_back("--owned");
  if (metered) arguments.push_back("--driver");
  const std::vector<int> cpus = dpdk::AllowedCpus();
  const auto start = [&](const char* role, size_t number) {
    std::vector<std::string> words = arguments;
    std::string device = "memif:" + folder.socket() + ",role=" + role;
    if (flags.mtu != 0) device += ",mtu=" + std::to_string(flags.mtu);
    words.insert(words.end(), {"--dev", device, "--role", role, "--cpu",
                               std::to_string(cpus[number % cpus.size()])});
    return OwnedProcess::Start(words);
  };
  auto server = start("server", 1);
  if (!server.ok()) return server.status();
  auto client = start("client", 0);
  if (!client.ok()) return client.status();

  // Start, idle connections and drain besides.
  const auto seconds = static_cast<int>(flags.seconds.seconds());
  const int client_ms = 1000 * (flags.count != 0 ? 3600 : seconds + 600);
  RunResult result;
  auto report = ReadReport(**client, client_ms, stop);
  if (!report.ok()) {
    (*server)->Interrupt();  // so that both leave the memif at the same time
    return report.status();
  }
  result.client = *report;
  (*server)->Interrupt();
  report = ReadReport(**server, kGraceMs, stop);
  if (!report.ok()) return report.status();
  result.server = *report;
  return result;
}

}  // namespace millrace::bench
