"""tests/apps/load_counting_cases.py MILLRACE - what is counted, judged and written when a load run
does not go as it was meant to, over rings.

As in load_cases.py no case depends on how fast the machine is: what a busy one adds is that the
generator was the limit (exit code 5).
"""

import json
import os
import resource
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from load_program import MILLRACE, PATIENT, VALID_OR_BUSY, adds_up, run  # noqa: E402

QUIET = ["--no-huge", "--live", "none"]
JSON = [*QUIET, "--json", "-"]


def reasons(result):
    return " ".join(result["verdict"]["reasons"])


def held_connections_that_fail_end_the_run_too():
    result = run("hold", "ring", "--conns", "500", "--rps", "500", "--duration", "500ms",
                 "--warmup", "0", "--impair", "loss=5%,seed=3", "--timeout", "connect=500ms", *JSON,
                 code={0, 4, 5})
    assert adds_up(result)["due"] == 500, result["counts"]
    assert result["failures"]["syn_timeout"] > 0, result["failures"]


def held_requests_without_an_answer_fail():
    result = run("hold", "ring", "--conns", "100", "--rps", "200", "--duration", "500ms",
                 "--warmup", "0", "--impair", "delay=600ms", "--timeout", "connect=5s", *JSON,
                 code={4, 5})
    assert adds_up(result)["failed"] == 100, result["counts"]
    assert result["failures"] == {"unfinished": 100}, result["failures"]
    assert result["counts"]["responses"] == 0, result["counts"]


def held_requests_that_wait_are_told():
    result = run("hold", "ring", "--conns", "1", "--rps", "2k", "--duration", "500ms", "--warmup",
                 "0", "--impair", "delay=20ms", "--slo", "first_byte.p99<100s", *PATIENT, *JSON,
                 code={4, 5})
    assert adds_up(result)["ok"] == 1, result["counts"]
    assert result["counts"]["requests"] < 20, result["counts"]
    assert "an idle one of 1 held connections" in reasons(result), reasons(result)
    assert result["objectives"][0]["passed"], result["objectives"]


def a_slow_target_is_not_the_generator():
    result = run("run", "ring", "--rate", "1k", "--open-max", "200", "--duration", "1s", "--warmup",
                 "0", "--impair", "delay=100ms", *JSON, code={4, 5})
    assert adds_up(result)["due"] > 900, result["counts"]
    assert result["failures"]["open_max"] > 300, result["failures"]
    assert "not_started" not in result["failures"], result["failures"]
    assert "--open-max too low" in reasons(result), reasons(result)


def a_count_begins_behind_the_warm_up():
    result = run("run", "ring", "--rate", "500", "-n", "100", "--warmup", "400ms", *JSON,
                 code=VALID_OR_BUSY)
    assert adds_up(result)["due"] == 100, result["counts"]


def an_empty_window_is_not_valid():
    result = run("run", "ring", "--rate", "1", "--arrival", "paced", "--warmup", "100ms",
                 "--duration", "50ms", *JSON, code=5)
    assert adds_up(result)["due"] == 0, result["counts"]
    assert "nothing was measured" in reasons(result), reasons(result)
    # Connections were measured, but a reset takes no time.
    result = run("run", "ring", "--rate", "100", "--close", "rst", "--duration", "200ms",
                 "--warmup", "0", "--slo", "close.p99<1s", *JSON, code={4, 5})
    assert "close.p99<1s: nothing of it was measured" in reasons(result), reasons(result)


