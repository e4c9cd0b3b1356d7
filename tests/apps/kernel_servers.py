"""tests/apps/kernel_servers.py - servers on loopback for kernel_cases.py, in its threads."""

import contextlib
import http.server
import socket
import struct
import threading

PATTERN = bytes((i * 7 + 13) % 251 for i in range(251))


def reset(peer):
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answers(peer):
    """As `serve`: an octet for an octet, until the client closes."""
    while data := peer.recv(65536):
        peer.sendall(PATTERN[:1] * len(data))


def resets(peer):
    peer.recv(1)
    reset(peer)


def says_nothing(peer):
    while peer.recv(65536):
        pass


def closes_early(peer):
    peer.recv(1)


def sends_for_ever(peer):
    with contextlib.suppress(OSError):
        while True:
            peer.sendall(b"z" * 65536)


def speaks_no_http(peer):
    peer.recv(65536)
    peer.sendall(b"\x00\xff garbage\r\n\r\n")
    says_nothing(peer)


@contextlib.contextmanager
def server(handle, family=socket.AF_INET, backlog=512):
    """A listener whose connections `handle` has, each in a thread; gives the target's address."""
    listener = socket.socket(family, socket.SOCK_STREAM)
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    listener.bind((address, 0))
    listener.listen(backlog)
    peers = set()

    def attend(peer):
        with contextlib.suppress(OSError), peer:
            handle(peer)
        peers.discard(peer)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                peer = listener.accept()[0]
                peers.add(peer)
                threading.Thread(target=attend, args=(peer,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    host = address if family == socket.AF_INET else f"[{address}]"
    try:
        yield f"{host}:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for peer in list(peers):
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = PATTERN * 40
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Web(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_):
        """Says nothing of resets."""
