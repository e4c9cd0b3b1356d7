"""tests/apps/port_cases.py MILLRACE - connections over ports of shared memory: several queues of
vhost with virtio-user, and several ports at once. Two processes, without root.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from load_program import MILLRACE, PATIENT, VALID_OR_BUSY, adds_up, run  # noqa: E402

CPUS = sorted(os.sched_getaffinity(0))
COUNT = 2000


def cores():
    return ["--cores", f"{CPUS[0]},{CPUS[1]}"]


def exchange(serve, load):
    """The results of `load` and of the `serve` that it loads."""
    with tempfile.TemporaryDirectory() as folder:
        def words(options):
            return [option.replace("FOLDER", folder) for option in options]
        stats = os.path.join(folder, "stats")
        server = subprocess.Popen(
            [MILLRACE, "serve", "--respond", "8:100", "--no-huge", "--duration", "100s", "--stats",
             stats, *cores(), *words(serve)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            said = server.stdout.readline()
            assert b"listening on" in said, said + server.stdout.read()
            result = run("run", "tcp://10.9.0.1:4000", "--no-huge", "--req-size", "8",
                         "--resp-size", "100", "--check", "--live", "none", "--json", "-",
                         "--conns", "16", "-n", str(COUNT), "--warmup", "0", "--duration", "50s",
                         *PATIENT, *cores(), *words(load), code=VALID_OR_BUSY)
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)
        assert adds_up(result)["ok"] == COUNT, (result["counts"], result["failures"])
        with open(stats, encoding="ascii") as file:
            served = json.load(file)
    accepted = [worker["services"]["accepted"] for worker in served["workers"]]
    # The generator opens one connection besides, to see that the target is there.
    assert len(accepted) == 2 and min(accepted) > COUNT / 4, accepted
    for counters in (served["counters"], result["counters"]):
        assert counters.get("TcpExtNoListener", 0) <= COUNT / 100, counters
    return result, served


def received_by(served):
    return [worker["counters"]["HandOverKept"] + worker["counters"]["HandOverOut"]
            for worker in served["workers"]]


def two_queues_of_vhost():
    """Queue i of one end is queue i of the other; a worker each, and what is another's handed
    over."""
    _, served = exchange(
        ["--dev", "vdev:net_vhost0,iface=FOLDER/vhost,queues=2", "--ip", "10.9.0.1/24"],
        ["--dev", "vdev:net_virtio_user0,path=FOLDER/vhost,queues=2,queue_size=1024", "--ip",
         "10.9.0.2/24"])
    assert min(received_by(served)) > 0, served["workers"]


def two_ports_at_once():
    """A worker for each: a port's connections are its own worker's, and nothing is handed over."""
    result, served = exchange(
        ["--dev", "memif:FOLDER/a,role=server", "--dev", "memif:FOLDER/b,role=server", "--ip",
         "10.9.0.1/24", "--ip", "10.9.0.1/24"],
        ["--dev", "memif:FOLDER/a", "--dev", "memif:FOLDER/b", "--ip", "10.9.0.2/24", "--ip",
         "10.9.0.3/24"])
    accepted = [worker["services"]["accepted"] for worker in served["workers"]]
    assert min(accepted) >= COUNT / 2, accepted
    assert all("HandOverKept" not in worker["counters"] for worker in served["workers"])
    assert len(result["generator"]["cores"]) == 2, result["generator"]


def mistakes_are_told():
    """Before anything is opened."""
    for words, piece in (
            (["--ip", "10.9.0.1/24"], "2 ports need as many addresses"),
            (["--ip", "10.9.0.1/24", "--ip", "10.8.0.1/24", "--cores", str(CPUS[0])],
             "--cores: 1 for 2 ports"),
            (["--ip", "10.9.0.1/24", "--ip", "10.8.0.1/24", "--gw", "10.7.0.1"],
             "--gw 10.7.0.1 is not in a network"),
            (["--ip", "10.9.0.1/16", "--ip", "10.9.0.2/16", "--ip", "fd00:1::1/64", "--ip",
              "fd00:2::1/64", "--addresses", "10.9.16.0/20,fd00:1::100/120"],
             "it cannot be told whose"),
            (["--ip", "10.9.0.1/24", "--ip", "10.8.0.1/24", "--ip", "10.7.0.1/24", "--dev",
              "memif:/tmp/a,mtu=1400"], "open the same device"),
            (["--ip", "10.9.0.1/24", "--ip", "10.8.0.1/24", "--rate-cap", "0.5"],
             "--rate-cap: write 1 or more"),
            (["--echo", "--delay", "5ms", "--ip", "10.9.0.1/24"], "--delay: echo and discard"),
            (["--discard", "--error", "1%", "--ip", "10.9.0.1/24"], "--error: echo and discard"),
            (["--echo", "--close-after", "5", "--ip", "10.9.0.1/24"], "--close-after: is for"),
            (["--http", "--close-after", "0", "--ip", "10.9.0.1/24"], "--close-after: after 0")):
        done = subprocess.run(
            [MILLRACE, "serve", "--dev", "memif:/tmp/a,role=server", "--dev",
             "memif:/tmp/b,role=server", *words], capture_output=True, text=True, timeout=60,
            check=False)
        assert done.returncode == 2 and piece in done.stderr, (words, done)


def main():
    if len(CPUS) < 2:
        print("skipped: one CPU only")
        sys.exit(77)
    for case in (mistakes_are_told, two_queues_of_vhost, two_ports_at_once):
        case()
        print("ok", case.__name__, flush=True)


main()