def nothing_measured_is_lost():
    short = ["run", "ring", "--rate", "100", "--duration", "200ms", "--warmup", "0", *QUIET]
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        run(*short, "--json", "/dev/full", "-o", out, code=3)
        assert os.path.exists(os.path.join(out, "result.json"))
        other = os.path.join(folder, "other")
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([MILLRACE, "load", *short, "-o", other], stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        assert done.returncode == 3 and "the standard output" in done.stderr, done
        assert os.path.exists(os.path.join(other, "result.json"))
        # Told before the run, not after it.
        said = run(*short, "--baseline", os.path.join(folder, "none"), code=2)
        assert "--baseline" in said and "VERDICT" not in said, said
        # A pipe stays one.
        pipe = os.path.join(folder, "pipe")
        os.mkfifo(pipe)
        with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
            run(*short, "--json", pipe, code=VALID_OR_BUSY)
            assert json.loads(reader.communicate(timeout=30)[0])["counts"]["due"] > 0


def what_is_refused_leaves_nothing():
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        run("run", "ring", "--rate", "1M", "--duration", "1h", *QUIET, "-o", out, code=2)
        assert not os.path.exists(out)
    for words, piece in (
            (["run", "ring", "--conns", "5", "--ramp", "1s"], "--ramp"),
            (["hold", "ring", "--conns", "5", "--arrival", "paced"], "--arrival"),
            (["find-max", "ring", "--goal", "slo"], "--slo"),
            (["profile", "rfc9411:tcp-cps", "http://ring", "--path", "/1", "--path", "/2",
              "--json", "x.json"], "--json")):
        said = run(*words, code=2)
        assert piece in said, (words, said)


def memory_that_is_not_there_is_said():
    few = 3 << 30
    done = subprocess.run(
        [MILLRACE, "load", "run", "ring", "--open-max", "50M", "--duration", "100ms", *QUIET],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (few, few)),
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3 and "internal" not in done.stderr, done


def a_sweep_is_as_good_as_its_worst_trial():
    result = run("sweep", "ring", "--rate", "100..300/100", "--duration", "300ms", "--warmup", "0",
                 "--arrival", "paced", "--slo", "rate<150", *JSON, code={4, 5})
    verdicts = [trial["verdict"] for trial in result["search"]["trials"]]
    assert verdicts[-1] in ("fail", "void"), verdicts
    assert "of 3 trials" in reasons(result), reasons(result)
    result = run("find-max", "ring", "--start", "100", "--max", "100", "--trial", "100ms",
                 "--duration", "100ms", "--goal", "slo", "--slo", "errors<1%", *JSON,
                 code={0, 4, 5})
    assert [goal["goal"] for goal in result["search"]["goals"]] == ["slo"], result["search"]


def merged_rates_are_those_of_the_window():
    """Connections end long after the window: their row is no longer than that for it."""
    result = run("run", "ring", "--rate", "1000", "--arrival", "paced", "--requests", "2",
                 "--think", "900ms", "--duration", "1s", "--warmup", "200ms", "--drain", "3s",
                 "--interval", "300ms", *JSON, code=VALID_OR_BUSY)
    assert adds_up(result)["due"] == 1000, result["counts"]
    measured_s = sum(row["length_s"] for row in result["series"])
    assert measured_s <= 1.001, result["series"]
    assert sum(row["due"] for row in result["series"]) <= 1002, result["series"]
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for index in range(2):
            result["rank"] = {"index": index, "count": 2}
            files.append(os.path.join(folder, f"{index}.json"))
            with open(files[-1], "w", encoding="ascii") as file:
                json.dump(result, file)
        merged = json.loads(subprocess.run([MILLRACE, "report", "merge", *files], check=True,
                                           capture_output=True, text=True).stdout)
        for rate in ("offered_per_s", "achieved_per_s", "ok_per_s"):
            assert abs(merged["load"][rate] - 2 * result["load"][rate]) < 1, merged["load"]
        twice = subprocess.run([MILLRACE, "report", "merge", files[0], files[0]], check=False,
                               capture_output=True, text=True)
        assert twice.returncode == 2 and "twice" in twice.stderr, twice


def main():
    for case in (held_connections_that_fail_end_the_run_too, held_requests_without_an_answer_fail,
                 held_requests_that_wait_are_told, a_slow_target_is_not_the_generator,
                 a_count_begins_behind_the_warm_up, an_empty_window_is_not_valid,
                 nothing_measured_is_lost, what_is_refused_leaves_nothing,
                 memory_that_is_not_there_is_said, a_sweep_is_as_good_as_its_worst_trial,
                 merged_rates_are_those_of_the_window):
        case()
        print("ok", case.__name__, flush=True)


if __name__ == "__main__":
    main()
