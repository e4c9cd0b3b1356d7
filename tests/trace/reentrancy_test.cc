// What an application may do inside its calls: any command, on this connection and on others, and
// what is left over afterwards (stack/socket.h: "may use any socket and the engine freely").

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "testing/trace.h"

namespace millrace::testing {
namespace {

using tcp::State;
using ::testing::ElementsAre;

// Ends every connection from the peer's side, lets time pass and sees that nothing is held.
void ExpectNothingLeft(Trace& t) {
  t.Advance(Duration::Seconds(400));
  t.ExpectNothingHeld();
}

TEST(Reentrancy, CloseInOnCloseIsNothing) {
  Trace t;
  t.Reach(State::kCloseWait);
  t.app().in_close = [](stack::Socket s) {
    s.Close();
    s.Resume();
    s.Shutdown();
    s.Abort();
    EXPECT_EQ(s.Send({}), 0u);
  };
  t.Close();
  t.Receives({.flags = kAck, .seq = 2, .ack = 2});
  EXPECT_THAT(t.TakeLog(), ElementsAre("close normal"));
  EXPECT_FALSE(t.engine().HasDirty());
  ExpectNothingLeft(t);
}

TEST(Reentrancy, EveryCommandInEveryCallLeavesNothingBehind) {
  const std::vector<std::function<void(stack::Socket)>> commands = {
      [](stack::Socket s) { s.Close(); },
      [](stack::Socket s) { s.Abort(); },
      [](stack::Socket s) { s.Shutdown(); },
      [](stack::Socket s) { s.Resume(); },
      [](stack::Socket s) { s.Send(std::vector<std::byte>(3000)); },
      [](stack::Socket s) { s.Abort(), s.Close(), s.Resume(); },
      [](stack::Socket s) { s.Close(), s.Abort(); },
      [](stack::Socket s) { s.Shutdown(), s.Close(); },
  };
  for (size_t command = 0; command < commands.size(); ++command) {
    for (int call = 0; call < 6; ++call) {
      SCOPED_TRACE(::testing::Message() << "command " << command << " in call " << call);
      Trace t;
      ScriptedApp& app = t.app();
      const auto& f = commands[command];
      if (call == 0) app.in_open = f;
      if (call == 1 || call == 5) app.in_receive = f;
      if (call == 2) app.in_peer_closed = f;
      if (call == 3) app.in_writable = f;
      if (call == 4) app.in_close = f;
      app.reading = call != 5;
      t.Listen();
      t.Receives({.flags = kSyn, .seq = 0});
      t.Receives({.flags = kAck, .seq = 1, .ack = 1});
      t.Send(Octets(1000));
      t.Receives({.flags = kAck, .seq = 1, .ack = 1001, .data = "abc"});
      t.Receives({.flags = kAck | kFin, .seq = 4, .ack = 1001});
      app.reading = true;
      app.socket.Resume();
      t.Close();
      t.Receives({.flags = kRst, .seq = 5});
      ExpectNothingLeft(t);
    }
  }
}

TEST(Reentrancy, ConnectAndCloseInOnClose) {
  TraceOptions options;
  options.config.limits.connections = 2;
  Trace t(options);
  t.Reach(State::kCloseWait);
  int opened = 0;
  t.app().in_close = [&](stack::Socket s) {
    stack::Socket fresh;
    if (++opened > 3) return;
    EXPECT_EQ(t.engine().Connect({t.AddressOf(Trace::kPeerAddress), 7000}, 0, &fresh),
              stack::ConnectResult::kOk);
    EXPECT_NE(fresh.id(), s.id());
    fresh.Close();  // in SYN-SENT: over at once
  };
  t.Abort();
  EXPECT_THAT(t.TakeLog(),
              ElementsAre("close aborted", "close aborted", "close aborted", "close aborted"));
  ExpectNothingLeft(t);
}

// The peer's FIN and the application's Close meet in one poll: unread data must not keep the
// connection for ever.
TEST(Reentrancy, CloseInOnReceiveOfTheLastDataEndsTheConnection) {
  Trace t;
  const Trace::Place p = t.Reach(State::kFinWait2);
  t.app().reading = false;
  t.app().in_receive = [](stack::Socket s) { s.Close(); };
  t.Receives({.flags = kAck | kFin, .seq = p.rcv_nxt, .ack = p.snd_una, .data = "late"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("close normal"));
  EXPECT_EQ(t.engine().connections().used(), 0u);
  ExpectNothingLeft(t);
}

TEST(Reentrancy, CloseFromOnPollInThePollThatEndsTheConnection) {
  for (const bool abort : {false, true}) {
    Trace t;
    const Trace::Place p = t.Reach(State::kFinWait2);
    t.app().reading = false;
    t.Receives({.flags = kAck, .seq = p.rcv_nxt, .ack = p.snd_una, .data = "unread"});
    bool done = false;
    t.app().in_poll = [&] {
      if (done || t.state() != State::kTimeWait) return;
      done = true;
      abort ? t.app().socket.Abort() : t.app().socket.Close();
    };
    t.Receives({.flags = kAck | kFin, .seq = p.rcv_nxt + 6, .ack = p.snd_una});
    EXPECT_TRUE(done);
    EXPECT_THAT(t.TakeLog(), ElementsAre("close normal"));
    ExpectNothingLeft(t);
  }
}

// Over for the network, unread by the application: each way out gives the packets back.
TEST(Reentrancy, ClosingADetachedConnectionGivesItsPacketsBack) {
  for (const bool abort : {false, true}) {
    SCOPED_TRACE(abort);
    Trace t;
    const Trace::Place p = t.Reach(State::kFinWait2);
    t.app().reading = false;
    t.Receives({.flags = kAck | kFin, .seq = p.rcv_nxt, .ack = p.snd_una, .data = "unread"});
    EXPECT_EQ(t.FlowState(), State::kTimeWait);
    EXPECT_THAT(t.TakeLog(), ElementsAre());
    abort ? t.Abort() : t.Close();
    EXPECT_THAT(t.TakeLog(), ElementsAre("close normal"));
    EXPECT_EQ(t.port().live(), 0u);
    ExpectNothingLeft(t);
  }
}

TEST(Reentrancy, ReadingADetachedConnectionToItsEndTellsOfTheFin) {
  Trace t;
  t.AcceptFromPeer();
  t.app().reading = false;
  t.Receives({.flags = kAck | kFin, .seq = 1, .ack = 1, .data = "unread"});
  t.Shutdown();
  t.Receives({.flags = kAck, .seq = 8, .ack = 2});
  EXPECT_EQ(t.FlowState(), State::kClosed);
  EXPECT_THAT(t.TakeLog(), ElementsAre());
  t.app().reading = true;
  t.app().socket.Resume();
  t.Poll();
  EXPECT_THAT(t.TakeLog(), ElementsAre("data unread", "fin", "close normal"));
  ExpectNothingLeft(t);
}

// A proxy: stops reading when it cannot write, goes on when it can.
TEST(Reentrancy, ResumeInOnWritableDeliversWhatWaits) {
  TraceOptions options;
  options.config.tcp.send_buffer_bytes = 2000;
  Trace t(options);
  t.AcceptFromPeer();
  t.app().socket.SetNoDelay(true);
  t.app().reading = false;
  t.app().in_writable = [&](stack::Socket s) {
    t.app().reading = true;
    s.Resume();
  };
  t.Send(Octets(3000));
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "waits"});
  EXPECT_THAT(t.TakeLog(), ElementsAre());
  t.Receives({.flags = kAck, .seq = 6, .ack = 2001});
  EXPECT_THAT(t.TakeLog(), ElementsAre("writable", "data waits"));
}

TEST(Reentrancy, ResumeInOwnOnReceiveComesAgain) {
  Trace t;
  t.AcceptFromPeer();
  int calls = 0;
  t.app().reading = false;
  t.app().in_receive = [&](stack::Socket s) {
    if (++calls == 3) t.app().reading = true;
    s.Resume();
  };
  t.Receives({.flags = kAck, .seq = 1, .ack = 1, .data = "again"});
  EXPECT_THAT(t.TakeLog(), ElementsAre("data again"));
}

// Opened and reset in one burst: the application hears of both or of nothing.
TEST(Reentrancy, OnCloseOfAnAcceptedConnectionNeverComesWithoutOnOpen) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0});
  t.ReceivesBurst({{.flags = kAck, .seq = 1, .ack = 1}, {.flags = kRst, .seq = 1}});
  EXPECT_THAT(t.TakeLog(), ElementsAre("open", "close reset"));
  ExpectNothingLeft(t);
}

TEST(Reentrancy, AListenerClosedUnderHalfOpenConnectionsIsReplacedByAnother) {
  Trace t;
  t.Listen();
  t.Receives({.flags = kSyn, .seq = 0});
  t.ForgetSent();
  t.engine().CloseListener({t.AddressOf(0), 80});
  EXPECT_EQ(t.engine().Listen({t.AddressOf(0), 81}, 4), stack::ListenResult::kOk);
  t.Receives({.flags = kAck, .seq = 1, .ack = 1});
  EXPECT_EQ(t.state(), State::kEstablished);
  t.Abort();
  EXPECT_EQ(t.engine().Listen({t.AddressOf(0), 80}, 4), stack::ListenResult::kOk);
  t.engine().CloseListener({t.AddressOf(0), 81});
  ExpectNothingLeft(t);
}

}  // namespace
}  // namespace millrace::testing
