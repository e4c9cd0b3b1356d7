"""tests/apps/stall_cases.py MILLRACE [--seconds N] [--rate N] - what `load` says of a server that
stands still for a second: a real process, stopped and continued by signals, behind a memif.

Connections are due at a constant rate R for D seconds, and the server stands still for S of them.
Who is due then waits for what is left of the stall, so that R * (S - x) wait longer than x, and the
quantile q of all is S - D * (1 - q). Both are printed beside what was measured.

What is demanded does not depend on how fast or busy the machine is:
- From the intended start at least so many waited longer than x, for every x: the server can have
  answered none of them before it went on, and a busy machine only adds to what they waited.
- And at most as many as were due while the generator's own intervals say that connections were
  slow, however long that was, the stall and whatever else the machine did.
- With few connections at a time the generator cannot start while the server stands still. From the
  actual start there are then no more slow ones than places times their time, whatever happens: the
  stall is not to be seen in them (coordinated omission).
The exit code may be that of a generator that was the limit, or of failures: those that failed are
taken off what is demanded.
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from load_program import MILLRACE, PATIENT, adds_up, memif_server  # noqa: E402

STALL_S = 1.0
WARM_UP_S = 0.3
INTERVAL_S = 0.1
CALM_S = 0.1  # an interval with slower connections is not calm
LAUNCH = [MILLRACE, "load", "run", "tcp://10.9.0.1:4000", "--ip", "10.9.0.2/24", "--no-huge",
          "--req-size", "8", "--resp-size", "100", "--arrival", "paced", "--warmup",
          f"{WARM_UP_S * 1000:.0f}ms", "--interval", f"{INTERVAL_S * 1000:.0f}ms",
          "--json-stream", "-", *PATIENT]
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)


def stop(server):
    """Returns when none of its threads runs any more."""
    server.send_signal(signal.SIGSTOP)
    _, status = os.waitpid(server.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), status


class Run:
    """A load with a stall in its midst. Times are of this process' clock, in seconds."""

    def __init__(self, options, *words):
        self.rate, self.seconds = options.rate, options.seconds
        with tempfile.TemporaryDirectory() as folder:
            path, out = os.path.join(folder, "memif.sock"), os.path.join(folder, "result.json")
            server = memif_server(path)
            try:
                self.launched = time.monotonic()
                command = [*LAUNCH, "--dev", f"memif:{path}", "--rate", str(self.rate),
                           "--duration", f"{self.seconds}s", "--json", out, *words]
                with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
                    self.rows = self.until_measured(load)
                    stop(server)
                    self.begin = time.monotonic()
                    time.sleep(STALL_S)
                    self.end = time.monotonic()
                    server.send_signal(signal.SIGCONT)
                    rows = [json.loads(line) for line in load.stdout]
                    self.rows += [row for row in rows if row["type"] == "interval"]
                self.took = time.monotonic() - self.launched
                assert load.returncode in (0, 4, 5), load.returncode
            finally:
                server.send_signal(signal.SIGCONT)
                server.send_signal(signal.SIGINT)
                server.communicate(timeout=60)
            with open(out, encoding="ascii") as file:
                self.result = json.load(file)
        assert adds_up(self.result)["due"] == self.rate * self.seconds, self.result["counts"]

    @staticmethod
    def until_measured(load):
        rows = []
        for line in load.stdout:
            row = json.loads(line)
            if row["type"] != "interval":
                continue
            rows.append(row)
            if row["measured"] and row["interval"]["start_s"] > 0.2:
                return rows
        raise AssertionError(f"nothing was measured: exit {load.wait()}")

    def histogram(self, start):
        return self.result["latency"]["connect"][start]

    def slower(self, start, than_s):
        """How many waited longer, or less by the width of a counter, 0.1 %."""
        return sum(many for highest, many in self.histogram(start)["buckets"]
                   if highest >= than_s * 1e9)

    def quantile_ms(self, start, q):
        buckets, seen = self.histogram(start)["buckets"], 0
        for highest, many in buckets:
            seen += many
            if seen >= q * self.histogram(start)["count"]:
                return highest * 1e-6
        return math.nan

    def show(self, title):
        stall, result = self.end - self.begin, self.result
        longest, lag = self.histogram("intended")["max_ns"], result["generator"]["worst_lag_ns"]
        print(f"{title}: {self.rate}/s for {self.seconds} s, stall {stall:.4f} s, longest connect "
              f"{longest * 1e-9:.4f} s, worst lag {lag * 1e-9:.4f} s, {result['counts']['failed']} "
              f"failed, {result['verdict']['outcome']}")
        print("  connect, ms  theory   intended     actual")
        for q in QUANTILES:
            theory = max(0.0, stall - self.seconds * (1 - q)) * 1e3
            print(f"  p{q * 100:<10g} {theory:8.1f} {self.quantile_ms('intended', q):10.3f} "
                  f"{self.quantile_ms('actual', q):10.3f}")

    def waited_at_least(self, than_s):
        """How many must have. Those that are due behind the window do not count; it ends no sooner
        than the program could be there."""
        window_end = self.launched + WARM_UP_S + self.seconds
        stalled = min(self.end - than_s, window_end) - self.begin
        return self.rate * stalled - 1 - self.result["counts"]["failed"]

    def waited_at_most(self, than_s):
        """How many can have, by how long intervals with slow connections, or with none, followed
        each other: who waited longer was due in them, or shortly before."""
        most, slow_s, rate = 0, 0.0, self.rate
        for row in self.rows:
            connect = row["latency"].get("connect", {"count": 0})
            length_s = row["interval"]["length_s"]
            if connect["count"] == 0 or connect["max_ns"] >= CALM_S * 1e9:
                slow_s += length_s
            elif slow_s > 0:
                most += rate * max(0.0, slow_s + length_s + CALM_S - than_s)
                slow_s = 0.0
        if slow_s > 0:  # to the end
            most += rate * (slow_s + self.took - WARM_UP_S - self.seconds)
        # The last one may be too short to have been told of.
        return most + rate * INTERVAL_S + self.result["generator"]["tx_dropped"]


def stall_shows_from_the_intended_start(options):
    run = Run(options)
    run.show("Starts that nothing holds back")
    for tenths in range(2, 10):
        x = tenths / 10
        slower = run.slower("intended", x)
        least, most = run.waited_at_least(x), run.waited_at_most(x * 0.999)
        print(f"  longer than {x} s: at least {least:.0f}, at most {most:.0f}, were {slower}")
        assert least <= slower <= most, (x, least, slower, most)


def held_back_generator_sees_it_from_the_intended_start_only(options):
    places = 10
    run = Run(options, "--open-max", str(places))
    run.show(f"{places} connections at a time")
    for tenths in range(2, 10):
        x = tenths / 10
        least, slower = run.waited_at_least(x), run.slower("intended", x)
        actual, most = run.slower("actual", x), places * run.took / x
        print(f"  longer than {x} s: at least {least:.0f}, were {slower}; from the actual start at "
              f"most {most:.0f}, were {actual}")
        assert least <= slower, (x, least, slower)
        assert actual <= most, (x, actual, most)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rate", type=int, default=500)
    options = parser.parse_args(sys.argv[2:])
    for case in (stall_shows_from_the_intended_start,
                 held_back_generator_sees_it_from_the_intended_start_only):
        case(options)
        print("ok", case.__name__, flush=True)


if __name__ == "__main__":
    main()
