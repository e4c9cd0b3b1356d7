#include "millrace/stack/source_port.h"

#include <array>
#include <cstdint>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::stack {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Pair;

SourcePortConfig Config(const char* prefix, uint16_t first_port = 1024,
                        uint16_t last_port = 65535) {
  return {.addresses = IpPrefix::Parse(prefix).value(),
          .first_port = first_port,
          .last_port = last_port,
          .secret = {0x0706'0504'0302'0100, 0x0F0E'0D0C'0B0A'0908}};
}
Endpoint Server(uint32_t n, uint16_t port = 80) {
  return {.address = IpAddress::V4(0x0A01'0000 + n), .port = port};
}
std::vector<uint32_t> Ports(SourcePorts& ports, const Endpoint& destination, size_t count) {
  std::vector<uint32_t> seen;
  for (size_t i = 0; i < count; ++i) seen.push_back(ports.Next(destination).port);
  return seen;
}

// Chi-square of `values` modulo 64 against the uniform distribution, 63 degrees of freedom: mean
// 63, and above 114 with a probability of 1e-4.
double ChiSquare64(const std::vector<uint32_t>& values) {
  std::array<double, 64> counts{};
  for (const uint32_t v : values) counts[v % 64] += 1;
  const double expected = static_cast<double>(values.size()) / 64;
  double sum = 0;
  for (const double c : counts) sum += (c - expected) * (c - expected) / expected;
  return sum;
}
constexpr double kChiSquareMax = 114;

TEST(SourcePorts, AreInOrderWhenAsked) {
  SourcePortConfig config = Config("10.0.0.0/30", 5'000, 5'002);
  config.sequential = true;
  SourcePorts ports(config);
  std::vector<std::pair<uint32_t, uint32_t>> seen;
  for (int i = 0; i < 7; ++i) {
    const auto* choice = ports.Choose(
        Server(1), [](auto) { return uint64_t{0}; },
        // The third is in use.
        [](auto candidate, auto) { return candidate.port != 5'002; });
    ASSERT_TRUE(choice);
    seen.emplace_back(choice->candidate.address_low & 0xFF, choice->candidate.port);
  }
  EXPECT_THAT(seen, ElementsAre(Pair(1, 5'000), Pair(1, 5'001), Pair(2, 5'000), Pair(2, 5'001),
                                Pair(1, 5'000), Pair(1, 5'001), Pair(2, 5'000)));
  // Each destination has an order of its own.
  EXPECT_EQ(ports.Next(Server(2)).port, 5'000);
}

TEST(KeyedPermutation, IsABijectionForEverySmallSize) {
  for (uint64_t size = 1; size <= 300; ++size) {
    const KeyedPermutation permutation(size);
    std::vector<int> hit(size);
    for (uint64_t n = 0; n < size; ++n) {
      const uint64_t image = permutation(0x1234'5678'9ABC'DEF0 + size, n);
      ASSERT_LT(image, size);
      ++hit[image];
    }
    ASSERT_THAT(hit, Each(1)) << size;
  }
}

TEST(KeyedPermutation, OfFourAtATimeIsThatOfEach) {
  // Small ones, of which nearly half the first images of some lie outside, and large ones.
  std::vector<uint64_t> sizes = {64'512, 16'386'048, (uint64_t{1} << 32) + 1,
                                 (uint64_t{1} << 48) - 5};
  for (uint64_t size = 4; size <= 300; ++size) sizes.push_back(size);
  for (const uint64_t size : sizes) {
    const KeyedPermutation permutation(size);
    const uint64_t key = 0x1234'5678'9ABC'DEF0 * size;
    for (const uint64_t first : {uint64_t{0}, size / 2 - 2, size - 4}) {
      const auto images = permutation.FourFrom(key, first);
      for (size_t i = 0; i < images.size(); ++i) {
        EXPECT_EQ(images[i], permutation(key, first + i)) << size;
      }
    }
  }
}

TEST(KeyedPermutation, StaysInsideForTheLargestSize) {
  const KeyedPermutation permutation((uint64_t{1} << 48) - 5);
  std::set<uint64_t> images;
  for (uint64_t n = 0; n < 10'000; ++n) {
    const uint64_t image = permutation(42, n);
    ASSERT_LT(image, permutation.size());
    images.insert(image);
  }
  EXPECT_EQ(images.size(), 10'000u);
}

// ISN-05
TEST(SourcePorts, UsesEveryTupleOnceBeforeAnyAgain) {
  SourcePorts ports(Config("192.168.7.0/29", 32768, 61000));
  ASSERT_EQ(ports.capacity(), 6u * 28233u);
  std::set<std::pair<uint32_t, uint32_t>> seen;
  for (uint64_t i = 0; i < ports.capacity(); ++i) {
    const SourcePorts::Candidate c = ports.Next(Server(1));
    ASSERT_GE(c.address_low, 0xC0A8'0701u);
    ASSERT_LE(c.address_low, 0xC0A8'0706u);
    ASSERT_GE(c.port, 32768);
    ASSERT_LE(c.port, 61000);
    ASSERT_TRUE(seen.insert({c.address_low, c.port}).second);
  }
}

// Over IPv6 the first address of a prefix is left out, unless the prefix lies inside of a network;
// of a short prefix the last 32 bits differ.
TEST(SourcePorts, UsesAPrefixOfIpv6Addresses) {
  EXPECT_EQ(SourcePorts(Config("2001:db8::1/128")).capacity(), 64512u);
  EXPECT_EQ(SourcePorts(Config("2001:db8::1:2/64")).capacity(), 0xFFFF'FFFFull * 64512);
  SourcePorts ports(Config("2001:db8:0:0:7:8:9:4/126", 5000, 5001));
  std::set<IpAddress> seen;
  for (int i = 0; i < 6; ++i) seen.insert(ports.AddressOf(ports.Next(Server(1))));
  EXPECT_THAT(seen, ::testing::ElementsAre(*IpAddress::Parse("2001:db8:0:0:7:8:9:5"),
                                           *IpAddress::Parse("2001:db8:0:0:7:8:9:6"),
                                           *IpAddress::Parse("2001:db8:0:0:7:8:9:7")));
  SourcePortConfig inside = Config("2001:db8::1:2/112");
  inside.all_addresses = true;
  EXPECT_EQ(SourcePorts(inside).capacity(), uint64_t{65536} * 64512);
}

TEST(SourcePorts, KeepsTheDistanceBetweenUsesWhenDestinationsShareACounter) {
  SourcePorts ports(Config("192.168.7.1/32", 1024, 5119));
  SourcePorts alone(Config("192.168.7.1/32", 1024, 5119));
  std::set<uint32_t> seen;
  uint32_t different = 0;
  for (uint32_t i = 0; i < 4000; ++i) {
    const SourcePorts::Candidate c = ports.Next(Server(0));
    ASSERT_TRUE(seen.insert(c.port).second) << i;
    different += c == alone.Next(Server(0)) ? 0 : 1;
    // Of 3000 destinations about three share the counter.
    for (uint32_t n = 1; i % 1024 == 0 && n < 3000; ++n) ports.Next(Server(n));
  }
  EXPECT_GT(different, 1000u);  // somebody did
}

// ISN-05: the default range has 64512 ports for one address.
TEST(SourcePorts, OffersTheWholeRangeByDefault) {
  EXPECT_EQ(SourcePorts(Config("192.168.7.1/32")).capacity(), 64512u);
  EXPECT_EQ(SourcePorts(Config("192.168.7.1/31")).capacity(), 2 * 64512u);
  EXPECT_EQ(SourcePorts(Config("192.168.7.1/30")).capacity(), 2 * 64512u);
  EXPECT_EQ(SourcePorts(Config("192.168.7.1/24")).capacity(), 254 * 64512u);
  EXPECT_EQ(SourcePorts(Config("192.168.7.1/32", 65535, 65535)).Next(Server(1)).port, 65535u);
}

// ISN-05
TEST(SourcePorts, OrdersPortsWithoutVisiblePattern) {
  SourcePorts ports(Config("192.168.7.1/32"));
  const std::vector<uint32_t> seen = Ports(ports, Server(1), 20'000);
  EXPECT_LT(ChiSquare64(seen), kChiSquareMax);
  std::vector<uint32_t> steps, second_steps;
  uint32_t neighbours = 0;
  for (size_t i = 2; i < seen.size(); ++i) {
    steps.push_back((seen[i] - seen[i - 1]) & 0xFFFF);
    second_steps.push_back((seen[i] - 2 * seen[i - 1] + seen[i - 2]) & 0xFFFF);
    neighbours += seen[i] == seen[i - 1] + 1 ? 1 : 0;
  }
  EXPECT_LT(ChiSquare64(steps), kChiSquareMax);
  EXPECT_LT(ChiSquare64(second_steps), kChiSquareMax);
  EXPECT_LT(neighbours, 10u);  // one in 64512 on average
}

// ISN-05
TEST(SourcePorts, GivesUnrelatedOrdersToDestinations) {
  const auto differences = [](const Endpoint& one, const Endpoint& two) {
    SourcePorts a(Config("192.168.7.1/32")), b(Config("192.168.7.1/32"));
    const std::vector<uint32_t> x = Ports(a, one, 20'000), y = Ports(b, two, 20'000);
    std::vector<uint32_t> all;
    for (size_t i = 0; i < x.size(); ++i) all.push_back((x[i] - y[i]) & 0xFFFF);
    return all;
  };
  EXPECT_LT(ChiSquare64(differences(Server(1), Server(2))), kChiSquareMax);
  EXPECT_LT(ChiSquare64(differences(Server(1, 80), Server(1, 81))), kChiSquareMax);
  EXPECT_THAT(differences(Server(1), Server(1)), Each(0u));  // the test can tell
}

// ISN-05: nor are they one order that is entered at different places.
TEST(SourcePorts, GivesDestinationsDifferentSuccessors) {
  SourcePorts ports(Config("192.168.7.1/32", 1024, 9215));
  std::vector<uint32_t> successor(65536);
  const std::vector<uint32_t> x = Ports(ports, Server(1), 8193), y = Ports(ports, Server(2), 8193);
  for (size_t i = 1; i < x.size(); ++i) successor[x[i - 1]] = x[i];
  uint32_t equal = 0;
  for (size_t i = 1; i < y.size(); ++i) equal += successor[y[i - 1]] == y[i] ? 1 : 0;
  EXPECT_LT(equal, 12u);  // one on average
}

// How Linux's counters gave devices away (Kol, Klein and Gilad, USENIX Security 2023): who makes a
// client open to many destinations of his saw from the ports which of them share a counter, and
// that set is the device's. Here whoever shares one changes which ports are taken, and the ports
// show it to nobody who has not the secret: their steps are as even as those of a destination
// alone. (With algorithm 3 of RFC 6056 a step of 2 in place of 1 tells.)
TEST(SourcePorts, SharingACounterCannotBeSeenInThePorts) {
  constexpr size_t kOpens = 20'000;
  const auto steps = [](const std::vector<uint32_t>& seen) {
    std::vector<uint32_t> all;
    for (size_t i = 1; i < seen.size(); ++i) all.push_back((seen[i] - seen[i - 1]) & 0xFFFF);
    return all;
  };
  SourcePorts alone(Config("192.168.7.1/32"));
  const std::vector<uint32_t> undisturbed = Ports(alone, Server(0), kOpens);
  EXPECT_LT(ChiSquare64(steps(undisturbed)), kChiSquareMax);
  uint32_t sharing = 0;
  for (uint32_t n = 1; n < 4000 && sharing < 2; ++n) {
    SourcePorts probe(Config("192.168.7.1/32"));
    probe.Next(Server(n));
    if (probe.Next(Server(0)).port == undisturbed[0]) continue;
    ++sharing;
    SourcePorts ports(Config("192.168.7.1/32"));
    std::vector<uint32_t> of_victim, of_other;
    for (size_t i = 0; i < kOpens; ++i) {
      of_victim.push_back(ports.Next(Server(0)).port);
      of_other.push_back(ports.Next(Server(n)).port);
    }
    EXPECT_LT(ChiSquare64(steps(of_victim)), kChiSquareMax) << n;
    EXPECT_LT(ChiSquare64(steps(of_other)), kChiSquareMax) << n;
    // Nor is what the one takes to be told from what the other has just taken.
    std::vector<uint32_t> between;
    for (size_t i = 0; i < kOpens; ++i) between.push_back((of_other[i] - of_victim[i]) & 0xFFFF);
    EXPECT_LT(ChiSquare64(between), kChiSquareMax) << n;
  }
  EXPECT_EQ(sharing, 2u);
}

TEST(SourcePorts, OtherSecretsGiveOtherOrders) {
  SourcePortConfig other = Config("192.168.7.1/32");
  other.secret.k1 ^= 1;
  SourcePorts a(Config("192.168.7.1/32")), b(other);
  const std::vector<uint32_t> x = Ports(a, Server(1), 1000), y = Ports(b, Server(1), 1000);
  uint32_t equal = 0;
  for (size_t i = 0; i < x.size(); ++i) equal += x[i] == y[i] ? 1 : 0;
  EXPECT_LT(equal, 5u);
}

uint64_t PortOf(const SourcePorts::Candidate& c) { return c.port; }

// ISN-06
TEST(SourcePorts, GivesUpAfterAFixedNumberOfTries) {
  SourcePorts ports(Config("192.168.7.1/32"));
  uint32_t asked = 0;
  const auto none_is_free = [&](const SourcePorts::Candidate&, uint64_t) { return ++asked == 0; };
  EXPECT_EQ(ports.Choose(Server(1), PortOf, none_is_free), nullptr);
  EXPECT_EQ(asked, SourcePorts::kTriesMax);
  EXPECT_EQ(ports.exhausted(), 1u);
  EXPECT_EQ(ports.taken(), SourcePorts::kTriesMax);
}

// ISN-06
TEST(SourcePorts, FindsTheLastFreeTupleOfASmallSpace) {
  SourcePorts ports(Config("192.168.7.1/32", 2000, 2031));
  std::set<uint32_t> used;
  const auto free = [&](const SourcePorts::Candidate& c, uint64_t prepared) {
    EXPECT_EQ(prepared, c.port);
    return !used.contains(c.port);
  };
  const auto choose = [&] { return ports.Choose(Server(1), PortOf, free); };
  for (int i = 0; i < 32; ++i) used.insert(choose()->candidate.port);
  EXPECT_EQ(used.size(), 32u);
  EXPECT_EQ(choose(), nullptr);
  used.erase(2017);
  EXPECT_EQ(choose()->candidate.port, 2017u);
}

// What was drawn ahead for one destination, from its second tuple in a row on, is not lost when
// another one is asked for.
TEST(SourcePorts, TakingTurnsBetweenDestinationsSkipsNoTuple) {
  const auto any = [](const SourcePorts::Candidate&, uint64_t) { return true; };
  for (const int in_a_row : {1, 2, 3, 8, 9, 10, 15, 16, 17, 18}) {
    SCOPED_TRACE(in_a_row);
    SourcePorts ports(Config("192.168.7.1/32", 2000, 2000 + 16 * 9 * 17 - 1));
    std::set<uint64_t> first, second;
    const auto take = [&](const Endpoint& server, std::set<uint64_t>& seen) {
      for (int i = 0; i < in_a_row; ++i) {
        seen.insert(ports.Choose(server, PortOf, any)->candidate.port);
      }
    };
    size_t taken = 0;
    for (; taken + static_cast<size_t>(in_a_row) <= ports.capacity();
         taken += static_cast<size_t>(in_a_row)) {
      take(Server(1), first);
      take(Server(2), second);
    }
    EXPECT_EQ(first.size(), taken);
    EXPECT_EQ(second.size(), taken);
  }
}

}  // namespace
}  // namespace millrace::stack
