// Machines made of files: what is read from them, and what is said about them.

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "apps/machine/doctor.h"
#include "apps/machine/nic_plan.h"
#include "testing/golden.h"

namespace millrace::apps {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A folder that is gone afterwards, with what the kernel would show in it.
class Machine {
 public:
  Machine() : root_(fs::path(::testing::TempDir()) / "millrace-machine-test") {
    fs::remove_all(root_);
    Add("proc/sys/kernel/osrelease", "6.1.0-40-amd64\n");
    Add("proc/self/status", Status("0-1", "0"));
    Add("proc/self/cgroup", "0::/\n");
    Add("proc/meminfo", "MemTotal:  8000000 kB\nMemAvailable:    4194304 kB\n");
    Add("sys/devices/system/node/online", "0\n");
  }
  ~Machine() { fs::remove_all(root_); }

  static std::string Status(const std::string& cpus, const std::string& capabilities,
                            const std::string& uid = "1000") {
    return "Name:\tmillrace\nUid:\t" + uid + "\t" + uid + "\t" + uid + "\t" + uid + "\nCapEff:\t" +
           capabilities + "\nCpus_allowed_list:\t" + cpus + "\n";
  }
  void Add(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void Link(const std::string& path, const std::string& target) {
    fs::create_directories((root_ / path).parent_path());
    fs::create_symlink(target, root_ / path);
  }
  // A device of class 0x020000 at `address`.
  void AddNic(const std::string& address, const std::string& driver, const std::string& interface,
              const std::string& group) {
    const std::string device = "sys/bus/pci/devices/" + address;
    Add(device + "/class", "0x020000\n");
    Add(device + "/vendor", "0x8086\n");
    Add(device + "/device", "0x1572\n");
    Add(device + "/numa_node", "-1\n");
    if (!driver.empty()) Link(device + "/driver", "../../drivers/" + driver);
    if (!interface.empty()) {
      Add(device + "/net/" + interface + "/operstate", "up\n");
      Add(device + "/net/" + interface + "/speed", "10000\n");
    }
    if (!group.empty()) {
      Link(device + "/iommu_group", "../../../kernel/iommu_groups/" + group);
      Add("sys/kernel/iommu_groups/" + group + "/devices/" + address, "");
    }
  }
  void Remove(const std::string& path) { fs::remove(root_ / path); }
  void AddDrivers() {
    for (const char* name : {"mempool_ring", "net_af_packet", "net_af_xdp", "net_tap", "net_i40e",
                             "net_mlx5", "net_ring"}) {
      Add(std::string("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_") + name + ".so.23", "");
    }
  }
  MachineFacts Facts() const { return ReadFacts(root_.string()); }
  std::string Text() const { return DoctorText(Diagnose(Facts())); }

 private:
  fs::path root_;
};

// A bench machine: huge pages, IOMMU, vfio-pci, two NICs, root.
void MakeBench(Machine& m) {
  m.Add("proc/self/status", Machine::Status("0-7", "000001ffffffffff", "0"));
  m.Add("proc/mounts", "bpf /sys/fs/bpf bpf rw 0 0\n");
  m.Add("proc/net/route", "Iface\tDestination\tGateway\nens1\t00000000\t0100000A\t0003\n");
  m.Add("sys/devices/system/node/online", "0-1\n");
  m.Add("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "1024\n");
  m.Add("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "1000\n");
  m.Add("sys/bus/pci/drivers/vfio-pci/bind", "");
  m.Add("dev/vfio/vfio", "");
  m.Add("dev/net/tun", "");
  m.AddDrivers();
  m.AddNic("0000:01:00.0", "i40e", "ens1", "1");
  m.AddNic("0000:41:00.0", "i40e", "ens2", "2");
  m.AddNic("0000:41:00.1", "vfio-pci", "", "3");
  m.AddNic("0000:42:00.0", "mlx5_core", "ens4", "4");
  m.AddNic("0000:43:00.0", "i40e", "ens5", "5");
  m.AddNic("0000:43:00.1", "i40e", "ens6", "5");
  m.Add("sys/bus/pci/devices/0000:00:1f.0/class", "0x060100\n");
}

// A small container without anything.
void MakeContainer(Machine& m) {
  m.Add(".dockerenv", "");
  m.Add("proc/self/status", Machine::Status("2-3", "0000000000000000"));
  m.Add("proc/self/cgroup", "0::/pod/x\n");
  m.Add("proc/self/limits", "Max locked memory         65536                65536      bytes\n");
  m.Add("sys/fs/cgroup/pod/x/cpuset.cpus.effective", "2-3\n");
  m.Add("sys/fs/cgroup/pod/x/cpu.max", "150000 100000\n");
  m.Add("sys/fs/cgroup/pod/x/memory.max", "134217728\n");
  for (const char* cpu : {"cpu2", "cpu3"}) {
    m.Add(std::string("sys/devices/system/cpu/") + cpu + "/topology/thread_siblings_list", "2-3\n");
  }
}

TEST(CpuList, IsReadAsTheKernelWritesIt) {
  EXPECT_THAT(ParseCpuList("0-2,5,7-7"), ElementsAre(0, 1, 2, 5, 7));
  EXPECT_THAT(ParseCpuList("3"), ElementsAre(3));
  EXPECT_THAT(ParseCpuList(""), IsEmpty());
  EXPECT_THAT(ParseCpuList("1,x"), ElementsAre(1));
  EXPECT_THAT(ParseCpuList("2-"), IsEmpty());
  EXPECT_EQ(ParseCpuList("0-99999999999"), std::vector<int>());
}

TEST(Facts, BenchIsReadAsItIs) {
  Machine m;
  MakeBench(m);
  const MachineFacts f = m.Facts();
  EXPECT_EQ(f.kernel, "6.1.0-40-amd64");
  EXPECT_EQ(f.cpus.size(), 8u);
  EXPECT_EQ(f.numa_nodes, 2);
  EXPECT_EQ(f.available_bytes, 4'294'967'296u);
  EXPECT_EQ(f.huge_2m_free, 1000u);
  EXPECT_TRUE(f.root && f.iommu && f.vfio_pci && f.tun && f.bpf_mounted);
  EXPECT_TRUE(f.Has(kCapBpf));
  ASSERT_EQ(f.nics.size(), 6u);  // the bridge is none
  EXPECT_TRUE(f.nics[0].default_route);
  EXPECT_EQ(f.nics[1].interface, "ens2");
  EXPECT_EQ(f.nics[1].vendor_id, "8086:1572");
  EXPECT_EQ(f.nics[1].speed_mbit, 10'000);
  EXPECT_EQ(f.nics[2].driver, "vfio-pci");
  EXPECT_THAT(f.nics[4].group_peers, ElementsAre("0000:43:00.1"));
}

TEST(Facts, EmptyRootIsAMachineOfWhichNothingIsKnown) {
  const MachineFacts f = ReadFacts("/nowhere/at/all");
  EXPECT_THAT(f.cpus, IsEmpty());
  EXPECT_THAT(f.nics, IsEmpty());
  EXPECT_FALSE(f.root);
  EXPECT_TRUE(AnyFails(Diagnose(f)));
}

TEST(Doctor, BenchIsTheGoldenText) {
  Machine m;
  MakeBench(m);
  millrace::testing::ExpectGolden(m.Text() + "\n" + NicTable(m.Facts()),
                                  "tests/golden/doctor_bench.golden");
}

TEST(Doctor, ContainerIsTheGoldenText) {
  Machine m;
  MakeContainer(m);
  millrace::testing::ExpectGolden(m.Text(), "tests/golden/doctor_container.golden");
  EXPECT_TRUE(AnyFails(Diagnose(m.Facts())));
}

// Everything that is wrong ends in a command or in words on what to do.
TEST(Doctor, EveryWarningHasARemedy) {
  for (void (*make)(Machine&) : {MakeBench, MakeContainer}) {
    Machine m;
    make(m);
    for (const Finding& f : Diagnose(m.Facts())) {
      if (f.level >= Level::kWarn) {
        EXPECT_NE(f.remedy, "") << f.subject;
      }
    }
  }
}

TEST(Doctor, BenchRuns) {
  Machine m;
  MakeBench(m);
  EXPECT_FALSE(AnyFails(Diagnose(m.Facts())));
}

TEST(Doctor, EachMissingThingOfAfXdpIsNamedByItself) {
  Machine m;
  MakeBench(m);
  EXPECT_THAT(m.Text(), HasSubstr("ok    --dev afxdp      usable"));
  m.Add("proc/mounts", "");
  EXPECT_THAT(m.Text(), HasSubstr("-> sudo mount -t bpf bpf /sys/fs/bpf"));
  m.Add("proc/self/status", Machine::Status("0-1", "0000000000002000"));
  EXPECT_THAT(m.Text(), HasSubstr("not usable: needs the capabilities NET_RAW, NET_ADMIN and BPF"));
  EXPECT_THAT(m.Text(), HasSubstr("ok    --dev afpacket   usable"));
}

TEST(Doctor, DriverThatIsNotInstalledHasItsPackage) {
  Machine m;
  m.Add("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_net_ring.so.23", "");
  EXPECT_THAT(m.Text(), HasSubstr("-> sudo apt-get install librte-net-af-packet23"));
}

TEST(Doctor, WithoutPoolsOfPacketsNothingRuns) {
  Machine m;
  MakeBench(m);
  m.Remove("usr/lib/x86_64-linux-gnu/dpdk/pmds-23.0/librte_mempool_ring.so.23");
  EXPECT_TRUE(AnyFails(Diagnose(m.Facts())));
  EXPECT_THAT(m.Text(), HasSubstr("-> sudo apt-get install librte-mempool-ring23"));
}

TEST(Doctor, JsonSaysTheSame) {
  Machine m;
  MakeContainer(m);
  const auto findings = Diagnose(m.Facts());
  const auto json = DoctorJson(findings);
  ASSERT_EQ(json["findings"].size(), findings.size());
  EXPECT_EQ(json["findings"][0]["level"], "ok");
  EXPECT_EQ(json["findings"][0]["subject"], "kernel");
}

std::string PlanOf(const Machine& m, const std::string& name) {
  const auto plan = NicPlan(m.Facts(), name);
  return plan.ok() ? *plan : "refused: " + std::string(plan.status().message());
}

TEST(NicPlan, BindsToVfioAndSaysTheWayBack) {
  Machine m;
  MakeBench(m);
  const std::string plan =
      "# 0000:41:00.0 (8086:1572) on i40e\n"
      "sudo ip link set ens2 down\n"
      "sudo dpdk-devbind.py --bind=vfio-pci 0000:41:00.0\n"
      "millrace serve --dev pci:0000:41:00.0 ...\n"
      "# back to the kernel:\n"
      "sudo dpdk-devbind.py --bind=i40e 0000:41:00.0\n";
  EXPECT_EQ(PlanOf(m, "0000:41:00.0"), plan);
  EXPECT_EQ(PlanOf(m, "41:00.0"), plan);
  EXPECT_EQ(PlanOf(m, "ens2"), plan);
}

TEST(NicPlan, BeginsWithWhatTheMachineLacks) {
  Machine m;
  m.AddNic("0000:41:00.0", "i40e", "ens2", "");
  EXPECT_THAT(PlanOf(m, "ens2"),
              HasSubstr("sudo sysctl vm.nr_hugepages=512\nsudo modprobe vfio-pci\n# there is no "
                        "IOMMU"));
}

TEST(NicPlan, DeviceThatSharesWithItsKernelDriverStays) {
  Machine m;
  MakeBench(m);
  EXPECT_THAT(PlanOf(m, "ens4"), HasSubstr("nothing to bind"));
  EXPECT_THAT(PlanOf(m, "ens4"), Not(HasSubstr("devbind")));
  EXPECT_THAT(PlanOf(m, "0000:41:00.1"), HasSubstr("# it is bound already"));
}

TEST(NicPlan, RefusesWhatWouldCutTheMachineOff) {
  Machine m;
  MakeBench(m);
  EXPECT_THAT(PlanOf(m, "ens1"), HasSubstr("refused: 0000:01:00.0 (ens1) carries the default"));
  EXPECT_THAT(PlanOf(m, "ens5"), HasSubstr("shares IOMMU group 5 with 0000:43:00.1"));
  EXPECT_THAT(PlanOf(m, "eth9"), HasSubstr("refused: there is no PCI network device eth9"));
}

}  // namespace
}  // namespace millrace::apps
