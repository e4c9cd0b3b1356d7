// load/load_app_flow.h - one connection of the load generator, from its start to its name in the
// counts. When connections start and end as a whole is in load_app.cc, which alone includes this.
#ifndef MILLRACE_APPS_LOAD_LOAD_APP_FLOW_H_
#define MILLRACE_APPS_LOAD_LOAD_APP_FLOW_H_

#include <algorithm>
#include <cstring>
#include <utility>

#include "apps/load/load_app.h"

namespace millrace::apps {

inline std::string_view TextOf(std::span<const std::byte> data) {
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

inline std::span<const std::byte> OctetsOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

template <class N>
uint32_t LoadAppOf<N>::Take(Instant intended) {
  const uint32_t index = free_.back();
  free_.pop_back();
  Flow& flow = flows_[index];
  flow = Flow();
  flow.intended = intended;
  flow.started = now_;
  flow.requests_left = plan_.requests;
  return index;
}

// Sends the SYN. What it returns is why there is no connection; kNoMemory may pass.
template <class N>
std::optional<LoadFailure> LoadAppOf<N>::Open(Engine& engine, uint32_t index, uint32_t target) {
  Flow& flow = flows_[index];
  flow.target = target;
  Socket socket;
  switch (engine.Connect(targets_[target].target.endpoint, index, &socket)) {
    case stack::ConnectResult::kOk:
      flow.id = socket.id();
      Enter(index, FlowPhase::kConnecting);
      gate_.OnSyn();
      if (plan_.dscp != 0 && !socket.SetDiffserv(plan_.dscp)) {
        Fail(socket, index, LoadFailure::kNoMemory);
      }
      return std::nullopt;
    case stack::ConnectResult::kNoPorts:
      return LoadFailure::kNoSourcePort;
    case stack::ConnectResult::kNoMemory:
      return LoadFailure::kNoMemory;
    case stack::ConnectResult::kNoRoute:
    case stack::ConnectResult::kBadAddress:
    case stack::ConnectResult::kUnsupported:
      break;
  }
  return LoadFailure::kNoRoute;
}

template <class N>
void LoadAppOf<N>::Enter(uint32_t index, FlowPhase phase) {
  Flow& flow = flows_[index];
  const auto queue_of = [this](FlowPhase p) -> PhaseQueue* {
    if (p == FlowPhase::kIdle) return &idle_;
    if (p > FlowPhase::kIdle) return nullptr;
    const auto i = static_cast<size_t>(p);
    return phase_limits_[i] == Duration() ? nullptr : &waiting_[i];
  };
  if (PhaseQueue* queue = queue_of(flow.phase)) queue->Remove(flows_, index);
  if (flow.phase == FlowPhase::kConnecting) gate_.OnHandshakeOver();
  flow.phase = phase;
  if (PhaseQueue* queue = queue_of(phase)) {
    if (phase != FlowPhase::kIdle) flow.deadline = now_ + phase_limits_[static_cast<size_t>(phase)];
    queue->Append(flows_, index);
  }
}

template <class N>
void LoadAppOf<N>::Give(uint32_t index) {
  Enter(index, FlowPhase::kFree);
  free_.push_back(index);
}

template <class N>
void LoadAppOf<N>::OnOpen(Socket socket) {
  now_ = N::Now(socket.engine(), now_);
  const auto index = static_cast<uint32_t>(socket.user_data());
  Flow& flow = flows_[index];
  if (flow.probe || stage_ == LoadStage::kDone) {
    socket.Abort();
    return;
  }
  if (flow.failure != LoadFailure::kNone) return;  // given up in the same poll
  flow.opened = true;
  gate_.OnAnswer(now_);
  if (flow.held) {
    --held_opening_;
    ++held_open_;
    flow.requests_left = 0;
    return Enter(index, FlowPhase::kIdle);
  }
  RecordLatency(flow, LatencyState::kConnect, flow.intended, flow.started);
  // The first request was meant to go out when the connection was meant to start.
  SendRequest(socket, index, flow.intended);
}

template <class N>
void LoadAppOf<N>::SendRequest(const Socket& socket, uint32_t index, Instant intended) {
  Flow& flow = flows_[index];
  flow.request_intended = intended;
  flow.request_started = now_;
  flow.received = 0;
  if (flow.held) flow.measured = Measured(intended);
  if (Measured(intended)) ++result_.counts.requests_sent;
  if (targets_[flow.target].target.http()) {
    readers_[index] = HttpResponseReader(targets_[flow.target].request.head_only());
  } else {
    flow.exchange = static_cast<uint32_t>(next_exchange_.Next());
  }
  if (!SendOctets(socket, flow)) return Fail(socket, index, LoadFailure::kNoMemory);
  if (plan_.close == CloseMode::kHalf && flow.requests_left == 1 && !flow.held) socket.Shutdown();
  Enter(index, FlowPhase::kAwaiting);
  const bool nothing_comes =
      !targets_[flow.target].target.http() && plan_.mix[flow.exchange].response_bytes == 0;
  if (nothing_comes) OnResponse(socket, index);
}

// False when the engine has no room for it.
template <class N>
bool LoadAppOf<N>::SendOctets(const Socket& socket, Flow& flow) {
  const TargetState& target = targets_[flow.target];
  if (target.target.http()) {
    const bool last = flow.requests_left == 1 && !flow.held;
    const RequestTemplate& request = last ? target.last_request : target.request;
    if (request.constant()) return socket.SendStatic(OctetsOf(request.octets()));
    request.Render(serial_++, &rendered_);
    return socket.Send(OctetsOf(rendered_)) == rendered_.size();
  }
  uint64_t at = 0;
  const uint64_t length = plan_.mix[flow.exchange].request_bytes;
  while (at < length) {
    const std::span<const std::byte> piece = pattern_.Piece(at, length - at);
    if (!socket.SendStatic(piece)) return false;
    at += piece.size();
  }
  return true;
}

template <class N>
size_t LoadAppOf<N>::OnReceive(Socket socket, std::span<const std::byte> data) {
  now_ = N::Now(socket.engine(), now_);
  const auto index = static_cast<uint32_t>(socket.user_data());
  Flow& flow = flows_[index];
  if (flow.failure != LoadFailure::kNone) return data.size();
  if (flow.phase != FlowPhase::kAwaiting && flow.phase != FlowPhase::kReceiving) {
    Fail(socket, index, LoadFailure::kExtraData);
    return data.size();
  }
  if (flow.phase == FlowPhase::kAwaiting) OnFirstByte(index);
  const bool http = targets_[flow.target].target.http();
  const uint64_t before = flow.received;
  const size_t taken = http ? ReceiveHttp(index, data) : ReceiveRaw(flow, data);
  if (flow.measured) result_.counts.body_bytes += flow.received - before;
  const bool whole = http ? readers_[index].progress() == HttpResponseReader::Progress::kDone
                          : flow.received == plan_.mix[flow.exchange].response_bytes;
  if (flow.failure != LoadFailure::kNone) {
    Fail(socket, index, flow.failure);
  } else if (whole && taken < data.size()) {
    Fail(socket, index, LoadFailure::kExtraData);
  } else if (whole) {
    OnResponse(socket, index);
  }
  return data.size();
}

template <class N>
void LoadAppOf<N>::OnFirstByte(uint32_t index) {
  const Flow& flow = flows_[index];
  RecordLatency(flow, LatencyState::kFirstByte, flow.request_intended, flow.request_started);
  Enter(index, FlowPhase::kReceiving);
}

template <class N>
size_t LoadAppOf<N>::ReceiveRaw(Flow& flow, std::span<const std::byte> data) {
  const uint64_t left = plan_.mix[flow.exchange].response_bytes - flow.received;
  const auto taken = static_cast<size_t>(std::min<uint64_t>(left, data.size()));
  if (!CheckPayload(flow.received, data.first(taken))) flow.failure = LoadFailure::kWrongPayload;
  flow.received += taken;
  return taken;
}

// Leaves in flow.failure what is wrong with a response that is over.
template <class N>
size_t LoadAppOf<N>::ReceiveHttp(uint32_t index, std::span<const std::byte> data) {
  Flow& flow = flows_[index];
  using Progress = HttpResponseReader::Progress;
  HttpResponseReader& reader = readers_[index];
  const size_t taken = reader.Feed(TextOf(data), [&](std::string_view body) {
    const bool ok = reader.status() >= 200 && reader.status() < 300;
    if (ok && !CheckPayload(flow.received, OctetsOf(body))) {
      flow.failure = LoadFailure::kWrongPayload;
    }
    flow.received += body.size();
  });
  if (reader.progress() == Progress::kError) flow.failure = LoadFailure::kNotHttp;
  if (reader.progress() != Progress::kDone) return taken;
  if (reader.status() >= 400) {
    flow.failure = LoadFailure::kHttpStatus;
  } else if (plan_.expected_body_bytes && flow.received != *plan_.expected_body_bytes) {
    flow.failure = LoadFailure::kWrongLength;
  }
  return taken;
}

template <class N>
bool LoadAppOf<N>::CheckPayload(uint64_t at, std::span<const std::byte> data) const {
  if (!plan_.check_payload) return true;
  while (!data.empty()) {
    const std::span<const std::byte> wanted = pattern_.Piece(at, data.size());
    if (std::memcmp(wanted.data(), data.data(), wanted.size()) != 0) return false;
    at += wanted.size();
    data = data.subspan(wanted.size());
  }
  return true;
}

// The response is whole, and right.
template <class N>
void LoadAppOf<N>::OnResponse(const Socket& socket, uint32_t index) {
  Flow& flow = flows_[index];
  RecordLatency(flow, LatencyState::kLastByte, flow.request_intended, flow.request_started);
  ++requests_ok_;
  if (Measured(flow.request_intended)) ++result_.counts.requests_ok;
  --flow.requests_left;
  if (flow.held) return Enter(index, FlowPhase::kIdle);
  if (flow.requests_left == 0) return BeginClose(socket, index);
  if (phase_limits_[static_cast<size_t>(FlowPhase::kThinking)] == Duration()) {
    return SendRequest(socket, index, now_);
  }
  Enter(index, FlowPhase::kThinking);
}

template <class N>
void LoadAppOf<N>::BeginClose(const Socket& socket, uint32_t index) {
  flows_[index].closing = now_;
  Enter(index, FlowPhase::kClosing);
  if (plan_.close == CloseMode::kFin) socket.Close();
  if (plan_.close == CloseMode::kReset) socket.Abort();
}

template <class N>
void LoadAppOf<N>::OnPeerClosed(Socket socket) {
  now_ = N::Now(socket.engine(), now_);
  const auto index = static_cast<uint32_t>(socket.user_data());
  Flow& flow = flows_[index];
  const bool in_response =
      flow.phase == FlowPhase::kAwaiting || flow.phase == FlowPhase::kReceiving;
  if (in_response && targets_[flow.target].target.http() &&
      readers_[index].Finish() == HttpResponseReader::Progress::kDone) {
    ReceiveHttp(index, {});  // a body that lasts until the close: judged now
    if (flow.failure == LoadFailure::kNone && flow.requests_left == 1 && !flow.held) {
      OnResponse(socket, index);
    }
  }
  if (flow.phase == FlowPhase::kClosing) {
    if (plan_.close == CloseMode::kServer) flow.closing = now_;
  } else {
    if (flow.failure == LoadFailure::kNone) flow.failure = LoadFailure::kClosedEarly;
    Enter(index, FlowPhase::kClosing);
  }
  socket.Close();
}

// The first failure of a connection is its reason.
template <class N>
void LoadAppOf<N>::Fail(const Socket& socket, uint32_t index, LoadFailure failure) {
  if (flows_[index].failure == LoadFailure::kNone) flows_[index].failure = failure;
  Enter(index, FlowPhase::kEnding);
  socket.Abort();
}

template <class N>
LoadFailure LoadAppOf<N>::Outcome(const Flow& flow, tcp::CloseReason reason) const {
  if (flow.failure != LoadFailure::kNone) return flow.failure;
  const bool closing = flow.phase == FlowPhase::kClosing;
  switch (reason) {
    case tcp::CloseReason::kNormal:
      return closing ? LoadFailure::kNone : LoadFailure::kClosedEarly;
    case tcp::CloseReason::kRefused:
      return LoadFailure::kRstInSynSent;
    case tcp::CloseReason::kReset:
      return closing ? LoadFailure::kRstInClose : LoadFailure::kRstAfterEstablished;
    case tcp::CloseReason::kTimedOut:
      return flow.phase == FlowPhase::kConnecting ? LoadFailure::kSynTimeout
                                                  : LoadFailure::kTcpTimeout;
    case tcp::CloseReason::kUnreachable:
      return LoadFailure::kUnreachable;
    case tcp::CloseReason::kAborted:
      break;  // by us, and every reason for it but the mode of closing is in flow.failure
  }
  return LoadFailure::kNone;
}

template <class N>
void LoadAppOf<N>::OnClose(Socket socket, tcp::CloseReason reason) {
  now_ = N::Now(socket.engine(), now_);
  const auto index = static_cast<uint32_t>(socket.user_data());
  Flow& flow = flows_[index];
  const LoadFailure outcome = Outcome(flow, reason);
  if (flow.probe) return OnProbeOver(outcome);
  if (outcome != LoadFailure::kNone) Capture(socket, flow, outcome);
  if (flow.held) {
    --(flow.opened ? held_open_ : held_opening_);
    Count(flow, outcome);
    return Give(index);
  }
  if (outcome == LoadFailure::kNone) {
    RecordLatency(flow, LatencyState::kTotal, flow.intended, flow.started);
    if (plan_.close != CloseMode::kReset) {
      RecordLatency(flow, LatencyState::kClose, flow.closing, flow.closing);
    }
  }
  Count(flow, outcome);
  Give(index);
}

template <class N>
void LoadAppOf<N>::Capture(const Socket& socket, const Flow& flow, LoadFailure failure) {
  if constexpr (N::kHasFrames) {
    if (recorder_ == nullptr || !(flow.measured || flow.held)) return;
    recorder_->OnFailure(socket.local(), socket.remote(), flow.started, ToString(failure),
                         MeaningOf(failure));
  }
}

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_LOAD_LOAD_APP_FLOW_H_
