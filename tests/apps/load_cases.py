"""tests/apps/load_cases.py MILLRACE - the `load` subcommands as a user calls them, over rings.

Rates are low and no case depends on how fast the machine is: a busy one makes a run INVALID (exit
code 5), which is then what it has to say.
"""

import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from load_input_cases import INPUT_CASES  # noqa: E402
from load_output_cases import OUTPUT_CASES  # noqa: E402
from load_program import (MILLRACE, PATIENT, VALID_OR_BUSY, adds_up, memif_server,  # noqa: E402
                          run)


def open_loop():
    result = run("run", "ring", "--rate", "500", "--duration", "1s", "--warmup", "100ms",
                 "--no-huge", "--arrival", "paced", "--live", "none", "--json", "-",
                 code=VALID_OR_BUSY)
    counts = adds_up(result)
    assert counts["due"] == 500, counts
    # A machine that stands still for long enough leaves some without an end, and says so.
    least = 500 if result["verdict"]["outcome"] == "valid" else counts["ok"]
    for state in ("connect", "first_byte", "last_byte", "close", "total"):
        for start in ("intended", "actual"):
            histogram = result["latency"][state][start]
            assert sum(n for _, n in histogram["buckets"]) == histogram["count"], histogram
            assert least <= histogram["count"] <= 500, (counts, histogram)


def closed_loop_over_http():
    result = run("run", "http://ring/10k", "--conns", "8", "-n", "400", "--requests", "2",
                 "--no-huge", "--check", "--resp-size", "10k", "--warmup", "0", "--duration", "50s",
                 "--live", "none", "--json", "-", *PATIENT, code=VALID_OR_BUSY)
    assert adds_up(result)["ok"] == 400, result["counts"]
    assert result["counts"]["responses"] == 800


def held():
    result = run("hold", "ring", "--conns", "100", "--rate", "200", "--rps", "300", "--duration",
                 "1s", "--warmup", "0", "--no-huge", "--live", "none", "--json", "-", *PATIENT,
                 code=VALID_OR_BUSY)
    assert result["counts"]["held"] == 100
    assert adds_up(result)["ok"] == result["counts"]["due"] > 200, result["counts"]
    assert result["counts"]["responses"] == result["counts"]["requests"] > 300, result["counts"]


def what_is_shown_and_sent_can_be_chosen():
    said = run("run", "http://ring/3k", "--rate", "100", "--duration", "200ms", "--warmup", "0",
               "--no-huge", "--live", "none", "--percentiles", "10,99.5", code=VALID_OR_BUSY)
    row = next(line for line in said.splitlines() if "state" in line)
    assert row.split() == ["state", "p10", "p99.5", "max"], said
    assert "[actual]" in said, said
    for start in ("intended", "actual"):
        said = run("run", "ring", "--rate", "100", "--duration", "100ms", "--warmup", "0",
                   "--no-huge", "--live", "none", "--latency", start, "--dscp", "46",
                   code=VALID_OR_BUSY)
        assert f"from the {start} start" in said and "[actual]" not in said, said
    segments = {}
    for mss in ("1460", "300"):
        result = run("run", "http://ring/3k", "--rate", "100", "--arrival", "paced", "--duration",
                     "200ms", "--warmup", "0", "--no-huge", "--live", "none", "--mss", mss,
                     "--resp-size", "3k", "--json", "-", *PATIENT, code=VALID_OR_BUSY)
        assert adds_up(result)["ok"] == 20, result["counts"]
        segments[mss] = result["counters"]["TcpInSegs"]
    assert segments["300"] > segments["1460"] + 20 * 5, segments


def requests_count_by_their_own_start():
    """Connections that outlast warm-up and window: what is measured is the time of the requests."""
    result = run("run", "ring", "--conns", "4", "--requests", "1000000", "--think", "10ms",
                 "--warmup", "300ms", "--duration", "500ms", "--no-huge", "--live", "none",
                 "--json", "-", code={0, 4, 5})
    # A connection waits 10 ms between two requests: at most 50 in the half second, and its first.
    assert 0 < result["counts"]["responses"] <= 4 * 51, result["counts"]
    assert result["latency"]["last_byte"]["actual"]["count"] == result["counts"]["responses"]


def objectives_decide():
    result = run("run", "ring", "--rate", "200", "--duration", "500ms", "--warmup", "0",
                 "--no-huge", "--slo", "rate>1M;errors<1%", "--live", "none", "--json", "-",
                 code={4, 5})
    assert [o["passed"] for o in result["objectives"]] == [False, True], result["objectives"]
    assert "rate>1M was not met" in result["verdict"]["reasons"], result["verdict"]


