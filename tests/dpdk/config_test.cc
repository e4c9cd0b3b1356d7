// tests/dpdk/config_test.cc - `--dev`: every form and every message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_ethdev.h>

#include <string>

#include "millrace/dpdk/bond.h"
#include "millrace/dpdk/port_config.h"

namespace millrace::dpdk {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

PortConfig Parsed(const std::string& text) {
  const auto config = ParsePortConfig(text);
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *config : PortConfig{};
}

std::string ParseError(const std::string& text) {
  const auto config = ParsePortConfig(text);
  EXPECT_FALSE(config.ok()) << text;
  const std::string message(config.status().message());
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return message;
}

// A machine with a NIC for the world and one of each kind of trouble.
HostNetwork Machine() {
  HostNetwork host;
  host.interfaces = {
      {.name = "lo", .up = true, .mtu = 65'535, .has_ipv4 = true},
      {.name = "wan0", .up = true, .mtu = 1500, .has_ipv4 = true, .default_route = true},
      {.name = "veth0", .up = true, .mtu = 1500},
      {.name = "veth1", .up = false, .mtu = 1500},
  };
  host.ethernet_devices = {
      {.address = "0000:01:00.0", .driver = "ixgbe", .interfaces = {"wan0"}},
      {.address = "0000:41:00.0", .driver = "ixgbe", .interfaces = {"lan0"}},
      {.address = "0000:41:00.1", .driver = "vfio-pci"},
      {.address = "0000:42:00.0", .driver = "mlx5_core"},
      {.address = "0000:43:00.0", .driver = ""},
  };
  host.cap_net_raw = host.cap_net_admin = host.cap_sys_admin = host.tun_device = true;
  return host;
}

std::string CheckError(const std::string& text, const HostNetwork& host = Machine()) {
  const absl::Status status = CheckPortConfig(Parsed(text), host);
  EXPECT_FALSE(status.ok()) << text;
  const std::string message(status.message());
  EXPECT_THAT(message, StartsWith(text + ": "));  // the user finds what he wrote
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return message;
}

TEST(ParsePortConfig, AcceptsEveryForm) {
  EXPECT_EQ(Parsed("ring").kind, DeviceKind::kRing);
  EXPECT_EQ(Parsed("afpacket:veth0").target, "veth0");
  EXPECT_EQ(Parsed("afpacket:veth0").kind, DeviceKind::kAfPacket);
  EXPECT_EQ(Parsed("afxdp:veth0").kind, DeviceKind::kAfXdp);
  EXPECT_EQ(Parsed("tap:mill0").kind, DeviceKind::kTap);
  EXPECT_EQ(Parsed("memif:/run/m.sock").target, "/run/m.sock");
  EXPECT_FALSE(Parsed("memif:/run/m.sock,role=client").memif_server);
  EXPECT_TRUE(Parsed("memif:/run/m.sock,role=server").memif_server);
  EXPECT_EQ(Parsed("pci:0000:41:00.1").target, "0000:41:00.1");
}

TEST(ParsePortConfig, PciAddressMayLeaveOutTheDomain) {
  EXPECT_EQ(Parsed("pci:41:00.1,mtu=9000").target, "0000:41:00.1");
  EXPECT_EQ(Parsed("pci:AF:00.0").target, "0000:af:00.0");
}

TEST(ParsePortConfig, RawVdevKeepsItsCommas) {
  EXPECT_EQ(Parsed("vdev:net_null0,size=64,copy=1").target, "net_null0,size=64,copy=1");
}

TEST(ParsePortConfig, BondHasItsPorts) {
  const PortConfig bond = Parsed("bond:pci:42:00.0+tap:mill0,mtu=1400");
  EXPECT_EQ(bond.kind, DeviceKind::kBond);
  EXPECT_EQ(bond.mtu, 1400);
  ASSERT_EQ(bond.members.size(), 2u);
  EXPECT_EQ(bond.members[0].target, "0000:42:00.0");
  EXPECT_EQ(bond.members[1].kind, DeviceKind::kTap);
  EXPECT_THAT(bond.PciAddresses(), ElementsAre("0000:42:00.0"));
  EXPECT_THAT(Parsed("pci:41:00.1").PciAddresses(), ElementsAre("0000:41:00.1"));
  EXPECT_THAT(Parsed("tap:t").PciAddresses(), IsEmpty());
}

TEST(ParsePortConfig, BondThatCannotBe) {
  EXPECT_THAT(ParseError("bond:tap:a"), HasSubstr("two ports at least"));
  EXPECT_THAT(ParseError("bond:tap:a+tap:a"), HasSubstr("tap:a stands there twice"));
  EXPECT_THAT(ParseError("bond:tap:a+memif:/m"), HasSubstr("memif:/m cannot be bonded"));
  EXPECT_THAT(ParseError("bond:tap:a+bond:tap:b"), HasSubstr("two ports at least"));
  EXPECT_THAT(ParseError("bond:tap:a+eth1"), HasSubstr("'eth1' names no device"));
  EXPECT_THAT(ParseError("bond"), HasSubstr("write it as bond:DEV+DEV"));
}

TEST(ParsePortConfig, OptionsReachThePort) {
  const PortConfig config =
      Parsed("afpacket:veth0,mtu=1400,rx_checksum=trusted,tx_checksum=device,force=yes");
  EXPECT_TRUE(config.force);
  const DpdkPortOptions options = config.PortOptions();
  EXPECT_EQ(options.mtu, 1400);
  EXPECT_EQ(options.rx_checksum, ChecksumPolicy::kTrusted);
  EXPECT_EQ(options.tx_checksum, ChecksumPolicy::kDevice);
}

TEST(ParsePortConfig, UnknownDeviceListsTheForms) {
  EXPECT_THAT(ParseError("eth0"), AllOf(HasSubstr("'eth0' names no device"),
                                        HasSubstr("afpacket:IFACE"), HasSubstr("ring")));
  EXPECT_THAT(ParseError(""), HasSubstr("names no device"));
  EXPECT_THAT(ParseError("kernel"), HasSubstr("afpacket:IFACE"));
}

TEST(ParsePortConfig, MissingTargetSaysHowToWriteIt) {
  EXPECT_THAT(ParseError("tap"), HasSubstr("write it as tap:NAME"));
  EXPECT_THAT(ParseError("afpacket:"), HasSubstr("write it as afpacket:IFACE"));
  EXPECT_THAT(ParseError("pci:,mtu=1500"), HasSubstr("write it as pci:ADDRESS"));
}

TEST(ParsePortConfig, RingTakesNoTarget) {
  EXPECT_THAT(ParseError("ring:4"), HasSubstr("write it as ring"));
}

TEST(ParsePortConfig, InterfaceNameLongerThanTheKernelTakes) {
  EXPECT_THAT(ParseError("tap:sixteencharacter"), HasSubstr("may have 15 characters"));
  EXPECT_EQ(Parsed("tap:fifteencharacte").target, "fifteencharacte");
}

TEST(ParsePortConfig, InterfaceNameThatCannotBe) {
  for (const char* text : {"tap:a/b", "tap:a b", "afpacket:..", "afxdp:x:1"}) {
    EXPECT_THAT(ParseError(text), HasSubstr("cannot be an interface name"));
  }
}

TEST(ParsePortConfig, PciAddressThatCannotBe) {
  for (const char* text : {"pci:eth1", "pci:0000:41:00.8", "pci:41:00", "pci:0000-41-00.1"}) {
    EXPECT_THAT(ParseError(text), AllOf(HasSubstr("is no PCI address"), HasSubstr("lspci -D")));
  }
}

TEST(ParsePortConfig, SocketPathLongerThanASocketTakes) {
  EXPECT_THAT(ParseError("memif:/" + std::string(107, 'x')), HasSubstr("may have 107 characters"));
}

TEST(ParsePortConfig, RawVdevMustBeANetworkDevice) {
  EXPECT_THAT(ParseError("vdev:crypto_null"), HasSubstr("begins with net_"));
}

TEST(ParsePortConfig, QueuesAreAtMostAsManyAsWorkersCanBe) {
  EXPECT_EQ(ParsePortConfig("tap:t,queues=1")->queues, 1);
  EXPECT_EQ(ParsePortConfig("tap:t")->queues, 0);
  for (const char* bad : {"tap:t,queues=0", "tap:t,queues=129", "tap:t,queues=x"}) {
    EXPECT_FALSE(ParsePortConfig(bad).ok()) << bad;
  }
}

TEST(ParsePortConfig, UnknownOptionListsThoseThatExist) {
  EXPECT_THAT(ParseError("tap:t,speed=9"),
              AllOf(HasSubstr("unknown option 'speed'"), HasSubstr("mtu, queues, rx_checksum")));
  EXPECT_THAT(ParseError("tap:t,role=server"), HasSubstr("unknown option 'role'"));
  EXPECT_THAT(ParseError("tap:t,"), HasSubstr("unknown option ''"));
}

TEST(ParsePortConfig, OptionValueThatCannotBe) {
  EXPECT_THAT(ParseError("tap:t,mtu=x"), HasSubstr("mtu=x is no number from 68 to 9216"));
  EXPECT_THAT(ParseError("tap:t,mtu=67"), HasSubstr("is no number"));
  EXPECT_THAT(ParseError("tap:t,mtu=9217"), HasSubstr("is no number"));
  EXPECT_THAT(ParseError("memif:/m,role=master"), HasSubstr("neither client nor server"));
  EXPECT_THAT(ParseError("tap:t,rx_checksum=off"), HasSubstr("none of auto, software"));
  EXPECT_THAT(ParseError("tap:t,tx_checksum=trusted"), HasSubstr("none of auto, software"));
  EXPECT_THAT(ParseError("tap:t,force=1"), HasSubstr("yes or no"));
}

TEST(CheckPortConfig, AcceptsWhatTheMachineHas) {
  for (const char* text : {"ring", "afpacket:veth0", "afxdp:veth0", "tap:mill0", "memif:/tmp/m",
                           "pci:41:00.1", "pci:42:00.0", "vdev:net_null0"}) {
    const absl::Status status = CheckPortConfig(Parsed(text), Machine());
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(CheckPortConfig, MissingInterfaceListsThoseThatExist) {
  EXPECT_THAT(CheckError("afpacket:veth9"),
              HasSubstr("no such interface; there are lo, wan0, veth0, veth1"));
  EXPECT_THAT(CheckError("afpacket:veth9", HostNetwork{}), HasSubstr("there is none"));
}

TEST(CheckPortConfig, InterfaceThatIsDownSaysHowToBringItUp) {
  EXPECT_THAT(CheckError("afxdp:veth1"), HasSubstr("'ip link set veth1 up'"));
}

TEST(CheckPortConfig, InterfaceWithASmallerMtuSaysHowToRaiseIt) {
  EXPECT_THAT(CheckError("afpacket:veth0,mtu=9000"), HasSubstr("'ip link set veth0 mtu 9000'"));
}

TEST(CheckPortConfig, DefaultRouteIsRefusedUnlessForced) {
  EXPECT_THAT(CheckError("afpacket:wan0"),
              AllOf(HasSubstr("carries the default route"), HasSubstr(",force=yes")));
  EXPECT_THAT(CheckError("pci:01:00.0"),
              AllOf(HasSubstr("wan0"), HasSubstr("default route"), HasSubstr(",force=yes")));
  EXPECT_TRUE(CheckPortConfig(Parsed("afpacket:wan0,force=yes"), Machine()).ok());
}

TEST(CheckPortConfig, MissingRightsNameTheCapability) {
  HostNetwork host = Machine();
  host.cap_net_raw = host.cap_net_admin = host.cap_sys_admin = false;
  EXPECT_THAT(CheckError("afpacket:veth0", host),
              AllOf(HasSubstr("CAP_NET_RAW"), HasSubstr("setcap"), HasSubstr("root")));
  EXPECT_THAT(CheckError("afxdp:veth0", host), HasSubstr("use afpacket:veth0"));
  EXPECT_THAT(CheckError("tap:mill0", host), HasSubstr("CAP_NET_ADMIN"));
}

TEST(CheckPortConfig, TapNeedsTheModuleAndAFreeName) {
  HostNetwork host = Machine();
  EXPECT_THAT(CheckError("tap:veth0", host), HasSubstr("an interface of that name exists"));
  host.tun_device = false;
  EXPECT_THAT(CheckError("tap:mill0", host), HasSubstr("modprobe tun"));
}

TEST(CheckPortConfig, MemifServerNeedsTheDirectory) {
  EXPECT_THAT(CheckError("memif:/no/such/place/m.sock,role=server"),
              HasSubstr("the directory /no/such/place does not exist"));
}

TEST(CheckPortConfig, PciDeviceMustExistAndBeBound) {
  EXPECT_THAT(CheckError("pci:0000:99:00.0"), HasSubstr("there are 0000:01:00.0, 0000:41:00.0"));
  EXPECT_THAT(CheckError("pci:0000:99:00.0", HostNetwork{}), HasSubstr("there is none"));
  EXPECT_THAT(
      CheckError("pci:0000:41:00.0"),
      AllOf(HasSubstr("bound to ixgbe"), HasSubstr("'dpdk-devbind.py -b vfio-pci 0000:41:00.0'")));
  EXPECT_THAT(CheckError("pci:0000:43:00.0"), HasSubstr("bound to no driver"));
}

TEST(CheckPortConfig, EveryPortOfABondIsChecked) {
  EXPECT_TRUE(CheckPortConfig(Parsed("bond:pci:41:00.1+pci:42:00.0"), Machine()).ok());
  EXPECT_THAT(CheckError("bond:pci:41:00.1+pci:43:00.0"), HasSubstr("bound to no driver"));
  EXPECT_THAT(CheckError("bond:pci:41:00.1+pci:01:00.0"), HasSubstr("default route"));
  EXPECT_THAT(CheckError("bond:tap:mill0+tap:veth0"), HasSubstr("of that name exists"));
}

TEST(PortConfigWarning, KernelAddressOnAPacketSocketInterface) {
  EXPECT_THAT(PortConfigWarning(Parsed("afpacket:wan0"), Machine()), HasSubstr("RST"));
  EXPECT_EQ(PortConfigWarning(Parsed("afpacket:veth0"), Machine()), "");
  EXPECT_EQ(PortConfigWarning(Parsed("tap:mill0"), Machine()), "");
}

TEST(VdevFor, AfPacketFramesHoldTheMtuAndFillTheirBlocks) {
  EXPECT_EQ(AfPacketFrameOctets(1500), 2048u);
  EXPECT_EQ(AfPacketFrameOctets(9000), 16'384u);
  const VdevName vdev = VdevFor(Parsed("afpacket:veth0"), Machine(), 3);
  EXPECT_EQ(vdev.name, "net_af_packet3");
  EXPECT_EQ(vdev.arguments, "iface=veth0,qpairs=1,framesz=2048,framecnt=2048,blocksz=65536");
}

TEST(VdevFor, EveryKindGetsItsDriver) {
  const HostNetwork host = Machine();
  EXPECT_EQ(VdevFor(Parsed("tap:mill0"), host, 0).name, "net_tap0");
  EXPECT_EQ(VdevFor(Parsed("tap:mill0"), host, 0).arguments, "iface=mill0");
  EXPECT_EQ(VdevFor(Parsed("afxdp:veth0"), host, 1).name, "net_af_xdp1");
  EXPECT_EQ(VdevFor(Parsed("afxdp:veth0"), host, 1, 1, 3).arguments,
            "iface=veth0,start_queue=3,queue_count=1");
  EXPECT_EQ(BondVdev(5, {"net_tap0", "0000:41:00.1"}).name, "net_bonding5");
  EXPECT_EQ(BondVdev(5, {"net_tap0", "0000:41:00.1"}).arguments,
            "mode=1,slave=net_tap0,slave=0000:41:00.1,primary=net_tap0");
  EXPECT_THAT(VdevFor(Parsed("memif:/tmp/m,role=server"), host, 2).arguments,
              AllOf(HasSubstr("role=server"), HasSubstr("socket=/tmp/m")));
  // The same address at every start, another at the other end.
  const auto memif = [&](const char* text) { return VdevFor(Parsed(text), host, 0).arguments; };
  EXPECT_THAT(memif("memif:/tmp/m,role=server"), HasSubstr(",mac=02:01:"));
  EXPECT_THAT(memif("memif:/tmp/m"), HasSubstr(",mac=02:02:"));
  EXPECT_EQ(VdevFor(Parsed("vdev:net_null7,size=64"), host, 2).name, "net_null7");
  EXPECT_EQ(VdevFor(Parsed("vdev:net_null7,size=64"), host, 2).arguments, "size=64");
  EXPECT_EQ(VdevFor(Parsed("vdev:net_null7"), host, 2).arguments, "");
}

TEST(ReadHostNetwork, FindsTheLoopbackInterface) {
  const HostNetwork host = ReadHostNetwork();
  ASSERT_NE(host.Find("lo"), nullptr);
  EXPECT_FALSE(host.Find("lo")->default_route);
  EXPECT_EQ(host.Find("no such name"), nullptr);
}

TEST(AttachedPort, RawVdevOpensAndIsRemoved) {
  auto config = Parsed("vdev:net_null7,size=100");
  DpdkPortOptions options = config.PortOptions();
  options.packets = 2047;
  for (int i = 0; i < 2; ++i) {  // the second time finds the name free again
    auto attached = AttachedPort::Open(config, options);
    ASSERT_TRUE(attached.ok()) << attached.status();
    stack::RxFrame frames[4];
    DpdkPort& port = (*attached)->port();
    ASSERT_EQ(port.RxBurst(Instant(), frames), 4u);  // net_null always has frames
    EXPECT_EQ(frames[0].length, 100u);
    for (const auto& frame : frames) port.Free(std::span(&frame.packet, 1));
  }
  EXPECT_EQ(rte_eth_dev_count_avail(), 0);
}

TEST(AttachedPort, XdpQueuesThatNobodyWouldHearAreRefused) {
  HostNetwork host = Machine();
  host.interfaces[2].rx_queues = 4;
  EXPECT_EQ(CheckXdpQueues(Parsed("afxdp:veth0"), host, 4).message(), "");
  EXPECT_THAT(std::string(CheckXdpQueues(Parsed("afxdp:veth0"), host, 2).message()),
              AllOf(HasSubstr("4 receive queues for 2 worker(s)"), HasSubstr("ethtool -L veth0")));
  EXPECT_TRUE(CheckXdpQueues(Parsed("afxdp:veth0,queues=1"), host, 2).ok());
  EXPECT_TRUE(CheckXdpQueues(Parsed("afpacket:veth0"), host, 1).ok());
}

TEST(AttachedPort, DeviceThatDpdkRefusesIsQuotedInOneLine) {
  const auto attached = AttachedPort::Open(Parsed("vdev:net_nosuchdriver0"));
  ASSERT_FALSE(attached.ok());
  const std::string message(attached.status().message());
  EXPECT_THAT(message, StartsWith("vdev:net_nosuchdriver0: DPDK cannot open the device"));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(AttachedPort, MemifClientWithoutServerSaysWhatToDo) {
  const auto port = AttachedPort::Open(Parsed("memif:/tmp/millrace-nobody.sock"));
  EXPECT_EQ(port.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(port.status().message()), HasSubstr("start the end with role=server"));
}

TEST(AttachedPort, ChecksComeBeforeDpdk) {
  const auto attached = AttachedPort::Open(Parsed("afpacket:nosuchiface0"));
  ASSERT_FALSE(attached.ok());
  EXPECT_THAT(std::string(attached.status().message()), HasSubstr("no such interface"));
}

}  // namespace
}  // namespace millrace::dpdk
