#include "millrace/sim/swarm_app.h"

#include <algorithm>
#include <array>

namespace millrace::sim {
namespace {

constexpr uint64_t kHeaderOctets = 4;  // the stream's name

}  // namespace

void SwarmApp::Fail(const std::string& what) {
  if (failure_.empty()) failure_ = what;
}

uint64_t SwarmApp::NewSession(bool active) {
  Session session;
  session.active = active;
  session.id = static_cast<uint32_t>(dice_.Next());
  session.to_send = kHeaderOctets;
  if (settings_.stream_octets_max > 0 && dice_.Chance(0.8)) {
    session.to_send += dice_.Below(settings_.stream_octets_max);
  }
  session.style = static_cast<CloseStyle>(dice_.Below(kCloseStyles));
  if (!settings_.aborts && session.style == CloseStyle::kAbortSomewhere) {
    session.style = CloseStyle::kHalfClose;
  }
  session.abort_at = dice_.Below(settings_.stream_octets_max + 2);
  sessions_.push_back(session);
  return sessions_.size();
}

void SwarmApp::OnOpen(stack::Socket socket) {
  ++opened_;
  if (socket.user_data() == 0) socket.set_user_data(NewSession(false));
  Session& session = Of(socket);
  if (session.open) Fail("OnOpen came twice");
  session.open = true;
  session.socket = socket;
  if (dice_.Chance(0.3)) socket.SetNoDelay(true);
  Write(session);
}

std::byte SwarmApp::OctetToSend(const Session& session, uint64_t position) const {
  if (position < kHeaderOctets) return static_cast<std::byte>(session.id >> (8 * position));
  return StreamOctet(session.id, position);
}

void SwarmApp::Write(Session& session) {
  std::array<std::byte, 1500> piece;
  while (session.sent < session.to_send) {
    const uint64_t most = settings_.small_writes ? 1 + dice_.Below(100) : piece.size();
    const size_t length = std::min<uint64_t>({session.to_send - session.sent, piece.size(), most});
    for (size_t i = 0; i < length; ++i) piece[i] = OctetToSend(session, session.sent + i);
    const size_t taken = session.socket.Send({piece.data(), length});
    session.sent += taken;
    if (taken < length) return;  // OnWritable goes on
  }
  MaybeClose(session);
}

void SwarmApp::MaybeClose(Session& session) {
  if (session.over || session.own_closed) return;
  const bool all_sent = session.sent == session.to_send;
  const bool abort = session.style == CloseStyle::kAbortSomewhere &&
                     (session.received + session.sent >= session.abort_at || calm_);
  if (abort) {
    session.own_closed = true;
    session.socket.Abort();
  } else if (all_sent && session.style == CloseStyle::kCloseAfterSend) {
    session.own_closed = true;
    session.socket.Close();
  } else if (all_sent && session.style == CloseStyle::kHalfClose && !session.peer_closed) {
    session.own_closed = true;
    session.socket.Shutdown();
  } else if (all_sent && (session.peer_closed || calm_)) {
    session.own_closed = true;
    session.socket.Close();
  }
}

size_t SwarmApp::OnReceive(stack::Socket socket, std::span<const std::byte> data) {
  Session& session = Of(socket);
  if (session.over) Fail("data after OnClose");
  if (session.peer_closed) Fail("data after the peer's FIN");
  if (session.paused) return 0;
  if (settings_.pauses && !calm_ && dice_.Chance(0.05)) {
    session.paused = true;
    const size_t index = socket.user_data() - 1;
    after_(Duration::Milliseconds(static_cast<int64_t>(1 + dice_.Below(3000))), [this, index] {
      sessions_[index].paused = false;
      sessions_[index].socket.Resume();
    });
    return 0;
  }
  // Now and then only a part is taken.
  const size_t take = dice_.Chance(0.1) ? 1 + dice_.Below(data.size()) : data.size();
  for (size_t i = 0; i < take; ++i, ++session.received) {
    if (session.received < kHeaderOctets) {
      session.peer_id |= static_cast<uint32_t>(data[i]) << (8 * session.received);
    } else if (data[i] != StreamOctet(session.peer_id, session.received)) {
      Fail("octet " + std::to_string(session.received) + " of the stream is wrong");
      return data.size();
    }
  }
  octets_ += take;
  if (take < data.size()) {
    const size_t index = socket.user_data() - 1;
    after_(Duration::Microseconds(10), [this, index] { sessions_[index].socket.Resume(); });
  }
  MaybeClose(session);
  return take;
}

void SwarmApp::OnPeerClosed(stack::Socket socket) {
  Session& session = Of(socket);
  if (session.peer_closed) Fail("OnPeerClosed came twice");
  session.peer_closed = true;
  if (session.own_closed && session.style == CloseStyle::kHalfClose) {
    socket.Close();
  } else {
    MaybeClose(session);
  }
}

void SwarmApp::OnWritable(stack::Socket socket) {
  Session& session = Of(socket);
  if (!session.over) Write(session);
}

void SwarmApp::OnClose(stack::Socket socket, tcp::CloseReason) {
  ++closed_;
  if (socket.user_data() == 0) return;  // never opened
  Session& session = Of(socket);
  if (session.over) Fail("OnClose came twice");
  session.over = true;
}

std::string SwarmApp::Describe(stack::Socket socket) const {
  if (socket.user_data() == 0) return "no session";
  const Session& s = sessions_[socket.user_data() - 1];
  return "style " + std::to_string(static_cast<int>(s.style)) + ", sent " + std::to_string(s.sent) +
         " of " + std::to_string(s.to_send) + ", received " + std::to_string(s.received) +
         (s.paused ? ", paused" : "") + (s.peer_closed ? ", peer closed" : "") +
         (s.own_closed ? ", own closed" : "");
}

void SwarmApp::Calm() {
  calm_ = true;
  settings_.pauses = false;
  for (Session& session : sessions_) {
    if (!session.open || session.over) continue;
    session.paused = false;
    session.socket.Resume();
    MaybeClose(session);
    // A half-close waits for its peer as long as the application likes, and the peer may be gone
    // without a trace (its RST was lost): this application has enough after a while.
    const stack::Socket socket = session.socket;
    after_(Duration::Seconds(200), [socket] { socket.Close(); });
  }
}

}  // namespace millrace::sim
