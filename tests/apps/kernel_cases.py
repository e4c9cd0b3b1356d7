"""tests/apps/kernel_cases.py MILLRACE - `load` over the kernel's sockets, without root.

The servers are threads of this program. Rates are low and no case depends on how fast the machine
is: a busy one makes a run INVALID (exit code 5).
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True

from kernel_servers import (Quiet, Web, answers, closes_early, reset, resets,  # noqa: E402
                            says_nothing, sends_for_ever, server, speaks_no_http)
from load_program import MILLRACE, PATIENT, PROGRAM, VALID_OR_BUSY, adds_up, run  # noqa: E402

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
KERNEL = ["--dev", "kernel", "--live", "none", "--warmup", "0"]


@contextlib.contextmanager
def writable_folder():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        yield folder


def load(target, *flags, code=VALID_OR_BUSY):
    """A run of 40 connections, for the result."""
    return run("run", target, *KERNEL, "--arrival", "paced", "--rate", "400", "-n", "40",
               "--duration", "20s", *flags, "--json", "-", code=code)


def has_ipv6():
    """A container may be without."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def every_close_and_both_families():
    for family in (socket.AF_INET, socket.AF_INET6):
        if family == socket.AF_INET6 and not has_ipv6():
            continue
        for close in "fin", "rst", "half":
            with server(answers, family) as at:
                result = load(f"tcp://{at}", "--close", close, *PATIENT)
            assert adds_up(result)["ok"] == 40, (close, result["failures"], result["notes"])
            assert result["counts"]["responses"] == 40
            counted = {state: latency["actual"]["count"]
                       for state, latency in result["latency"].items()}
            closes = 0 if close == "rst" else 40
            assert counted == {"connect": 40, "first_byte": 40, "last_byte": 40, "close": closes,
                               "total": 40}, counted


def the_result_says_what_the_kernel_does_not():
    with server(answers) as at, writable_folder() as folder:
        result = load(f"tcp://{at}", "-o", folder + "/run", *PATIENT)
        shown = subprocess.run([MILLRACE, "report", "show", folder + "/run"], check=True,
                               capture_output=True, text=True).stdout
        assert "kernel: sockets of Linux" in shown, shown
        assert "bit/s" not in shown and "packet pool" not in shown, shown
    machine, generator = result["machine"], result["generator"]
    assert machine["device"].startswith("kernel: sockets of Linux " + os.uname().release), machine
    assert os.uname().release in machine["kernel"] and machine["dpdk"] == "", machine
    for absent in "packet_pool_low_share", "tx_dropped", "rx_missed":
        assert absent not in generator, generator
    assert "rx_bits_per_s" not in result["load"] and result["nic"] == {}, result["load"]
    assert generator["worst_lag_ns"] > 0 and generator["cores"][0]["busy_share"] > 0, generator
    # SYN, ACK, request, ACK, FIN, ACK and what answers them, acknowledgments together or not.
    assert 6 <= result["load"]["packets_per_connection"] <= 12, result["load"]
    assert result["counters"]["TcpActiveOpens"] >= 41, result["counters"]  # with the probe


def congestion_control_is_as_asked_for():
    with server(answers) as at:
        result = load(f"tcp://{at}", "--congestion", "newreno", *PATIENT)
    assert ", reno, 1 worker" in result["machine"]["device"], result["machine"]
    assert adds_up(result)["ok"] == 40, result["failures"]


def open_connections_are_counted_too():
    """They are held beyond the window, and a segment each way for every request counts in it."""
    with server(answers) as at:
        result = run("hold", f"tcp://{at}", *KERNEL, "--conns", "20", "--rate", "20", "--rps",
                     "400", "--duration", "1s", *PATIENT, "--json", "-", code=VALID_OR_BUSY)
    passing = result["counts"]["due"] - 20
    segments = result["load"]["packets_per_connection"] * passing
    # All but those of the last polls, at most one request of each connection a poll.
    assert segments >= 2 * result["counts"]["responses"] - 10 * 20, (segments, result["counts"])


