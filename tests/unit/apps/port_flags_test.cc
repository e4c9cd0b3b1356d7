// Several ports: which address, gateway and source prefix belongs to which --dev.

#include "apps/common/port_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace millrace::apps {
namespace {

using ::testing::HasSubstr;

DeviceFlags Two(const std::string& ip) {
  DeviceFlags flags;
  flags.dev = "afpacket:eth1,queues=1;afpacket:eth2";
  flags.ip = ip;
  return flags;
}

std::string ErrorOf(const DeviceFlags& flags) {
  const auto ports = FlagsOfPorts(flags);
  return ports.ok() ? "" : std::string(ports.status().message());
}

TEST(FlagsOfPorts, OnePortHasEverything) {
  DeviceFlags flags;
  flags.dev = "pci:0000:41:00.0,mtu=9000";
  flags.ip = "10.1.0.1/24,2001:db8::1/64";
  flags.gw = "10.1.0.254";
  const auto ports = FlagsOfPorts(flags);
  ASSERT_TRUE(ports.ok() && ports->size() == 1);
  EXPECT_EQ(ports->front().dev, flags.dev);
  EXPECT_EQ(ports->front().ip, flags.ip);
  EXPECT_EQ(ports->front().gw, flags.gw);
}

TEST(FlagsOfPorts, AddressesAreDealtByFamilyInTheirOrder) {
  const auto ports = FlagsOfPorts(Two("2001:db8:1::1/64,10.1.0.1/24,10.2.0.1/24,2001:db8:2::1/64"));
  ASSERT_TRUE(ports.ok()) << ports.status();
  ASSERT_EQ(ports->size(), 2u);
  EXPECT_EQ((*ports)[0].dev, "afpacket:eth1,queues=1");
  EXPECT_EQ((*ports)[0].ip, "2001:db8:1::1/64,10.1.0.1/24");
  EXPECT_EQ((*ports)[1].dev, "afpacket:eth2");
  EXPECT_EQ((*ports)[1].ip, "10.2.0.1/24,2001:db8:2::1/64");
}

TEST(FlagsOfPorts, GatewaysAndSourcesFollowTheNetworks) {
  DeviceFlags flags = Two("10.1.0.1/16,10.2.0.1/16,2001:db8:1::1/64,2001:db8:2::1/64");
  flags.gw = "10.2.0.254,fe80::1,10.1.0.254";
  flags.own = "10.2.16.0/20:1024-9999,10.1.16.0-10.1.16.127,2001:db8:2::1:0/112";
  const auto ports = FlagsOfPorts(flags);
  ASSERT_TRUE(ports.ok()) << ports.status();
  EXPECT_EQ((*ports)[0].gw, "fe80::1,10.1.0.254");
  EXPECT_EQ((*ports)[1].gw, "10.2.0.254,fe80::1");
  EXPECT_EQ((*ports)[0].own, "10.1.16.0-10.1.16.127");
  EXPECT_EQ((*ports)[1].own, "10.2.16.0/20:1024-9999,2001:db8:2::1:0/112");
}

TEST(FlagsOfPorts, WhatFitsNowhereIsLeftToTheFirstForItsCheck) {
  DeviceFlags flags = Two("10.1.0.1/24,10.2.0.1/24");
  flags.gw = "10.3.0.254";
  const auto ports = FlagsOfPorts(flags);
  ASSERT_TRUE(ports.ok());
  EXPECT_EQ((*ports)[0].gw, "10.3.0.254");
  EXPECT_EQ((*ports)[1].gw, "");
}

TEST(FlagsOfPorts, MistakesAreNamed) {
  EXPECT_THAT(ErrorOf(Two("10.1.0.1/24")), HasSubstr("2 ports need as many addresses"));
  EXPECT_THAT(ErrorOf(Two("10.1.0.1/24,10.2.0.1/24,2001:db8::1/64")),
              HasSubstr("2 ports need as many addresses"));
  EXPECT_THAT(ErrorOf(Two("10.1.0.1/24,10.2.0.1/24,10.3.0.1/24")), HasSubstr("more addresses"));
  DeviceFlags same = Two("10.1.0.1/16,10.1.0.2/16");
  same.own = "10.1.16.0/20";
  EXPECT_THAT(ErrorOf(same), HasSubstr("in the same network"));
}

// Also when another part of the list is of one port only.
TEST(FlagsOfPorts, NoPartOfTheSourcesIsOfTwoPorts) {
  DeviceFlags flags = Two("10.1.0.1/16,10.1.0.2/16,fd00:1::1/64,fd00:2::1/64");
  flags.own = "fd00:1::100/120,10.1.16.0/20";
  EXPECT_THAT(ErrorOf(flags), HasSubstr("--src 10.1.16.0/20: afpacket:eth1,queues=1 and afpacket:"
                                        "eth2 are in the same network"));
  flags.own = "fd00:1::100/120";
  EXPECT_EQ(ErrorOf(flags), "");
}

std::string ErrorOfDevices(const std::vector<std::string>& devices) {
  std::vector<dpdk::PortConfig> configs;
  for (const std::string& text : devices) {
    const auto config = dpdk::ParsePortConfig(text);
    if (!config.ok()) return "not parsed: " + std::string(config.status().message());
    configs.push_back(*config);
  }
  return std::string(CheckDevicesDiffer(configs).message());
}

TEST(CheckDevicesDiffer, OneDeviceIsRefusedHoweverItIsWritten) {
  for (const std::vector<std::string>& twice : std::vector<std::vector<std::string>>{
           {"tap:a", "tap:a"},
           {"afpacket:v0", "afpacket:v1", "afpacket:v0,mtu=1400"},
           {"afpacket:v0", "afxdp:v0"},
           {"memif:/tmp/m,role=server", "memif:/tmp/m"},
           {"pci:41:00.0", "pci:0000:41:00.0"},
           {"pci:4A:00.0", "pci:4a:00.0"},
           {"bond:pci:41:00.0+pci:41:00.1", "pci:0000:41:00.1"},
           {"bond:tap:a+tap:b", "bond:tap:c+tap:a"},
           {"vdev:net_null0,size=64", "vdev:net_null0,size=128"}}) {
    EXPECT_THAT(ErrorOfDevices(twice), HasSubstr("open the same device")) << twice.front();
  }
  EXPECT_EQ(ErrorOfDevices({"afpacket:v0", "afpacket:v0,mtu=1400"}),
            "--dev afpacket:v0 and --dev afpacket:v0,mtu=1400 open the same device: interface v0");
}

TEST(CheckDevicesDiffer, DevicesThatDifferPass) {
  EXPECT_EQ(ErrorOfDevices({"afpacket:v0", "afpacket:v1", "memif:/tmp/v0", "pci:41:00.0",
                            "bond:tap:v2+tap:v3", "vdev:net_null0", "vdev:net_null1"}),
            "");
}

}  // namespace
}  // namespace millrace::apps
