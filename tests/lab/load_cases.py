"""tests/lab/load_cases.py - `millrace load` against the Linux kernel's programs.

Rates are low: what is shown is that requests are right and failures have names, on any machine. A
busy one makes a run INVALID (exit code 5), which is no failure of the case.
"""

import json
import os
import subprocess
import time

import labnet
from cases import Failure, expect


def load(bench, *words, codes, timeout=60):
    """The result of `millrace load WORDS` on Millrace's side."""
    path = os.path.join(bench.lab.folder, "load.json")
    command = bench.lab.millrace_command(bench.millrace, "load", *words, "--no-huge", "--live",
                                         "none", "--timeout", "connect=5s,first-byte=5s,close=9s",
                                         "--drain", "5s", "--json", path)
    done = subprocess.run([*bench.lab.inside(bench.lab.millrace_ns), *command],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False)
    if done.returncode not in codes:
        raise Failure(f"exit {done.returncode}: {(done.stdout + done.stderr).strip()[-600:]}")
    with open(path, encoding="ascii") as file:
        result = json.load(file)
    counts = result["counts"]
    expect(sum(result["failures"].values()) == counts["failed"], f"{result['failures']}")
    expect(counts["ok"] + counts["failed"] == counts["due"], f"{counts}")
    return result


def load_on_nginx(bench):
    for close in ("fin", "rst", "server"):
        result = load(bench, "run", f"http://{bench.kernel_host}/1k", "--rate", "200",
                      "--duration", "2s", "--warmup", "200ms", "--resp-size", "1k", "--check",
                      "--close", close, codes={0, 5})
        expect(result["counts"]["ok"] == result["counts"]["due"], f"{close}: {result['failures']}")
        expect(result["counts"]["due"] > 300, f"{result['counts']}")


def load_keeps_connections(bench):
    result = load(bench, "run", f"http://{bench.kernel_host}/1", "--rate", "50", "-n", "100",
                  "--duration", "20s", "--warmup", "0", "--requests", "20", codes={0, 5})
    expect(result["counts"]["responses"] == 20 * result["counts"]["due"],
           f"{result['counts']} {result['failures']}")


def load_names_a_closed_port(bench):
    result = load(bench, "run", f"tcp://{bench.kernel_host}:9", "--rate", "100", "--duration",
                  "500ms", "--warmup", "0", codes={4, 5})
    expect(set(result["failures"]) == {"rst_in_syn_sent"}, f"{result['failures']}")


def load_ends_when_nobody_is_there(bench):
    start = time.monotonic()
    nobody = bench.kernel_host.rsplit(".", 1)[0] + ".77"
    result = load(bench, "run", f"tcp://{nobody}:80", "--rate", "100", "--duration", "30s",
                  codes={4})
    expect(time.monotonic() - start < 20, "did not end soon")
    expect(set(result["failures"]) <= {"unreachable", "syn_timeout"}, f"{result['failures']}")


def load_spreads_over_addresses(bench):
    lab = bench.lab
    for host in (64, 65, 66):
        labnet.run("ip", "-n", lab.kernel_ns, "addr", "add", f"10.1.0.{host}/24", "dev",
                   lab.kernel_if)
    page = ["run", "http://10.1.0.64/1", "--rate", "100", "--duration", "1s", "--warmup", "0",
            "--dst-spread"]
    result = load(bench, *page, "3", codes={0, 5})
    expect(result["counts"]["ok"] == result["counts"]["due"] > 50, f"{result['failures']}")
    result = load(bench, *page, "4", codes={4})
    expect("at 10.1.0.67:" in " ".join(result["verdict"]["reasons"]), f"{result['verdict']}")


LOAD_CASES = [load_on_nginx, load_keeps_connections, load_spreads_over_addresses,
              load_names_a_closed_port, load_ends_when_nobody_is_there]