def what_peers_do_has_a_name():
    cases = [(resets, "tcp", "rst_after_established", []),
             (says_nothing, "tcp", "first_byte_timeout", ["--timeout", "first-byte=200ms"]),
             (closes_early, "tcp", "closed_early", []),
             (sends_for_ever, "tcp", "extra_data", []),
             (speaks_no_http, "http", "not_http", []),
             (answers, "tcp", "wrong_payload", ["--req-size", "3", "--resp-size", "3", "--check"])]
    for handle, protocol, name, flags in cases:
        with server(handle) as at:
            result = load(f"{protocol}://{at}", *flags, code={4, 5})
        assert adds_up(result)["failed"] == 40, (name, result["failures"])
        assert result["failures"] == {name: 40}, (name, result["failures"])


def who_refuses_and_who_is_not_there():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # without listen
        result = load(f"tcp://127.0.0.1:{bound.getsockname()[1]}", code={4, 5})
    assert result["failures"] == {"rst_in_syn_sent": 40}, result["failures"]
    adds_up(result)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # has room for one that nobody accepts; then SYNs are dropped
        at = full.getsockname()
        with contextlib.ExitStack() as kept:
            for _ in range(2):
                client = kept.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(at)
            result = load(f"tcp://127.0.0.1:{at[1]}", code=4)
    assert result["failures"] == {"syn_timeout": 1}, result["failures"]
    assert "is not there" in " ".join(result["notes"]), result["notes"]


def pythons_http_server():
    with Web(("127.0.0.1", 0), Quiet) as web:
        web.daemon_threads = True
        threading.Thread(target=web.serve_forever, daemon=True).start()
        at = f"http://127.0.0.1:{web.server_port}"
        result = load(at + "/page", "--requests", "3", "--check", "--resp-size", "10040", *PATIENT)
        assert adds_up(result)["ok"] == 40, (result["failures"], result["notes"])
        assert result["counts"]["responses"] == 120, result["counts"]
        result = load(at + "/none", code={4, 5})
        assert result["failures"] == {"http_status": 40}, result["failures"]
        adds_up(result)
        closed = run("run", at + "/page", *KERNEL, "--conns", "6", "-n", "60", "--duration", "20s",
                     "--close", "rst", *PATIENT, "--json", "-", code=VALID_OR_BUSY)
        assert adds_up(closed)["ok"] == 60, closed["failures"]
        web.shutdown()


def connections_are_held_by_several_workers():
    cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0))[:2])
    with server(answers) as at:
        result = run("hold", f"tcp://{at}", *KERNEL, "--conns", "60", "--rate", "100", "--rps",
                     "100", "--duration", "1s", "--cores", cpus, *PATIENT, "--json", "-",
                     code=VALID_OR_BUSY)
    assert result["counts"]["held"] == 60, result["counts"]
    assert adds_up(result)["ok"] == result["counts"]["due"] > 100, result["failures"]
    assert len(result["generator"]["cores"]) == len(cpus.split(",")), result["generator"]


def find_max_finds_a_cap_of_the_server():
    """The server answers 150 connections a second, and resets what is more."""
    lock, room = threading.Lock(), [5.0, time.monotonic()]

    def capped(peer):
        with lock:
            now = time.monotonic()
            room[0] = min(room[0] + (now - room[1]) * 150, 5.0)
            room[1] = now
            full = room[0] < 1
            room[0] -= 0 if full else 1
        if full:
            return reset(peer)
        answers(peer)

    with server(capped) as at:
        result = run("find-max", f"tcp://{at}", *KERNEL, "--start", "40", "--max", "2k", "--width",
                     "10%", "--trial", "300ms", "--duration", "1s", "--goal", "pdr:2%", *PATIENT,
                     "--json", "-", code=VALID_OR_BUSY)
    goal = result["search"]["goals"][0]
    assert goal["rate_per_s"] <= 175, result["search"]
    # On a busy machine all trials are void.
    assert goal["rate_per_s"] >= 100 or goal["limited_by"] == "generator", result["search"]


def interrupted_runs_keep_their_results():
    with server(answers) as at, writable_folder() as folder:
        words = [*PROGRAM, "load", "run", f"tcp://{at}", *KERNEL, "--rate", "100", "--duration",
                 "60s", "-o", folder + "/run", "--json-stream", "-", "--interval", "100ms"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True) as child:
            while json.loads(child.stdout.readline())["type"] != "interval":
                pass
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=20)
        assert child.returncode == 130, child.returncode
        with open(folder + "/run/result.json", encoding="utf-8") as file:
            result = json.load(file)
    assert result["verdict"]["interrupted"] and adds_up(result)["ok"] > 0, result["counts"]


