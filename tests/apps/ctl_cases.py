"""tests/apps/ctl_cases.py MILLRACE - a running `serve` of two workers, asked and changed by `ctl`.

Nothing here depends on how fast the machine is: what has to come about is asked for until it has.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

MILLRACE = sys.argv[1]
CPUS = sorted(os.sched_getaffinity(0))
PATIENCE_S = 60
HELD = 40


def ctl(folder, *words, code=0):
    """The reply of `ctl`, or what it says of a mistake."""
    done = subprocess.run([MILLRACE, "ctl", "--json", os.path.join(folder, "ctl"), *words],
                          capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    said = f"ctl {words}: exit {done.returncode}: {done.stdout}{done.stderr}"
    assert done.returncode == code, said
    if code:
        assert done.stderr.count("millrace: ") == 1, said
        return done.stderr
    return json.loads(done.stdout)


def until(condition, what):
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"never: {what}")


def ports(folder):
    return {row["port"]: row["service"] for row in ctl(folder, "listeners")["listeners"]}


def connections_are_counted_and_listed(folder):
    count = ctl(folder, "count")
    assert count["connections"] >= HELD, count
    assert count["connections"] == sum(worker["connections"] for worker in count["workers"])
    assert count["counters"]["TcpPassiveOpens"] >= HELD, count["counters"]
    # The HTTP service closes when its client does.
    for part in (count, *count["workers"]):
        assert part["close_wait"] == 0 and part["oldest_close_wait_s"] == 0, count
    rows = ctl(folder, "list", "1000")["connections"]
    held = [row for row in rows if row["state"] == "ESTABLISHED"]
    assert len(held) >= HELD, rows
    assert all(row["local"] == "10.9.0.1:80" and row["remote"].startswith("10.9.0.2:")
               for row in held), rows
    workers = {row["worker"] for row in held}
    assert workers == set(range(len(count["workers"]))), workers
    assert 0 < len(ctl(folder, "list", "6")["connections"]) <= 6


def ports_come_and_go(folder):
    assert ports(folder) == {80: "http", 81: "http"}
    ctl(folder, "listen", "8080")
    ctl(folder, "listen", "7", "echo", "backlog=64")
    ctl(folder, "listen", "7", "backlog=128")
    assert ports(folder) == {80: "http", 81: "http", 8080: "http", 7: "echo"}
    ctl(folder, "close", "81")
    assert "port 81 is not open" in ctl(folder, "close", "81", code=3)
    assert "http, echo, discard" in ctl(folder, "listen", "9", "respond", code=3)
    assert set(ports(folder)) == {80, 8080, 7}


def the_file_is_read_again(folder):
    path = os.path.join(folder, "serve.toml")
    with open(path, "w", encoding="ascii") as file:
        file.write('[serve]\nport = "80,82"\nrate-cap = "100k"\nconnections = "9k"\n'
                   '[demo]\ncount = "5"\n')
    reply = ctl(folder, "reload")
    assert reply["opened"] == [82] and sorted(reply["closed"]) == [7, 8080], reply
    assert reply["at_next_start"] == ["--connections"], reply
    assert reply["settings"] == {"--rate-cap": "100k"}, reply
    assert ports(folder) == {80: "http", 82: "http"}
    with open(path, "w", encoding="ascii") as file:
        file.write('[serve]\nport = "80"\nprot = "90"\n')
    assert "serve.toml:3:8: unknown key" in ctl(folder, "reload", code=3)
    with open(path, "w", encoding="ascii") as file:
        file.write('[serve]\nport = "80"\nrate-cap = "0.5"\n')
    assert "--rate-cap: write 1 or more" in ctl(folder, "reload", code=3)
    assert ports(folder) == {80: "http", 82: "http"}, "a mistake changes nothing"


def wrong_commands_are_told_so(folder):
    for words, piece in ((["cout"], "did you mean count?"), (["listen"], "listen PORT"),
                         (["list", "0"], "from 1 to 10000"), (["drain", "soon"], "no time")):
        assert piece in ctl(folder, *words, code=2), words
    # The same by the socket, which many may write to; and the connection goes on.
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_S)
        client.connect(os.path.join(folder, "ctl"))
        client.sendall(b"cout\n\0\xff\xfe\nhelp\n")
        replies = client.makefile("rb")
        for ok in (False, False, True):
            reply = json.loads(replies.readline())
            assert reply["ok"] is ok, reply
    assert "nobody can be asked" in ctl(os.path.join(folder, "none"), "count", code=3)


def a_drain_ends_connections_and_ports(folder):
    reply = ctl(folder, "drain", "30s")
    assert reply["ok"], reply
    count = ctl(folder, "count")
    assert count["connections"] == 0 and count["half_open"] == 0, count
    assert ports(folder) == {}
    ctl(folder, "listen", "80")
    assert ports(folder) == {80: "http"}


def loads(memif):
    """Of HELD connections, one after the other: on a busy machine one may give up early."""
    for _ in range(5):
        yield subprocess.Popen(
            [MILLRACE, "load", "hold", "http://10.9.0.1/1", "--conns", str(HELD), "--rps", "20",
             "--dev", f"memif:{memif}", "--ip", "10.9.0.2/24", "--no-huge", "--duration", "200s",
             "--timeout", "connect=60s,first-byte=60s,last-byte=60s", "--live", "none"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    raise AssertionError("no load lasted")


def main():
    # No second worker on a machine of one CPU; the rest is the same.
    cores = ",".join(str(cpu) for cpu in CPUS[:2])
    with tempfile.TemporaryDirectory() as folder:
        memif, config = os.path.join(folder, "memif"), os.path.join(folder, "serve.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write('[serve]\nport = "80,81"\n')
        options = ["serve", "--dev", f"memif:{memif},role=server", "--ip", "10.9.0.1/24",
                   "--no-huge", "--http", "--cores", cores, "--config", config, "--control",
                   os.path.join(folder, "ctl"), "--duration", "300s"]
        server = subprocess.Popen([MILLRACE, *options], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        load = None
        try:
            assert b"listening on" in server.stdout.readline()
            second = subprocess.run([MILLRACE, *options], capture_output=True, text=True,
                                    timeout=PATIENCE_S, check=False)
            assert second.returncode == 3 and "served by another" in second.stderr, second
            for load in loads(memif):
                until(lambda: load.poll() is not None
                      or ctl(folder, "count")["connections"] >= HELD, "all connections open")
                if load.poll() is None:
                    break
            for case in (connections_are_counted_and_listed, ports_come_and_go,
                         the_file_is_read_again, wrong_commands_are_told_so,
                         a_drain_ends_connections_and_ports):
                case(folder)
                print("ok", case.__name__, flush=True)
            server.send_signal(signal.SIGINT)
            said = server.communicate(timeout=PATIENCE_S)[0].decode()
            assert server.returncode == 0 and "stopped" in said, said
            assert not os.path.exists(os.path.join(folder, "ctl"))
        finally:
            for process in (load, server):
                if process is not None and process.poll() is None:
                    process.kill()
                    process.wait()


main()