def a_signal_keeps_what_there_is():
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        process = subprocess.Popen(
            [MILLRACE, "load", "run", "ring", "--rate", "500", "--duration", "600s", "--warmup",
             "0", "--no-huge", "--live", "none", "-o", out],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        words = process.communicate(timeout=30)[0].decode()
        assert process.returncode == 130, words
        with open(os.path.join(out, "result.json"), encoding="ascii") as file:
            result = json.load(file)
        assert result["verdict"]["interrupted"]
        adds_up(result)


def a_full_disk_is_said():
    short = ["--rate", "100", "--duration", "300ms", "--warmup", "0", "--no-huge", "--live", "none"]
    # A disk of 8 KiB, for root: nothing of what was measured is lost, it is on the screen.
    with tempfile.TemporaryDirectory() as folder:
        script = 'mount -t tmpfs -o size=8k none "$1" || exit 77; shift; exec "$@"'
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", folder, MILLRACE, "load", "run",
             "ring", *short, "-o", os.path.join(folder, "out")],
            capture_output=True, text=True, timeout=60, check=False)
        if os.geteuid() == 0 and done.returncode not in (1, 77):  # unshare or mount may be denied
            assert "VERDICT" in done.stdout, done
            assert done.returncode == 3 and "No space left" in done.stderr, done
    said = run("run", "ring", *short, "-o", "/dev/null/out", code=3)
    assert "VERDICT" not in said and "/dev/null/out" in said, said
    said = run("run", "ring", *short, "--json", "/dev/full", code=3)
    assert "VERDICT" in said and "cannot write /dev/full" in said, said
    # What cannot be written at all is said before the run.
    for path in ("/dev/null/result.json", "/nonexistent/result.json", "/proc/self/fd"):
        said = run("run", "ring", *short, "--json", path, code=3)
        assert "VERDICT" not in said and f"cannot write {path}" in said, said


def searches():
    result = run("find-max", "ring", "--start", "100", "--max", "200", "--trial", "100ms",
                 "--duration", "100ms", "--drain", "50ms", "--width", "20%", "--no-huge",
                 "--json", "-", code={0, 4, 5})
    assert result["search"]["trials"] and result["search"]["goals"][0]["goal"] == "ndr"
    result = run("sweep", "ring", "--rate", "100..300/100", "--duration", "200ms", "--warmup", "0",
                 "--no-huge", "--json", "-", code={0, 4, 5})
    assert len(result["search"]["trials"]) == 3
    # On a terminal a trial shows how far it is; what is kept has the intervals of each.
    with tempfile.TemporaryDirectory() as out:
        sweep = ["sweep", "ring", "--rate", "100..200/100", "--duration", "500ms", "--warmup", "0",
                 "--interval", "100ms", "--no-huge"]
        said = run(*sweep, "--live", "tty", "-o", out, code={0, 4, 5})
        assert "\x1b[K" in said and "ok/s" not in said, said
        with open(os.path.join(out, "log.txt"), encoding="ascii") as file:
            log = file.read()
        assert log.count("ok/s") == 2 and log.count("verdict\n") == 2, log
        assert "\x1b[K" not in log, log
        assert "ok/s" in run(*sweep, "--live", "plain", code={0, 4, 5})


def too_few_addresses_are_refused():
    said = run("run", "ring", "--rate", "1M", "--duration", "1h", "--no-huge", code=2)
    assert "--time-wait" in said, said


def close_after_counts_for_http_beside_another_service():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "memif.sock")
        server = memif_server(path, "--http", "--close-after", "2")
        try:
            for requests, ok in (("2", 20), ("3", 0)):
                result = run("run", "http://10.9.0.1/10", "--dev", f"memif:{path}", "--ip",
                             "10.9.0.2/24", "--conns", "2", "-n", "20", "--requests", requests,
                             "--warmup", "0", "--duration", "50s", "--no-huge", "--live", "none",
                             "--json", "-", *PATIENT, code={0, 4, 5})
                assert adds_up(result)["ok"] == ok, (requests, result["counts"], result["failures"])
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)