def sources_are_as_asked_for():
    seen = set()

    def notes(peer):
        seen.add(peer.getpeername())
        answers(peer)

    with server(notes) as at:
        flags = ["--src", "127.0.0.2-127.0.0.5", "--src-port", "30000-30099"]
        assert adds_up(load(f"tcp://{at}", *flags, *PATIENT))["ok"] == 40
        assert {host for host, _ in seen} == {f"127.0.0.{i}" for i in range(2, 6)}, seen
        assert all(30000 <= port <= 30099 for _, port in seen), seen
        said = run("run", f"tcp://{at}", *KERNEL, "--src", "127.0.0.2", "--src-port",
                   "30000-30009", "--rate", "500", "--duration", "60s", code=2)
        assert "1 address x 10 ports" in said and "--close rst" in said, said
        said = run("run", f"tcp://{at}", *KERNEL, "--src", "192.0.2.1", code=2)
        assert "192.0.2.1 is no address of this machine" in said, said


def flags_of_our_own_stack_are_refused():
    cases = [["--ip", "10.0.0.1/24"], ["--gw", "10.0.0.9"], ["--vlan", "5"], ["--eal", "-l 1"],
             ["--time-wait", "5s"], ["--no-sack"], ["--no-huge"], ["--impair", "loss=1%"],
             ["--capture-failures", "/tmp/x.pcapng"], ["--memory-mb", "64"], ["--reassemble"]]
    for flags in cases:
        said = run("run", "tcp://127.0.0.1:1", *KERNEL, *flags, code=2)
        assert said.count("\n") == 1 and f"{flags[0]}: not with --dev kernel" in said, said
    said = run("run", "tcp://127.0.0.1:1", *KERNEL, "--congestion", "none", code=2)
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control", encoding="ascii") as file:
        assert file.read().strip() in said, said
    said = run("run", "tcp://127.0.0.1:1", *KERNEL, "--congestion", "renno", code=2)
    assert "cubic, newreno, dctcp, bbr, none" in said, said
    said = run("run", "tcp://127.0.0.1:1", *KERNEL, "--dev", "tap:x", code=2)
    assert "leave the other --dev out" in said, said
    said = run("run", "ring", *KERNEL, code=2)
    assert "--dev: a target of `ring` is in this process" in said, said
    said = run("run", "tcp://127.0.0.1:1", *KERNEL, "--cores", "9999", code={2, 3})
    assert "--cores" in said, said


def too_few_descriptors_are_said_before():
    if os.geteuid() == 0 and PROGRAM == [MILLRACE]:
        return  # root may raise every limit
    words = [*PROGRAM, "load", "run", "tcp://127.0.0.1:1", *KERNEL, "--open-max", "5000"]
    done = subprocess.run(["sh", "-c", 'ulimit -n 1000; exec "$@"', "sh", *words],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 3, (done.returncode, done.stderr)
    assert re.search(r"1[, ]?000.*prlimit --pid \$\$ --nofile=\d+.*--open-max", done.stderr), done


CASES = [every_close_and_both_families, the_result_says_what_the_kernel_does_not,
         congestion_control_is_as_asked_for, open_connections_are_counted_too,
         what_peers_do_has_a_name, who_refuses_and_who_is_not_there, pythons_http_server,
         connections_are_held_by_several_workers, find_max_finds_a_cap_of_the_server,
         interrupted_runs_keep_their_results, sources_are_as_asked_for,
         flags_of_our_own_stack_are_refused, too_few_descriptors_are_said_before]


def without_root():
    """Where root runs the cases the program is nobody's, if nobody may read it."""
    if os.geteuid() == 0 and shutil.which("setpriv") and subprocess.run(
            [*NOBODY, MILLRACE, "--version"], check=False, capture_output=True).returncode == 0:
        PROGRAM[:0] = NOBODY


def main():
    without_root()
    for case in CASES:
        begun = time.monotonic()
        case()
        print(f"ok {case.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
