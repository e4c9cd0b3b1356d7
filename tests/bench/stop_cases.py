"""tests/bench/stop_cases.py RATE - a stop signal ends bench/rate: it says so, there is no result,
and nothing stays behind. What has to come about is waited for until it has.
"""

import os
import pathlib
import signal
import subprocess
import sys
import time

RATE = sys.argv[1]
PATIENCE_S = 60
INTERRUPTED = 130


def until(condition, what):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"never: {what}")


def holds_signals(process):
    """Whether it has come so far that SIGINT is waited for."""
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").split("\n"):
        if line.startswith("SigBlk:"):
            return int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1
    return False


def folder_of_memif(process):
    """Where the socket of the two processes lies that it has started, or None."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for child in children.read_text(encoding="ascii").split():
        try:
            words = pathlib.Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8").split("\0")
        except FileNotFoundError:
            continue
        for word in words:
            if word.startswith("memif:"):
                return os.path.dirname(word[len("memif:"):].split(",")[0])
    return None


def interrupted(words, ready):
    """What `ready` found of a run that is then stopped."""
    process = subprocess.Popen([RATE, "--seconds", "600s", "--no-huge", "--json", *words],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        found = until(lambda: ready(process), f"{words}: {ready.__name__}")
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == INTERRUPTED, (words, process.returncode, complained)
    assert said == "" and complained.count("interrupted") == 1, (words, said, complained)
    return found


def main():
    for words in ([], ["--workers", "2", "--in-turn"], ["--cores", "2"], ["--pairs", "2"]):
        interrupted(words, holds_signals)
        print("ok", *words, flush=True)
    folder = interrupted(["--memif"], folder_of_memif)
    assert not os.path.exists(folder), folder
    print("ok --memif", flush=True)
    for words in (["--workers", "2", "--dev", "memif:/tmp/m"], ["--dev", "ring"]):
        done = subprocess.run([RATE, *words], capture_output=True, text=True, timeout=PATIENCE_S,
                              check=False)
        assert done.returncode != 0 and "--dev" in done.stdout + done.stderr, (words, done)


main()
