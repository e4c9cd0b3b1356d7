"""tests/lab/cases.py - what must hold between Millrace and the Linux kernel, a function each.

A case takes a Bench, raises Failure (or a time-out) when it does not hold, and Skip when a program
is missing. Every case is bounded in time. `ss` and all clients run on the kernel's side.
"""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import labnet

SIZES = {"1": 1, "1k": 1024, "100m": 100 << 20}
PORT = 80
IMPAIRED = "loss=1%,reorder=1%"
DYING = {"CLOSE-WAIT", "LAST-ACK", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSING"}


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def expect(condition, words):
    if not condition:
        raise Failure(words)


def content(size):
    """Octet i of every page is (i * 7 + 13) mod 251."""
    return (bytes((i * 7 + 13) % 251 for i in range(251)) * (size // 251 + 1))[:size]


class Bench:
    """A lab, the program under test, and the tools that the cases share."""

    def __init__(self, lab, millrace, impair=None):
        self.lab, self.millrace = lab, millrace
        self.server = lab.millrace_ip
        self.family = socket.AF_INET if lab.family == 4 else socket.AF_INET6
        # Addresses as URLs have them.
        self.server_host, self.kernel_host = (
            f"[{address}]" if lab.family == 6 else address
            for address in (lab.millrace_ip, lab.kernel_ip))
        self.impair = ["--impair", impair] if impair else []

    def kernel(self, *command, timeout=30, stdin=None):
        """Runs a program on the kernel's side: (status, stdout as bytes)."""
        if not shutil.which(command[0]):
            raise Skip(f"no program {command[0]}")
        result = subprocess.run([*self.lab.inside(self.lab.kernel_ns), *command],
                                stdin=stdin or subprocess.DEVNULL, capture_output=True,
                                timeout=timeout)
        return result.returncode, result.stdout + (result.stderr if result.returncode else b"")

    def connect(self, port=PORT, timeout=5.0):
        with self.lab.kernel_side():
            s = socket.socket(self.family, socket.SOCK_STREAM)
        s.settimeout(timeout)
        s.connect((self.server, port))
        return s

    def states(self, port=None):
        """TCP states on the kernel's side, of all connections or of a local port's."""
        filters = ["sport", "=", f":{port}"] if port else []
        _, out = self.kernel("ss", "-tanH", *filters)
        return [line.split()[0] for line in out.decode().split("\n") if line.strip()]

    def nothing_dies_slowly(self, seconds=5):
        """No connection stays half closed: what is left is TIME-WAIT at most."""
        left = []

        def clean():
            left[:] = DYING & set(self.states())
            return not left

        expect(labnet.wait_until(clean, seconds), f"still there after {seconds} s: {left}")

    def get(self, url, *options, timeout=120):
        """`millrace get URL`: (status, SHA-256 of the body, what it said)."""
        path = os.path.join(self.lab.folder, "body")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        command = self.lab.millrace_command(self.millrace, "get", url, "-o", path, *self.impair,
                                            *options)
        status, said = run_for(self.lab, command, timeout)
        return status, sha256_of(path), said


def run_for(lab, command, timeout):
    """Runs a program on Millrace's side: (status, all that it said)."""
    result = subprocess.run([*lab.inside(lab.millrace_ns), *command], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
    return result.returncode, result.stdout.decode(errors="replace")


def sha256_of(path):
    if not os.path.exists(path):
        return None
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# Millrace as HTTP server.

def ping(bench):
    for size in ("56", "1400"):
        status, out = bench.kernel("ping", "-n", "-c", "10", "-i", "0.05", "-W", "2", "-s", size,
                                   bench.server)
        expect(status == 0 and b" 0% packet loss" in out, out.decode().strip()[-200:])


def fetch(bench, name, timeout=30):
    path = os.path.join(bench.lab.folder, "fetched")
    status, out = bench.kernel("curl", "-sS", "--fail", "--max-time", str(timeout), "-o", path,
                               f"http://{bench.server_host}/{name}", timeout=timeout + 5)
    expect(status == 0, f"curl ends with {status}: {out.decode().strip()}")
    wanted = hashlib.sha256(content(SIZES[name])).hexdigest()
    size = os.path.getsize(path)
    expect(sha256_of(path) == wanted, f"wrong content, {size} octets of {SIZES[name]}")


def page_of_1_octet(bench):
    fetch(bench, "1")


def page_of_1_kib(bench):
    fetch(bench, "1k")


def page_of_100_mib(bench):
    fetch(bench, "100m", timeout=120)


def wrk(bench):
    status, out = bench.kernel("wrk", "-t1", "-c16", "-d3s", "--timeout", "5s",
                               f"http://{bench.server_host}/1k")
    text = out.decode()
    count = re.search(r"(\d+) requests in", text)
    expect(status == 0 and count and int(count[1]) > 0, text.strip()[-300:])
    expect("Socket errors" not in text and "Non-2xx" not in text, text.strip()[-300:])


def ab(bench):
    status, out = bench.kernel("ab", "-q", "-n", "5000", "-c", "16", "-s", "10",
                               f"http://{bench.server_host}/1k", timeout=60)
    text = out.decode()
    expect(status == 0, text.strip()[-300:])
    expect(re.search(r"Complete requests:\s+5000\b", text) and
           re.search(r"Failed requests:\s+0\b", text) and "Non-2xx" not in text,
           "; ".join(re.findall(r"(?:Complete|Failed|Non-2xx).*", text)))


def slow_reader_sees_established_then_nothing(bench):
    """The server closes first: ESTAB while we read slowly, nothing half closed afterwards."""
    with bench.connect(timeout=30) as s:
        port = s.getsockname()[1]
        s.sendall(b"GET /100m HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = 0
        for _ in range(20):  # a second of a reader slower than the window
            received += len(s.recv(16384))
            time.sleep(0.05)
        expect(bench.states(port) == ["ESTAB"], f"during the transfer: {bench.states(port)}")
        while data := s.recv(1 << 20):
            received += len(data)
        expect(received > SIZES["100m"], f"{received} octets, then the end")
    bench.nothing_dies_slowly()
    expect(bench.states(port) in ([], ["TIME-WAIT"]), f"at the end: {bench.states(port)}")


def closed_port_is_refused_at_once(bench):
    start = time.monotonic()
    try:
        bench.connect(port=9).close()
    except ConnectionRefusedError:
        expect(time.monotonic() - start < 1, "refused, but late")
        return
    except OSError as error:
        raise Failure(f"not refused: {error}") from error
    raise Failure("a closed port accepted")


def udp_port_is_unreachable(bench):
    with bench.lab.kernel_side():
        s = socket.socket(bench.family, socket.SOCK_DGRAM)
    with s:
        s.settimeout(1)
        s.connect((bench.server, 9))
        for _ in range(3):  # ICMP errors may be limited in rate
            try:
                s.send(b"x")
                s.recv(1)
            except ConnectionRefusedError:
                return
            except TimeoutError:
                continue
    raise Failure("no ICMP port unreachable")


# Millrace as echo and discard server.

def half_close(bench, size=10 << 20):
    """nc sends all, shuts down its side, and still gets everything back."""
    path = os.path.join(bench.lab.folder, "sent")
    with open(path, "wb") as file:
        file.write(content(size))
    with open(path, "rb") as file:
        status, out = bench.kernel("nc", "-N", "-w", "20", bench.server, str(PORT), stdin=file,
                                   timeout=90)
    expect(status == 0, f"nc ends with {status}")
    expect(out == content(size), f"{len(out)} octets of {size} came back, or wrong ones")
    bench.nothing_dies_slowly()


def closer_has_time_wait(bench):
    """The kernel closes first, so TIME-WAIT is the kernel's."""
    with bench.connect() as s:
        port = s.getsockname()[1]
        s.sendall(b"hello")
        expect(s.recv(100) == b"hello", "no echo")
        expect(bench.states(port) == ["ESTAB"], f"open: {bench.states(port)}")
    expect(labnet.wait_until(lambda: bench.states(port) == ["TIME-WAIT"], 5),
           f"after close: {bench.states(port)}")


def half_closed_connection_shows_its_state(bench):
    """FIN-WAIT-2 or TIME-WAIT after a shutdown, and the peer's end of data arrives."""
    with bench.connect() as s:
        port = s.getsockname()[1]
        s.sendall(b"hello")
        s.shutdown(socket.SHUT_WR)
        received = b""
        while data := s.recv(100):
            received += data
        expect(received == b"hello", f"received {received!r}")
    expect(labnet.wait_until(lambda: bench.states(port) == ["TIME-WAIT"], 5),
           f"after close: {bench.states(port)}")


def server_survives_resets(bench):
    for _ in range(50):
        s = bench.connect()
        s.sendall(b"x" * 1000)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()  # RST
    with bench.connect() as s:
        s.sendall(b"hello")
        expect(s.recv(100) == b"hello", "no echo after resets")


def discard_reads_everything(bench):
    with bench.connect(timeout=60) as s:
        port = s.getsockname()[1]
        data = content(1 << 20)
        for _ in range(50):
            s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        expect(s.recv(1) == b"", "discard answered")
    expect(labnet.wait_until(lambda: bench.states(port) == ["TIME-WAIT"], 5),
           f"after close: {bench.states(port)}")


# Millrace as client of nginx.

def client_fetch(bench, name, timeout=120):
    status, digest, said = bench.get(f"http://{bench.kernel_host}/{name}", timeout=timeout)
    expect(status == 0, f"status {status}: {said.strip()[-300:]}")
    expect(digest == hashlib.sha256(content(SIZES[name])).hexdigest(), "wrong content")


def client_page_of_1_octet(bench):
    client_fetch(bench, "1")


def client_page_of_100_mib(bench):
    client_fetch(bench, "100m")


def client_states(bench):
    """nginx's side: ESTAB during a slow transfer, then nothing half closed."""
    command = bench.lab.millrace_command(
        bench.millrace, "get", f"http://{bench.kernel_host}/slow/100m", "-o", "/dev/null")
    process = bench.lab.spawn(bench.lab.millrace_ns, command,
                              os.path.join(bench.lab.folder, "get.log"))
    try:
        seen = labnet.wait_until(lambda: "ESTAB" in bench.states(80), 5)
        time.sleep(0.5)
        during = set(bench.states(80)) - {"LISTEN", "TIME-WAIT"}
        status = process.wait(60)
    finally:
        labnet.stop(process, signal.SIGKILL)
    expect(seen and during == {"ESTAB"}, f"during the transfer: {during or 'nothing'}")
    expect(status == 0, f"millrace get ends with {status}")
    bench.nothing_dies_slowly()
    expect("ESTAB" not in bench.states(80), "still open at nginx")


def client_is_refused_at_once(bench):
    start = time.monotonic()
    status, _, said = bench.get(f"http://{bench.kernel_host}:81/", timeout=20)
    expect(status != 0, "a closed port was taken for a success")
    expect("refused" in said.lower(), f"says {said.strip()[-200:]!r}, not that it was refused")
    expect(time.monotonic() - start < 10, "refused, but late")


def client_finds_a_duplicate_address(bench):
    """Duplicate address detection: the kernel has our address too, and nothing is sent from it."""
    address = [f"{bench.lab.millrace_ip}/64", "dev", bench.lab.kernel_if]
    namespace = bench.lab.kernel_ns
    labnet.run("ip", "-n", namespace, "addr", "add", *address, "nodad")
    try:
        status, _, said = bench.get(f"http://{bench.kernel_host}/1", timeout=20)
    finally:
        labnet.run("ip", "-n", namespace, "addr", "del", *address)
    expect(status == 3 and "in use by another station" in said, f"{status}: {said.strip()[-200:]}")


SERVER_CASES = {
    "http": [ping, page_of_1_octet, page_of_1_kib, page_of_100_mib, wrk, ab,
             slow_reader_sees_established_then_nothing, closed_port_is_refused_at_once,
             udp_port_is_unreachable],
    "echo": [half_close, closer_has_time_wait, half_closed_connection_shows_its_state,
             server_survives_resets],
    "discard": [discard_reads_everything],
}
IMPAIRED_CASES = {"http": [page_of_1_octet, page_of_100_mib], "echo": [half_close]}
CLIENT_CASES = [client_page_of_1_octet, client_page_of_100_mib, client_states,
                client_is_refused_at_once]
IMPAIRED_CLIENT_CASES = [client_page_of_1_octet, client_page_of_100_mib]
# What may differ by family.
IPV6_CASES = {"http": [ping, page_of_1_octet, page_of_100_mib, wrk, closed_port_is_refused_at_once,
                       udp_port_is_unreachable],
              "echo": [half_close]}
IPV6_CLIENT_CASES = [client_page_of_1_octet, client_page_of_100_mib, client_is_refused_at_once,
                     client_finds_a_duplicate_address]
SMOKE_CASES = {"http": [ping, page_of_1_octet, page_of_100_mib, closed_port_is_refused_at_once]}
