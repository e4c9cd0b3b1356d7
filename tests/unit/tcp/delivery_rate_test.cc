// Delivery-rate samples by the arithmetic of draft-ietf-ccwg-bbr section 4.1.

#include "millrace/tcp/delivery_rate.h"

#include <gtest/gtest.h>

namespace millrace::tcp {
namespace {

constexpr uint32_t kMss = 1000;

struct Sent {
  SentRun run;
  SendMark mark;
};

struct Sampler {
  DeliveryRate rate;
  SeqNum next{0xFFFF'F000};  // over the wrap
  uint32_t in_flight = 0;

  Sent Send(uint32_t at_us, uint32_t length = kMss) {
    Sent sent{{}, *rate.OnSent(in_flight, length, at_us)};
    sent.run.begin = next;
    sent.run.end = next += length;
    sent.run.sent_us = at_us;
    in_flight += length;
    return sent;
  }
  const RateSample& Ack(std::initializer_list<Sent> arrived, uint32_t at_us, uint32_t min_rtt = 0) {
    rate.BeginAck();
    for (const Sent& sent : arrived) {
      in_flight -= sent.run.length();
      rate.OnDelivered(sent.run, sent.mark, at_us);
    }
    rate.Finish(min_rtt);
    return rate.sample();
  }
};

TEST(DeliveryRate, IsWhatWasDeliveredInTheTimeItTook) {
  Sampler s;
  const Sent a = s.Send(0), b = s.Send(0), c = s.Send(0);
  EXPECT_EQ(s.Ack({a}, 10'000).rate_bytes_s, 100'000u);  // 1000 octets in 10 ms
  EXPECT_EQ(s.Ack({b}, 11'000).rate_bytes_s, 2'000u * 1'000'000 / 11'000);
  const RateSample& sample = s.Ack({c}, 12'000);
  EXPECT_EQ(sample.rate_bytes_s, 250'000u);  // 3000 in 12 ms
  EXPECT_EQ(sample.delivered, 3 * kMss);
  EXPECT_EQ(sample.newly_acked, kMss);
  EXPECT_EQ(sample.tx_in_flight, 3 * kMss);
  EXPECT_FALSE(sample.app_limited);
}

// "Use the longer of the send_elapsed and ack_elapsed": ACKs that were held back and come together
// do not make the path look faster than it was sent.
TEST(DeliveryRate, CompressedAcksDoNotRaiseIt) {
  Sampler s;
  const Sent first = s.Send(0);
  (void)s.Ack({first}, 10'000);
  Sent burst[4];
  for (uint32_t i = 0; i < 4; ++i) burst[i] = s.Send(10'000 + i * 1000);  // 1 MB/s
  (void)s.Ack({burst[0]}, 30'000);
  for (uint32_t i = 1; i < 4; ++i) {
    const uint32_t sent_over_us = i * 1000 + 10'000;  // since the one that had arrived last then
    const RateSample& sample = s.Ack({burst[i]}, 30'000 + i * 10);
    EXPECT_LE(sample.rate_bytes_s, uint64_t{(i + 1) * kMss} * 1'000'000 / sent_over_us);
  }
}

// The sample is of the piece that was sent last, whatever the order of the sequence numbers.
TEST(DeliveryRate, TheNewestOfAnAckCounts) {
  Sampler s;
  const Sent a = s.Send(0), b = s.Send(5'000);
  Sent again = a;  // sent again after b
  again.mark = *s.rate.OnSent(s.in_flight, kMss, 8'000);
  again.run.sent_us = 8'000;
  const RateSample& sample = s.Ack({again, b}, 18'000);
  EXPECT_EQ(sample.tx_in_flight, 3 * kMss);
  EXPECT_EQ(sample.newly_acked, 2 * kMss);
}

// "no reliable rate sample": a time shorter than any round trip.
TEST(DeliveryRate, AnIntervalBelowTheRoundTripIsNoSample) {
  Sampler s;
  const Sent a = s.Send(0);
  EXPECT_EQ(s.Ack({a}, 3'000, 4'000).rate_bytes_s, 0u);
  EXPECT_TRUE(s.rate.sample().has_data);
}

// "all bandwidth samples for the next round trip" are marked.
TEST(DeliveryRate, ApplicationLimitedLastsUntilTheBubbleHasLeft) {
  Sampler s;
  const Sent a = s.Send(0);
  s.rate.MarkAppLimited(s.in_flight);
  const Sent b = s.Send(1'000);
  EXPECT_FALSE(s.Ack({a}, 10'000).app_limited) << "sent before";
  EXPECT_TRUE(s.rate.app_limited());
  const Sent c = s.Send(10'000);
  EXPECT_TRUE(s.Ack({b}, 11'000).app_limited);
  EXPECT_FALSE(s.rate.app_limited());
  const Sent d = s.Send(11'000);
  EXPECT_TRUE(s.Ack({c}, 20'000).app_limited);
  EXPECT_FALSE(s.Ack({d}, 21'000).app_limited);
}

TEST(DeliveryRate, CountsWhatWasLostSinceItWasSent) {
  Sampler s;
  s.rate.OnLost(500);
  const Sent a = s.Send(0), b = s.Send(0);
  s.rate.BeginAck();
  s.rate.OnDelivered(b.run, b.mark, 10'000);
  s.rate.OnLost(a.run.length());  // this ACK told of it
  s.rate.Finish(0);
  EXPECT_EQ(s.rate.sample().lost, kMss);
}

}  // namespace
}  // namespace millrace::tcp
