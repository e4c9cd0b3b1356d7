"""tests/lab/peer_cases.py - `millrace load` beside what others use: servers and load generators.

Servers of the Linux kernel (nginx, haproxy, Python's http.server) are searched for their maximum,
loaded to 80 % of it, and beyond it. And one server with a known delay is measured by wrk, by h2load
and by Millrace in the same run: where all three can measure, they have to agree.
Each case makes its own lab. Rates are what the machine gives; a busy one makes a search INVALID
(exit code 5), which is no failure of the case.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import cases
import labnet
from cases import Skip, expect

PAGE_BYTES = 1024
DELAY_MS = 50
CONNECTIONS = 8
# What a server that is asked for too much may do to a connection, and the generator's own limits.
OVERLOAD = {"syn_timeout", "rst_in_syn_sent", "rst_after_established", "rst_in_close",
            "first_byte_timeout", "last_byte_timeout", "close_timeout", "tcp_timeout",
            "closed_early", "not_started", "unfinished", "no_source_port", "http_status"}


def listens(lab, process, log, port=80):
    def there():
        sockets = labnet.run(*lab.inside(lab.kernel_ns), "ss", "-tlnH", f"sport = :{port}")
        return bool(sockets.stdout.strip())

    labnet.wait_until(lambda: process.poll() is not None or there(), 15)
    if process.poll() is not None or not there():
        with open(log, encoding="utf-8", errors="replace") as file:
            raise cases.Failure(f"the server does not listen: {file.read().strip()[-300:]}")


def start_nginx(lab):
    lab.nginx()


def start_haproxy(lab):
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    if not os.access(program, os.X_OK):
        raise Skip("no program haproxy")
    page = os.path.join(lab.folder, "www", "1k")
    config, log = (os.path.join(lab.folder, name) for name in ("haproxy.cfg", "haproxy.log"))
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"""global
  maxconn 4000
  nbthread 1
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 5s
frontend all
  bind {lab.kernel_ip}:80 backlog 4096
  http-request return status 200 content-type application/octet-stream file {page}
""")
    listens(lab, lab.spawn(lab.kernel_ns, [program, "-db", "-f", config], log), log)


def start_python(lab):
    log = os.path.join(lab.folder, "python.log")
    command = [sys.executable, "-m", "http.server", "80", "--bind", lab.kernel_ip, "--directory",
               os.path.join(lab.folder, "www")]
    listens(lab, lab.spawn(lab.kernel_ns, command, log), log)


def load(lab, millrace, *words, codes, timeout=100):
    """The result of `millrace load WORDS` on Millrace's side; its sums are right."""
    path = os.path.join(lab.folder, "load.json")
    command = lab.millrace_command(millrace, "load", *words, "--no-huge", "--json", path)
    done = subprocess.run([*lab.inside(lab.millrace_ns), *command], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout, check=False)
    expect(done.returncode in codes,
           f"exit {done.returncode}: {(done.stdout + done.stderr).strip()[-600:]}")
    with open(path, encoding="ascii") as file:
        result = json.load(file)
    counts = result["counts"]
    expect(sum(result["failures"].values()) == counts["failed"], f"{result['failures']}")
    expect(counts["ok"] + counts["failed"] == counts["due"], f"{counts}")
    return result


def maximum(lab, millrace, page):
    """Connections a second. Skip when the machine does not let the generator keep time at all."""
    for _ in range(3):
        found = load(lab, millrace, "find-max", *page, "--start", "200", "--max", "4k", "--trial",
                     "300ms", "--duration", "600ms", "--width", "25%", "--goal", "pdr:1%",
                     "--drain", "2s", codes={0, 4, 5})
        goal = found["search"]["goals"][0]
        if goal["rate_per_s"] > 0:
            return goal["rate_per_s"]
        verdicts = [trial["verdict"] for trial in found["search"]["trials"]]
        expect("void" in verdicts, f"no rate was met: {goal}, {verdicts}")
    raise Skip("the machine is too busy: trials are void because starts were late")


