"""tests/apps/load_program.py - runs `millrace load`, named by the first argument, for the cases."""

import json
import subprocess
import sys

MILLRACE = sys.argv[1]
PROGRAM = [MILLRACE]  # cases may put something in front of it
VALID_OR_BUSY = {0, 5}
# Where every connection has to end well: on a busy machine packets are lost, or come late.
PATIENT = ["--timeout", "connect=20s,first-byte=20s,last-byte=20s,close=20s", "--drain", "20s"]


def run(*arguments, code):
    """The result, with `--json -`; else what was said."""
    done = subprocess.run([*PROGRAM, "load", *arguments], capture_output=True, text=True,
                          timeout=60, check=False)
    words = f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.returncode in (code if isinstance(code, set) else {code}), words
    if "-" not in arguments or done.returncode == 2:
        return done.stdout + done.stderr
    return json.loads(done.stdout)


def adds_up(result):
    counts = result["counts"]
    assert sum(result["failures"].values()) == counts["failed"], result["failures"]
    assert counts["ok"] + counts["failed"] == counts["due"], counts
    return counts


def memif_server(path, *options, queues=""):
    """A process that serves at 10.9.0.1:4000 behind a memif, and listens already."""
    server = subprocess.Popen(
        [MILLRACE, "serve", "--respond", "8:100", "--dev", f"memif:{path},role=server{queues}",
         "--ip", "10.9.0.1/24", "--no-huge", "--duration", "100s", *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert b"listening on" in server.stdout.readline()
    return server
