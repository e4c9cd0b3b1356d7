#!/usr/bin/env python3
"""tests/lab/kernel_standin.py - plays `millrace serve` and `millrace get` with Linux sockets.

The lab's tests run against it to test themselves (tests/lab/run --self-test): what fails here is
wrong in the test, not in Millrace. It takes the address on the interface that --dev names, and
leaves --impair alone.
"""

import argparse
import re
import signal
import socket
import socketserver
import subprocess
import sys
import urllib.request

PATTERN = bytes((i * 7 + 13) % 251 for i in range(251)) * 512
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20}


class Http(socketserver.BaseRequestHandler):
    def handle(self):
        file = self.request.makefile("rb")
        while True:
            line = file.readline()
            if not line:
                return
            head = [row.lower() for row in iter(file.readline, b"\r\n") if row]
            size = re.match(rb"GET /(\d+)([km]?) ", line)
            length = int(size[1]) * UNITS[size[2].decode()] if size else 0
            code = "200 OK" if size else "404 Not Found"
            close = b"HTTP/1.0" in line or b"connection: close\r\n" in head
            kept = "close" if close else "keep-alive"
            self.request.sendall(f"HTTP/1.1 {code}\r\nContent-Length: {length}\r\n"
                                 f"Connection: {kept}\r\n\r\n".encode())
            sent = 0
            while sent < length:  # 512 * 251 octets: every chunk begins where the pattern does
                sent += self.request.send(PATTERN[sent % 251:][:length - sent])
            if close:
                return


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Discard(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(65536):
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 4096

    def handle_error(self, request, client_address):
        pass  # a peer that resets is data


def take_address(args):
    interface = args.dev.split(":", 1)[1]
    subprocess.run(["ip", "addr", "replace", args.ip, "dev", interface], check=True)


def serve(args):
    handler = Echo if args.echo else Discard if args.discard else Http
    with Server((args.ip.split("/")[0], args.port), handler) as server:
        signal.signal(signal.SIGINT, lambda *unused: sys.exit(0))
        signal.signal(signal.SIGTERM, lambda *unused: sys.exit(0))
        print(f"listening on {args.ip.split('/')[0]}:{args.port} (Linux)", flush=True)
        server.serve_forever()


def get(args):
    try:
        with urllib.request.urlopen(args.url, timeout=30) as response:
            with open(args.output or "/dev/stdout", "wb") as output:
                while data := response.read(1 << 20):
                    output.write(data)
    except (OSError, socket.timeout) as error:
        sys.exit(f"millrace get: {error}")


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("serve", "get"):
        command = commands.add_parser(name)
        for option in ("--dev", "--ip", "--impair", "--stats"):
            command.add_argument(option)
        command.add_argument("--port", type=int, default=80)
        for flag in ("--http", "--echo", "--discard", "--reassemble"):
            command.add_argument(flag, action="store_true")
    commands.choices["get"].add_argument("url")
    commands.choices["get"].add_argument("-o", dest="output")
    args = parser.parse_args()
    take_address(args)
    (serve if args.command == "serve" else get)(args)


if __name__ == "__main__":
    main()
