#include "millrace/stack/address_pairs.h"

#include <gtest/gtest.h>

namespace millrace::stack {
namespace {

constexpr SipKey kKey{1, 2};
const IpAddress kLocal = *IpAddress::Parse("2001:db8::1");

IpAddress Remote(uint32_t n) { return IpAddress::V6(0x2001'0DB8'0000'0001, n); }

FlowKey Make(AddressPairs& pairs, uint32_t remote, uint16_t port = 1000) {
  FlowKey key;
  EXPECT_TRUE(pairs.MakeKey(kLocal, 80, Remote(remote), port, &key));
  return key;
}

TEST(AddressPairs, EqualTuplesHaveEqualKeysAndOthersDoNot) {
  AddressPairs pairs(8, kKey, Region::Pages::kPlain);
  const FlowKey key = Make(pairs, 1);
  EXPECT_FALSE(key.IsV4());
  EXPECT_EQ(Make(pairs, 1), key);
  EXPECT_NE(Make(pairs, 1, 1001), key);
  EXPECT_NE(Make(pairs, 2), key);
  EXPECT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs.local(key), kLocal);
  EXPECT_EQ(pairs.remote(key), Remote(1));
}

TEST(AddressPairs, ThatNobodyHoldsAreSweptAndHeldOnesStay) {
  AddressPairs pairs(8, kKey, Region::Pages::kPlain);
  const FlowKey held = Make(pairs, 1);
  pairs.Ref(held);
  Make(pairs, 2);
  pairs.Sweep();
  EXPECT_EQ(pairs.size(), 1u);
  FlowKey found;
  EXPECT_TRUE(pairs.FindKey(kLocal, 80, Remote(1), 1000, &found));
  EXPECT_EQ(found, held);
  EXPECT_FALSE(pairs.FindKey(kLocal, 80, Remote(2), 1000, &found));
  pairs.Unref(held);
  EXPECT_EQ(pairs.size(), 1u) << "until the poll is over";
  pairs.Sweep();
  EXPECT_EQ(pairs.size(), 0u);
}

TEST(AddressPairs, LetGoAndTakenAgainBetweenSweepsStay) {
  AddressPairs pairs(8, kKey, Region::Pages::kPlain);
  const FlowKey key = Make(pairs, 1);
  pairs.Ref(key);
  pairs.Unref(key);
  pairs.Ref(key);
  pairs.Sweep();
  pairs.Sweep();
  EXPECT_EQ(pairs.size(), 1u);
}

// What ISNs are derived from does not change with the record.
TEST(AddressPairs, DigestIsTheSameForARecordMadeAgain) {
  AddressPairs pairs(8, kKey, Region::Pages::kPlain);
  const FlowKey before = Make(pairs, 1);
  pairs.Sweep();
  Make(pairs, 7);
  const FlowKey after = Make(pairs, 1);
  EXPECT_NE(before.address_pair, after.address_pair);
  EXPECT_EQ(before.addresses(), after.addresses());
  EXPECT_EQ(before.ports(), after.ports());
}

TEST(AddressPairs, AreNoMoreThanThereIsRoomFor) {
  AddressPairs pairs(100, kKey, Region::Pages::kPlain);
  for (uint32_t i = 0; i < 100; ++i) pairs.Ref(Make(pairs, i));
  FlowKey key;
  EXPECT_FALSE(pairs.MakeKey(kLocal, 80, Remote(100), 1000, &key));
  for (uint32_t i = 0; i < 100; ++i) EXPECT_EQ(pairs.remote(Make(pairs, i)), Remote(i));
  pairs.Unref(Make(pairs, 50));
  pairs.Sweep();
  EXPECT_TRUE(pairs.MakeKey(kLocal, 80, Remote(100), 1000, &key));
}

TEST(AddressPairs, WithoutIpv6HaveNoRoomAndNoMemory) {
  AddressPairs pairs(0, kKey, Region::Pages::kPlain);
  FlowKey key;
  EXPECT_TRUE(pairs.ok());
  EXPECT_FALSE(pairs.MakeKey(kLocal, 80, Remote(1), 1000, &key));
}

}  // namespace
}  // namespace millrace::stack
