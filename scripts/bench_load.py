"""scripts/bench --only load: is `millrace load` exact, soon over, and cheap to measure with?

Over rings and over a memif the highest rate is found by a closed loop; then half, 80 % and 90 % of
it are asked for as an open loop, and what was offered and achieved is read from the results. The
time of the whole program less what it was asked to take says what start and end cost. Over rings on
one core the closed loop runs with and without its clocks and histograms (`--latency none`), in
turn, so that their cost in rate shows; under callgrind, in instructions.
"""

import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARES = (0.5, 0.8, 0.9)
CPUS = sorted(os.sched_getaffinity(0))
CONNECTIONS = 64
MEASURED = (0, 4, 5)  # what failed, or is INVALID on a busy machine, has figures too


def run(build, *words, pinned=None):
    """The result, and the seconds that the program took."""
    command = [build / "apps/millrace", "load", "run", *words, "--live", "none", "--json", "-"]
    if pinned is not None:
        command = ["taskset", "-c", str(pinned), *command]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    took = time.monotonic() - begun
    if done.returncode not in MEASURED:
        raise SystemExit(f"bench: {' '.join(map(str, command))}\n{done.stderr}")
    return json.loads(done.stdout), took


@contextlib.contextmanager
def rings(_build):
    yield ["ring"]


@contextlib.contextmanager
def memif(build):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "memif.sock")
        server = subprocess.Popen(
            [build / "apps/millrace", "serve", "--respond", "1:1", "--dev",
             f"memif:{path},role=server", "--ip", "10.9.0.1/24", "--idle", "yield", "--cores",
             str(CPUS[0])], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            server.stdout.readline()  # it listens
            yield ["tcp://10.9.0.1:4000", "--dev", f"memif:{path}", "--ip", "10.9.0.2/24", "--src",
                   "10.9.0.64/26", "--cores", str(CPUS[-1])]
        finally:
            server.terminate()
            server.communicate(timeout=60)


def maximum(build, target, seconds, times):
    """Connections a second of a closed loop."""
    rates = [run(build, *target, "--conns", str(CONNECTIONS), "--warmup", "200ms", "--duration",
                 f"{seconds}s")[0]["load"]["ok_per_s"] for _ in range(times)]
    highest = statistics.median(rates)
    if highest == 0:
        raise SystemExit("bench: nothing was measured in a closed loop: the machine is too busy")
    return highest


def at_share(build, target, rate, seconds, arrival):
    warmup_s, drain_s = 0.5, 0.5
    result, took = run(build, *target, "--rate", f"{rate:.0f}", "--arrival", arrival, "--warmup",
                       f"{warmup_s}s", "--drain", f"{drain_s}s", "--duration", f"{seconds}s")
    load, counts = result["load"], result["counts"]
    if load["offered_per_s"] == 0 or counts["due"] == 0:
        raise SystemExit(f"bench: nothing was offered of {rate:.0f}/s: the machine is too busy")
    return {"asked_per_s": round(rate), "arrival": arrival,
            "offered_per_s": round(load["offered_per_s"], 1),
            "achieved_of_offered": load["achieved_per_s"] / load["offered_per_s"],
            "failed_share": counts["failed"] / counts["due"],
            "busiest_core_share": max(core["busy_share"] for core in result["generator"]["cores"]),
            "worst_lag_ns": result["generator"]["worst_lag_ns"],
            "verdict": result["verdict"]["outcome"],
            "beyond_what_was_asked_s": round(took - warmup_s - seconds, 3)}


def accuracy(build, quick):
    seconds, times = (1, 1) if quick else (2, 3)
    found = {}
    for name, place in (("rings", rings), ("memif", memif)):
        with place(build) as target:
            highest = maximum(build, target, seconds, times)
            runs = [at_share(build, target, share * highest, seconds, arrival)
                    for share in SHARES for arrival in ("paced", "poisson") for _ in range(times)]
        found[name] = {"maximum_per_s": round(highest), "runs": runs}
        for share in SHARES:
            of_share = [r for r in runs if r["asked_per_s"] == round(share * highest)]
            print(f"  {name}, {share:.0%} of {highest:,.0f}/s: achieved of offered "
                  f"{min(r['achieved_of_offered'] for r in of_share):.4%} at the least, failed "
                  f"{max(r['failed_share'] for r in of_share):.3%} at the most, over after "
                  f"{max(r['beyond_what_was_asked_s'] for r in of_share):.2f} s more", flush=True)
    return found


def cost_in_rate(build, quick):
    """Of clocks and histograms, both ends on one core: the medians of runs in turn."""
    rates = {"both": [], "none": []}
    for _ in range(2 if quick else 7):
        for latency, found in rates.items():
            result, _ = run(build, "ring", "--conns", str(CONNECTIONS), "--warmup", "200ms",
                            "--duration", "1s", "--latency", latency, pinned=CPUS[-1])
            found.append(round(result["load"]["ok_per_s"]))
    ratios = [with_it / without for with_it, without in zip(rates["both"], rates["none"])]
    print(f"  measuring costs {1 - statistics.median(ratios):.1%} of the rate", flush=True)
    return {"per_s": rates, "share": 1 - statistics.median(ratios)}


def instructions_of(program, latency, count):
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        subprocess.run(
            ["taskset", "-c", str(CPUS[-1]), "valgrind", "--tool=callgrind",
             "--callgrind-out-file=/dev/null", f"--log-file={log}", program, "load", "run", "ring",
             "--conns", str(CONNECTIONS), "-n", str(count), "--warmup", "0", "--no-huge",
             "--latency", latency, "--live", "none", "--time-wait", "1s"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600, check=False)
        return collected(log)


def collected(log):
    """What callgrind counted, as its log says."""
    text = pathlib.Path(log).read_text(encoding="utf-8") if os.path.exists(log) else ""
    counts = [int(line.split()[-1]) for line in text.splitlines() if "Collected" in line]
    if not counts:
        raise SystemExit("bench: callgrind has counted nothing; it said:\n" + text[-2000:])
    return counts[0]


def cost_in_instructions(few=5_000, many=25_000):
    """Per connection, both ends, with and without; {} where they cannot be counted."""
    build, name = ROOT / "build-count", "apps/millrace"
    program = build / name
    if shutil.which("valgrind") is None or not (build / "build.ninja").exists():
        print("  instructions are not counted: that takes valgrind, and the build of "
              "scripts/instructions", flush=True)
        return {}
    built = subprocess.run(["ninja", "-C", build, name], capture_output=True, text=True,
                           check=False)
    if built.returncode != 0:
        raise SystemExit(f"bench: {program} cannot be built:\n{built.stdout[-2000:]}")
    counted = {latency: round((instructions_of(program, latency, many) -
                               instructions_of(program, latency, few)) / (many - few))
               for latency in ("both", "none")}
    print(f"  instructions per connection: {counted}", flush=True)
    return counted


def measure(build, quick):
    return {"load_average": [round(load, 1) for load in os.getloadavg()],
            "accuracy": accuracy(build, quick),
            "cost_in_rate": cost_in_rate(build, quick),
            "cost_in_instructions": cost_in_instructions()}


def figures(result):
    found = {}
    for name, of_place in result["accuracy"].items():
        found[f"{name}: connections/s, closed loop"] = of_place["maximum_per_s"]
        found[f"{name}: achieved of offered, least"] = min(
            run["achieved_of_offered"] for run in of_place["runs"])
        found[f"{name}: s beyond what was asked, most"] = max(
            run["beyond_what_was_asked_s"] for run in of_place["runs"])
    found["measuring: share of the rate"] = result["cost_in_rate"]["share"]
    return found
