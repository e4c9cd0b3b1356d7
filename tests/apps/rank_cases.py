"""tests/apps/rank_cases.py MILLRACE - groups of ranks as a user starts them: processes over rings,
coordinated over the loopback.

Rates are low and no case depends on how fast the machine is: a busy one makes a run INVALID (exit
code 5), which is then what it has to say.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

MILLRACE = sys.argv[1]
VALID_OR_BUSY = {0, 5}
SHORT = ["ring", "--rate", "600", "--arrival", "paced", "--warmup", "100ms", "--no-huge"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Group:
    """Ranks with the same words; `each` adds some for one of them."""

    def __init__(self, ranks, *words, each=None, timeout="30s", live="none"):
        self.port = free_port()
        self.ranks, self.words, self.each, self.timeout = ranks, words, each or {}, timeout
        self.live, self.processes = live, {}

    def start(self, *indices):
        for rank in indices or reversed(range(self.ranks)):
            self.processes[rank] = subprocess.Popen(
                [MILLRACE, "load", *self.words, "--live", self.live, "--ranks",
                 f"{rank}/{self.ranks}", "--coordinator", f"127.0.0.1:{self.port}",
                 "--rank-timeout", self.timeout, *self.each.get(rank, [])],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self

    def end(self):
        """(exit code, what it said) of each."""
        ended = {}
        try:
            for rank, process in sorted(self.processes.items()):
                said = process.communicate(timeout=90)[0]
                ended[rank] = (process.returncode, said)
        finally:
            for process in self.processes.values():
                if process.poll() is None:
                    process.kill()
                    process.communicate()
        return ended


def read(folder):
    with open(os.path.join(folder, "result.json"), encoding="ascii") as file:
        return json.load(file)


def complaint(said):
    lines = [line for line in said.splitlines() if line.startswith("millrace: ")]
    assert len(lines) == 1, said
    return lines[0]


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def runs_as_one():
    with tempfile.TemporaryDirectory() as out:
        ended = Group(3, "run", *SHORT, "--duration", "2s", "--slo", "errors<0.5",
                      "-o", out, live="plain").start().end()
        assert ended[0][0] in VALID_OR_BUSY, ended
        assert ended[1][0] == ended[2][0] == 0, ended
        assert "all ranks so far: " in ended[0][1], ended[0][1]
        assert "all ranks so far: " not in ended[1][1], ended[1][1]
        merged = read(out)
        assert merged["run"]["command"] == "load run"
        assert merged["counts"]["due"] == 1200, merged["counts"]
        assert [row["rank"] for row in merged["ranks"]] == [0, 1, 2]
        # The objective is one of the whole, not one for each rank.
        assert [o["objective"] for o in merged["objectives"]] == ["errors<0.5"], merged
        # All starts come from one clock; a thread that takes the time may be late.
        starts = [row["window"]["start_unix_ns"] for row in merged["ranks"]]
        assert max(starts) - min(starts) < 1e9, starts
        parts = [read(os.path.join(out, f"rank-{i}")) for i in range(3)]
        assert sum(part["counts"]["due"] for part in parts) == 1200
        assert all(part["counts"]["due"] == 400 for part in parts)


def searches_as_one():
    with tempfile.TemporaryDirectory() as out:
        ended = Group(2, "find-max", "ring", "--start", "100", "--max", "400", "--trial", "200ms",
                      "--duration", "300ms", "--no-huge", "-o", out).start().end()
        assert ended[0][0] in {0, 4, 5} and ended[1][0] == 0, ended
        result = read(out)
        assert result["search"]["goals"][0]["goal"] == "ndr", result["search"]
        assert result["search"]["trials"] and len(result["ranks"]) == 2
    with tempfile.TemporaryDirectory() as out:
        ended = Group(2, "sweep", "ring", "--rate", "100..300/100", "--duration", "300ms",
                      "--warmup", "0", "--arrival", "paced", "--no-huge", "-o", out).start().end()
        assert ended[0][0] in {0, 4, 5} and ended[1][0] == 0, ended
        assert len(read(out)["search"]["trials"]) == 3


def killed_rank_ends_all():
    group = Group(4, "run", *SHORT, "--duration", "300s").start()
    # Until the clock runs nothing tells it apart; both ends of a step are shown.
    until(lambda: all(process.poll() is None for process in group.processes.values()), 5)
    time.sleep(4)
    group.processes[2].kill()
    ended = group.end()
    for rank in (0, 1, 3):
        assert ended[rank][0] == 3, ended
        assert "rank 2 of 4" in complaint(ended[rank][1]), ended[rank]
    group = Group(3, "run", *SHORT, "--duration", "300s").start()
    time.sleep(4)
    group.processes[0].kill()
    ended = group.end()
    for rank in (1, 2):
        assert ended[rank][0] == 3 and "rank 0" in complaint(ended[rank][1]), ended


def signal_to_one_stops_all_and_keeps_what_there_is():
    with tempfile.TemporaryDirectory() as out:
        group = Group(2, "run", *SHORT, "--duration", "300s", "-o", out, live="plain").start()
        rows = (line for line in group.processes[0].stdout if line.lstrip()[:1].isdigit())
        assert next(rows) and next(rows)
        group.processes[1].send_signal(signal.SIGINT)
        ended = group.end()
        assert ended[0][0] == 130, ended
        merged = read(out)
        assert merged["verdict"]["interrupted"] and merged["counts"]["due"] > 0, merged["verdict"]


def what_does_not_fit_is_refused():
    for each, piece in (({0: ["--requests", "2"], 1: ["--requests", "3"]},
                         '"requests": "3" and "2"'),
                        ({1: ["--close", "rst"]}, '"close": "rst" and none'),
                        ({0: ["--close", "rst"]}, '"close": none and "rst"')):
        ended = Group(2, "run", *SHORT, "--duration", "1s", each=each).start().end()
        for code, said in ended.values():
            assert code == 2 and piece in complaint(said), ended
    ended = Group(3, "run", *SHORT, "--duration", "1s", timeout="2s").start(0, 2).end()
    for code, said in ended.values():
        assert code == 3 and "rank 1 of 3 did not join within 2.00s" in complaint(said), ended
    ended = Group(2, "run", *SHORT, "--duration", "1s", timeout="1s").start(1).end()
    assert ended[1][0] == 3 and "cannot be reached" in complaint(ended[1][1]), ended
    # One rank's device does not open: that is the failure of all.
    ended = Group(2, "run", "tcp://10.0.0.1:80", "--rate", "100", "--no-huge", "--duration", "1s",
                  each={0: ["--dev", "tap:none/such", "--ip", "10.0.0.2/24"],
                        1: ["--dev", "tap:none/such", "--ip", "10.0.0.3/24"]}).start().end()
    assert all(code != 0 for code, _ in ended.values()), ended


def bad_words_are_one_message():
    for words, piece in ((["--coordinator", "127.0.0.1:7070"], "--ranks"),
                         (["--coordinator", "nowhere", "--ranks", "0/2"], "HOST:PORT"),
                         (["--coordinator", "h:1", "--ranks", "0/300"], "at most 256"),
                         (["--coordinator", "192.0.2.1:7070", "--ranks", "0/2"], "cannot listen"),
                         (["--coordinator", "h:1", "--rank-timeout", "1ms"], "--rank-timeout")):
        done = subprocess.run([MILLRACE, "load", "run", "ring", *words], capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode in (2, 3) and piece in complaint(done.stderr), (words, done)


def strangers_do_not_disturb():
    group = Group(2, "run", *SHORT, "--duration", "1s").start(0)
    sockets = []
    with contextlib.ExitStack() as stack:
        def connect():
            sockets.append(stack.enter_context(socket.socket()))
            sockets[-1].settimeout(10)
            with contextlib.suppress(OSError):
                sockets[-1].connect(("127.0.0.1", group.port))
                return True
            return False
        until(connect)
        until(connect)
        until(connect)
        for stranger, said in zip(sockets[-3:], (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 200_000, b"")):
            with contextlib.suppress(OSError):
                stranger.sendall(said)
        group.start(1)
        ended = group.end()
    assert ended[0][0] in VALID_OR_BUSY and ended[1][0] == 0, ended


def ranks_come_from_the_environment():
    """As in an Indexed Job and in a step of Slurm."""
    for variables in (lambda i: {"JOB_COMPLETION_INDEX": str(i), "MILLRACE_RANK_COUNT": "2"},
                      lambda i: {"SLURM_PROCID": str(i), "SLURM_NTASKS": "2"}):
        port = free_port()
        processes = []
        for rank in (0, 1):
            environment = {key: value for key, value in os.environ.items()
                           if not key.startswith(("SLURM_", "OMPI_", "PMIX_"))}
            environment.update(variables(rank), MILLRACE_COORDINATOR=f"127.0.0.1:{port}",
                               MILLRACE_RANK_TIMEOUT="30s")
            processes.append(subprocess.Popen(
                [MILLRACE, "load", "run", *SHORT, "--duration", "500ms", "--live", "none",
                 "--ranks", "auto"],
                env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        said = [process.communicate(timeout=90)[0] for process in processes]
        assert processes[0].returncode in VALID_OR_BUSY and processes[1].returncode == 0, said
        assert "VERDICT" in said[0] and "VERDICT" not in said[1], said


def ranks_that_run_by_themselves_share_a_folder():
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        for rank in (0, 1):
            subprocess.run([MILLRACE, "load", "run", *SHORT, "--duration", "200ms", "--live",
                            "none", "--ranks", f"{rank}/2", "-o", out, "--capture-failures",
                            os.path.join(folder, "f.pcapng"), "--json",
                            os.path.join(folder, "r.json")], timeout=60, check=False,
                           stdout=subprocess.DEVNULL)
            assert os.path.exists(os.path.join(out, f"rank-{rank}", "result.json")), rank
            assert os.path.exists(os.path.join(folder, f"f.pcapng.rank-{rank}")), rank
            assert os.path.exists(os.path.join(folder, f"r.json.rank-{rank}")), rank


def main():
    for case in (bad_words_are_one_message, runs_as_one, searches_as_one, killed_rank_ends_all,
                 signal_to_one_stops_all_and_keeps_what_there_is, what_does_not_fit_is_refused,
                 strangers_do_not_disturb, ranks_come_from_the_environment,
                 ranks_that_run_by_themselves_share_a_folder):
        case()
        print("ok", case.__name__, flush=True)


if __name__ == "__main__":
    main()
