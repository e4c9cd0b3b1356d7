// Several ports: which address, gateway and source prefix belongs to which --dev.

#include "apps/common/port_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

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
  DeviceFlags twice = Two("10.1.0.1/24,10.2.0.1/24");
  twice.dev = "tap:a;tap:a";
  EXPECT_THAT(ErrorOf(twice), HasSubstr("tap:a stands there twice"));
  DeviceFlags same = Two("10.1.0.1/16,10.1.0.2/16");
  same.own = "10.1.16.0/20";
  EXPECT_THAT(ErrorOf(same), HasSubstr("in the same network"));
}

}  // namespace
}  // namespace millrace::apps