def two_workers_over_memif():
    """Two generators in one process against a server in another."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "memif.sock")
        server = memif_server(path)
        try:
            both = ["tcp://10.9.0.1:4000", "--dev", f"memif:{path},queues=1", "--ip",
                    "10.9.0.2/24", "--no-huge", "--req-size", "8", "--resp-size", "100", "--live",
                    "none", "--json", "-", "--cores", f"{cpus[0]},{cpus[1]}", *PATIENT]
            result = run("run", *both, "--rate", "1k", "--arrival", "paced", "--duration", "1s",
                         "--warmup", "0", "--src", "10.9.0.64-10.9.0.95,10.9.0.96/27",
                         code=VALID_OR_BUSY)
            assert adds_up(result)["ok"] == 1000, (result["counts"], result["failures"])
            assert len(result["generator"]["cores"]) == 2, result["generator"]
            result = run("run", *both, "--conns", "9", "-n", "501", "--hold", "7", "--warmup",
                         "0", "--duration", "50s", code=VALID_OR_BUSY)
            assert adds_up(result)["ok"] == 501 + 7, (result["counts"], result["failures"])
            # Two queues against a server that has one: nobody is there, and it is said why.
            said = run("run", "tcp://10.9.0.1:4000", "--dev", f"memif:{path},queues=2", "--ip",
                       "10.9.0.2/24", "--no-huge", "--live", "none", "--cores",
                       f"{cpus[0]},{cpus[1]}", "--rate", "10", "--duration", "1s", code={3, 4})
            assert "as many queues as" in said, said
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=30)


def two_workers_at_both_ends_of_a_memif():
    """Over two queues, and over one: every segment gets to the worker that owns it."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return
    cores = ["--cores", f"{cpus[0]},{cpus[1]}"]
    for queues in (",queues=2", ""):
        with tempfile.TemporaryDirectory() as folder:
            path, stats = os.path.join(folder, "memif.sock"), os.path.join(folder, "stats")
            server = memif_server(path, *cores, "--stats", stats, queues=queues)
            try:
                result = run("run", "tcp://10.9.0.1:4000", "--dev", f"memif:{path}{queues}",
                             "--ip", "10.9.0.2/24", "--no-huge", "--req-size", "8", "--resp-size",
                             "100", "--check", "--live", "none", "--json", "-", *cores, "--conns",
                             "16", "-n", "2000", "--warmup", "0", "--duration", "50s", *PATIENT,
                             code=VALID_OR_BUSY)
                assert adds_up(result)["ok"] == 2000, (result["counts"], result["failures"])
            finally:
                server.send_signal(signal.SIGINT)
                server.communicate(timeout=30)
            with open(stats, encoding="ascii") as file:
                served = json.load(file)
            accepted = [worker["services"]["accepted"] for worker in served["workers"]]
            # The generator opens one connection besides, to see that the target is there.
            assert sum(accepted) >= 2000 and min(accepted) > 500, accepted
            received = [worker["counters"]["HandOverKept"] + worker["counters"]["HandOverOut"]
                        for worker in served["workers"]]
            assert (min(received) > 0) == (queues != ""), received
            for counters in (served["counters"], result["counters"]):
                assert counters.get("TcpExtNoListener", 0) <= 20, counters


def profiles():
    """Every file that comes with the program is right, and one of them runs."""
    shipped = glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                                     "share", "millrace", "profiles", "*", "*.toml"))
    listed = run("profile", code=0)
    assert len(shipped) == len(listed.splitlines()) >= 4, (shipped, listed)
    for file in shipped:
        subprocess.run([MILLRACE, "config", "check", file], check=True, stdout=subprocess.DEVNULL)
        assert os.path.basename(file)[:-len(".toml")] in listed, (file, listed)
    for words, piece in ((["rfc9411:tcp-cp", "http://ring"], "did you mean \"rfc9411:tcp-cps\""),
                         (["rfc9411:http-latency", "http://ring"], "needs --rate"),
                         (["rfc9411:tcp-cps"], "needs a target"),
                         (["rfc9411:tcp-cps", "http://ring/1k"], "paths"),
                         (["rfc9411:tcp-cps", "http://ring", "--gooal", "ndr"], "--goal")):
        said = run("profile", *words, code=2)
        assert piece in said, (words, said)
    with tempfile.TemporaryDirectory() as folder:
        run("profile", "rfc9411:tcp-cps", "http://ring", "--path", "/1k", "--path", "/2k", "-o",
            folder, "--start", "100", "--max", "120", "--trial", "100ms", "--duration", "100ms",
            "--width", "50%", "--ramp", "0", "--warmup", "50ms", "--drain", "50ms", "--no-huge",
            code={0, 4, 5})
        for path in ("1k", "2k"):
            with open(os.path.join(folder, path, "result.json"), encoding="ascii") as file:
                result = json.load(file)
            assert result["search"]["goals"][0]["goal"] == "pdr:0.001%", result["search"]
            assert result["load"]["target"].endswith(path), result["load"]


def main():
    for case in (*INPUT_CASES, too_few_addresses_are_refused, open_loop,
                 closed_loop_over_http, held, requests_count_by_their_own_start,
                 what_is_shown_and_sent_can_be_chosen, *OUTPUT_CASES, objectives_decide,
                 a_signal_keeps_what_there_is, a_full_disk_is_said, searches,
                 close_after_counts_for_http_beside_another_service,
                 two_workers_over_memif, two_workers_at_both_ends_of_a_memif, profiles):
        case()
        print("ok", case.__name__, flush=True)


if __name__ == "__main__":
    main()
