// apps/millrace/doctor.cc - `millrace doctor` and `millrace nic`: what this machine can do. Both
// read only.

#include "apps/machine/doctor.h"

#include <memory>
#include <string>
#include <vector>

#include "apps/common/exit_code.h"
#include "apps/machine/nic_plan.h"
#include "apps/millrace/subcommand.h"
#include "apps/result/write_file.h"

namespace millrace::apps {
namespace {

int Print(const std::string& text, ExitCode code) {
  const absl::Status written = WriteFile("-", text);
  return written.ok() ? code : Report(written);
}

// For tests: a folder with proc, sys, dev and usr of another machine.
void AddRoot(CLI::App& app, std::string* root) {
  app.add_option("--root", *root, "read proc, sys, dev and usr below DIR")->type_name("DIR");
}

}  // namespace

std::vector<Subcommand> AddDoctor(CLI::App& program) {
  struct Flags {
    std::string root, name;
    bool json = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* doctor = program.add_subcommand(
      "doctor", "what this machine can do, and the command that mends what it cannot");
  AddRoot(*doctor, &flags->root);
  doctor->add_flag("--json", flags->json, "JSON instead of text");
  const auto diagnose = [flags](StopSignals&) {
    const std::vector<Finding> findings = Diagnose(ReadFacts(flags->root));
    return Print(flags->json ? DoctorJson(findings).dump(2) + "\n" : DoctorText(findings),
                 AnyFails(findings) ? kEnvironment : kPass);
  };
  CLI::App* nic = program.add_subcommand("nic", "network devices: which, and how to use them");
  CLI::App* list = nic->add_subcommand("list", "the PCI network devices");
  AddRoot(*list, &flags->root);
  CLI::App* plan = nic->add_subcommand("plan", "commands that give one to DPDK; runs none of them");
  plan->add_option("device", flags->name, "PCI address or interface")->required()->type_name("NIC");
  AddRoot(*plan, &flags->root);
  return {{doctor, diagnose, false},
          {list, [flags](StopSignals&) { return Print(NicTable(ReadFacts(flags->root)), kPass); },
           false},
          {plan,
           [flags](StopSignals&) -> int {
             const auto text = NicPlan(ReadFacts(flags->root), flags->name);
             return text.ok() ? Print(*text, kPass) : Report(text.status());
           },
           false}};
}

}  // namespace millrace::apps
