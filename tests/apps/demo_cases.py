"""tests/apps/demo_cases.py MILLRACE - `demo --cores`: who runs where, and that the parts add up."""

import json
import os
import subprocess
import sys

MILLRACE = sys.argv[1]
CPUS = sorted(os.sched_getaffinity(0))
COUNT = 20_001


def run(*arguments, code=0):
    done = subprocess.run([MILLRACE, "demo", "--no-huge", "--duration", "60s", *arguments],
                          capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def on(cores):
    """The CPU and the role of each worker of a demonstration of COUNT connections."""
    result = json.loads(run("--count", str(COUNT), "--json", *cores).stdout)
    counts = result["counts"]
    assert counts["ok"] == counts["opened"] == COUNT and counts["failed"] == 0, counts
    assert sum(n for _, n in result["latency"]["connect"]["actual"]["buckets"]) == COUNT
    # Six packets a connection, both ways together; ARP besides.
    assert result["nic"]["rx_packets"] >= 3 * COUNT, result["nic"]
    assert result["verdict"]["outcome"] == "valid", result["verdict"]
    return [(core["cpu"], core["role"]) for core in result["generator"]["cores"]]


def main():
    assert on(["--cores", str(CPUS[0])]) == [(CPUS[0], "client and server")]
    if len(CPUS) > 1:
        assert on([]) == [(CPUS[0], "client"), (CPUS[1], "server")]
        both = on(["--cores", f"{CPUS[1]},{CPUS[0]}"])
        assert both == [(cpu, "client and server") for cpu in (CPUS[1], CPUS[0])], both
        said = run("--cores", f"{CPUS[0]},{CPUS[1]}", "--concurrency", "1", code=2).stderr
        assert "fewer connections at a time than the 2 workers" in said, said
    for cores, code, piece in ((str(CPUS[-1] + 1), 3, "is not for this process"),
                               ("two", 2, "is no list of CPUs")):
        said = run("--cores", cores, code=code).stderr
        assert said.startswith("millrace: --cores: ") and piece in said, said


main()
