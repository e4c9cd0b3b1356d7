// apps/serve/body_sender.h - queues a generated body on a connection, piece by piece, without a
// copy, as far as the engine has room.
//
// Cost: one extent of the engine's pool per MiB.
#ifndef MILLRACE_APPS_SERVE_BODY_SENDER_H_
#define MILLRACE_APPS_SERVE_BODY_SENDER_H_

#include <cstdint>
#include <span>

#include "apps/common/pattern.h"
#include "millrace/stack/socket.h"

namespace millrace::apps {

struct BodySender {
  uint64_t position = 0, length = 0;  // octets queued, octets in all

  bool done() const { return position == length; }

  // True when all is queued. Else the engine has no room: OnWritable follows when anything of this
  // connection is unacknowledged, and otherwise (`Starved`) the caller tries again later.
  bool Pump(const Pattern& pattern, const stack::Socket& socket) {
    while (position < length) {
      const std::span<const std::byte> piece = pattern.Piece(position, length - position);
      if (!socket.SendStatic(piece)) return false;
      position += piece.size();
    }
    return true;
  }

  static bool Starved(const stack::Socket& socket) { return socket.unsent_bytes() == 0; }
};

}  // namespace millrace::apps

#endif  // MILLRACE_APPS_SERVE_BODY_SENDER_H_