def loads_a_server(bench, start):
    """Its maximum; right answers and no failure at 80 % of it; failures with names beyond it."""
    lab, millrace = bench.lab, bench.millrace
    os.makedirs(os.path.join(lab.folder, "www"))
    with open(os.path.join(lab.folder, "www", "1k"), "wb") as file:
        file.write(cases.content(PAGE_BYTES))
    start(lab)
    page = [f"http://{lab.kernel_ip}/1k", "--resp-size", str(PAGE_BYTES), "--warmup", "200ms"]
    most = maximum(lab, millrace, page)
    patient = ["--timeout", "connect=8s,first-byte=8s,last-byte=8s,close=8s", "--drain", "8s"]
    result = load(lab, millrace, "run", *page, *patient, "--rate", f"{0.8 * most:.0f}",
                  "--duration", "2s", "--live", "none", codes={0, 5})
    expect(not result["failures"], f"{result['failures']} at 80 % of {most:.0f}/s")
    expect(result["counts"]["responses"] == result["counts"]["due"] > 0, f"{result['counts']}")
    hasty = ["--timeout", "connect=100ms,first-byte=100ms", "--open-max", "2000"]
    result = load(lab, millrace, "run", *page, *hasty, "--rate", f"{4 * most:.0f}", "--duration",
                  "1s", "--live", "none", codes={0, 4, 5})
    expect(set(result["failures"]) <= OVERLOAD, f"{result['failures']}")
    result = load(lab, millrace, "run", *page, *patient, "--rate", "20", "--duration", "500ms",
                  "--live", "none", codes={0, 5})
    expect(not result["failures"], f"afterwards {result['failures']}")


def milliseconds(number, unit):
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def by_wrk(bench):
    """Requests a second, and the median in milliseconds."""
    status, out = bench.kernel("wrk", "-t1", f"-c{CONNECTIONS}", "-d3s", "--latency",
                               f"http://{bench.server_host}/1k")
    text = out.decode()
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    median = re.search(r"50%\s+([\d.]+)(us|ms|s)\b", text)
    expect(status == 0 and rate and median and "Socket errors" not in text, text[-300:])
    return float(rate[1]), milliseconds(*median.groups())


def by_h2load(bench):
    """Its median is not printed: the mean stands for it."""
    status, out = bench.kernel("h2load", "--h1", "-t1", f"-c{CONNECTIONS}", "-D3",
                               f"http://{bench.server_host}/1k")
    text = out.decode()
    rate = re.search(r"finished in [\d.]+m?s, ([\d.]+) req/s", text)
    mean = re.search(r"time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)\b", text)
    expect(status == 0 and rate and mean and " 0 failed, 0 errored" in text, text[-400:])
    return float(rate[1]), milliseconds(*mean.groups())


def by_millrace(bench):
    """From the kernel's side too: a station of its own on the same wire."""
    lab, path = bench.lab, os.path.join(bench.lab.folder, "load.json")
    status, out = bench.kernel(
        bench.millrace, "load", "run", f"http://{bench.server_host}/1k", "--dev",
        f"afpacket:{lab.kernel_if}", "--ip", "10.1.0.3/24", "--conns", str(CONNECTIONS),
        "--requests", "1000000", "--warmup", "0", "--duration", "3s", "--no-huge", "--live",
        "none", "--json", path)
    # Each connection lasts for the whole run, and so none is a success.
    expect(status in (0, 4, 5), out.decode()[-400:])
    with open(path, encoding="ascii") as file:
        result = json.load(file)
    return (result["load"]["requests_per_s"],
            result["latency"]["last_byte"]["actual"]["p50_ns"] / 1e6)


def generators_agree(bench):
    """A closed loop of so many connections against a delay has one rate and one latency."""
    for program in ("wrk", "h2load"):
        if not shutil.which(program):
            raise Skip(f"no program {program}")
    process = bench.lab.serve(bench.millrace, "--http", "--port", str(cases.PORT), "--delay",
                              f"{DELAY_MS}ms", "--no-huge")
    measured = {tool.__name__[3:]: tool(bench) for tool in (by_wrk, by_h2load, by_millrace)}
    print("    " + ", ".join(f"{name} {rate:.1f}/s {latency:.1f} ms"
                             for name, (rate, latency) in measured.items()), flush=True)
    most = CONNECTIONS * 1000 / DELAY_MS
    rates = [rate for rate, _ in measured.values()]
    latencies = [latency for _, latency in measured.values()]
    expect(min(latencies) >= DELAY_MS * 0.99 and max(rates) <= most * 1.05, f"{measured}")
    expect(max(rates) / min(rates) < 1.25, f"rates differ: {measured}")
    expect(max(latencies) / min(latencies) < 1.25, f"latencies differ: {measured}")
    expect(labnet.stop(process, cases.signal.SIGINT) == 0, process.log_text()[-300:])


SERVERS = {"nginx": start_nginx, "haproxy": start_haproxy, "http.server": start_python}
