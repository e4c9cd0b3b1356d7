"""tests/lab/worker_cases.py - two workers over one device: what belongs to which arrives there.

Each of the devices gets the same cases: curl and wrk against `serve --cores`, nginx for
`get --cores` and `load run --cores`. A segment that reaches the wrong worker finds no connection
there and is answered by RST. A few RSTs there are with one worker too (repetitions that come after
the end), so they are asked to be few, and every fetch to succeed: one whose answers went astray
could not.
"""

import json
import os
import re

import cases

# Device, and what is written behind the interface's name: one queue for both workers, or one each.
# An interface for AF_XDP has two, and every one has to be listened to.
DEVICES = [("tap", ",queues=1"), ("tap", ",queues=2"), ("afpacket", ",queues=1"),
           ("afpacket", ",queues=2"), ("afxdp", "")]


def cores():
    """--cores for two workers; Skip on a machine of one CPU."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise cases.Skip("one CPU only")
    return f"{cpus[0]},{cpus[1]}"


def expect_at_home(counters, connections):
    astray = counters.get("TcpExtNoListener", 0)
    cases.expect(astray <= connections / 100,
                 f"{astray} segments without a connection, of {connections} connections")


def serve(lab, millrace):
    """curl and wrk; both workers accept, and nothing goes astray."""
    stats = os.path.join(lab.folder, "stats.json")
    bench = cases.Bench(lab, millrace)
    server = lab.serve(millrace, "--http", "--cores", cores(), "--stats", stats)
    for case in (cases.ping, cases.page_of_1_octet, cases.page_of_1_kib, cases.page_of_100_mib,
                 cases.ab, cases.wrk):
        case(bench)
        cases.expect(server.poll() is None, f"ended: {server.log_text()[-500:]}")
    status = cases.labnet.stop(server, cases.signal.SIGINT)
    cases.expect(status == 0, f"status {status} after SIGINT: {server.log_text()[-500:]}")
    with open(stats, encoding="utf-8") as file:
        result = json.load(file)
    accepted = [worker["services"]["accepted"] for worker in result["workers"]]
    cases.expect(len(accepted) == 2 and min(accepted) > sum(accepted) / 4,
                 f"accepted by each worker: {accepted}")
    expect_at_home(result["counters"], sum(accepted))


def dispatcher(lab, millrace):
    """The first worker only distributes: all connections are the second's."""
    stats = os.path.join(lab.folder, "stats.json")
    bench = cases.Bench(lab, millrace)
    server = lab.serve(millrace, "--http", "--cores", cores(), "--dispatcher", "--stats", stats)
    for case in (cases.page_of_1_kib, cases.page_of_100_mib, cases.ab):
        case(bench)
    status = cases.labnet.stop(server, cases.signal.SIGINT)
    cases.expect(status == 0, f"status {status} after SIGINT: {server.log_text()[-500:]}")
    with open(stats, encoding="utf-8") as file:
        result = json.load(file)
    accepted = [worker["services"]["accepted"] for worker in result["workers"]]
    cases.expect(accepted[0] == 0 and accepted[1] > 0, f"accepted by each worker: {accepted}")
    expect_at_home(result["counters"], sum(accepted))


def get(lab, millrace, count=4000):
    """Connections opened by two workers: every answer comes home."""
    www = os.path.join(lab.folder, "www")
    os.makedirs(www)
    with open(os.path.join(www, "1k"), "wb") as file:
        file.write(cases.content(1024))
    lab.nginx()
    bench = cases.Bench(lab, millrace)
    command = lab.millrace_command(millrace, "get", f"http://{bench.kernel_host}/1k", "--cores",
                                   cores(), "--connections", str(count), "--concurrency", "32",
                                   "--json")
    status, said = cases.run_for(lab, command, 60)
    found = re.search(r"^\{.*^\}", said, re.M | re.S)
    cases.expect(status == 0 and found, f"status {status}: {said.strip()[-300:]}")
    result = json.loads(found[0])
    cases.expect(result["ok"] == count, f"{result['ok']} of {count} fetched")
    expect_at_home(result["counters"], count)


def load(lab, millrace):
    """Two generators of one load: due, started and answered add up, and nothing goes astray."""
    www = os.path.join(lab.folder, "www")
    os.makedirs(www)
    with open(os.path.join(www, "1k"), "wb") as file:
        file.write(cases.content(1024))
    lab.nginx()
    path = os.path.join(lab.folder, "load.json")
    host = cases.Bench(lab, millrace).kernel_host
    command = lab.millrace_command(millrace, "load", "run", f"http://{host}/1k", "--cores",
                                   cores(), "--rate", "1k", "--arrival", "paced", "--duration",
                                   "2s", "--warmup", "100ms", "--resp-size", "1k", "--check",
                                   "--drain", "9s", "--timeout",
                                   "connect=9s,first-byte=9s,close=9s", "--live", "none",
                                   "--json", path)
    status, said = cases.run_for(lab, command, 60)
    cases.expect(status in (0, 5), f"status {status}: {said.strip()[-300:]}")
    with open(path, encoding="ascii") as file:
        result = json.load(file)
    counts = result["counts"]
    cases.expect(counts["due"] == counts["ok"] == 2000, f"{counts}, {result['failures']}")
    cases.expect(len(result["generator"]["cores"]) == 2, f"{result['generator']['cores']}")
    expect_at_home(result["counters"], counts["ok"])
