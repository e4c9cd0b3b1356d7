#!/usr/bin/env python3
"""scripts/budget.py - the budget table of lib/ARCHITECTURE.md: nanoseconds and instructions of each
step of the plain exchange.

  budget.py            count instructions (callgrind, half a minute) and fill the table
  budget.py --fill     fill the table from what bench/results has
Nanoseconds come from bench/results/stages.json and micro.json (scripts/bench), instructions from
bench/stages under callgrind, built as scripts/instructions builds.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ARCHITECTURE = ROOT / "lib" / "ARCHITECTURE.md"
BUILD = ROOT / "build-count"
BEGIN, END = "<!-- budget begin -->", "<!-- budget end -->"
ROUNDS, TOGETHER = 500, 32

# Functions whose instructions lie inside the steps above them.
INSIDE = {
    "choose a source, take a record": r"Engine::Connect\(",
    "parse and verify a burst": r"Engine::ParseAll\(",
    "protocol, input": r"tcp::OnSegment\(",
    "protocol, output": r"tcp::PollSend\(",
    "build a frame": r"FrameBuilder::BuildTcp\(",
    "ISN and timestamp offset": r"tcp::DeriveTupleSecrets\(",
    "table insert": r"FlowTable::Insert\(",
    "table erase": r"FlowTable::Erase\(",
    "TIME-WAIT insert": r"Engine::EnterTimeWait\(",
}
# Of bench/results/micro.json: nanoseconds of one.
MICRO = {
    "lookup, hit, in bursts, 1 M flows": "flow-table: lookup/hit/bulk32/1000000",
    "lookup, miss, in bursts, 1 M flows": "flow-table: lookup/miss/bulk32/1000000",
    "TIME-WAIT, its whole life, 1 M": "time-wait: queue/batch/1000000",
    "TIME-WAIT, its whole life, 60 M": "time-wait: queue/batch/60000000",
}


def annotated(path):
    """Inclusive instructions by function, of a callgrind file."""
    text = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", path],
                          capture_output=True, text=True, check=True).stdout
    counts = {}
    for match in re.finditer(r"^\s*([\d,]+) \([ \d.]+%\)\s+(.*)$", text, re.M):
        name = re.sub(r" \[.*\]$", "", match[2]).split(":", 1)[-1]
        counts.setdefault(name, int(match[1].replace(",", "")))
    return counts


def largest(counts, pattern):
    found = [count for name, count in counts.items() if re.search(pattern, name)]
    return max(found) if found else None


def measure(results):
    """Writes budget.json: instructions per connection by function."""
    if shutil.which("valgrind") is None:
        print("budget: valgrind is missing (./scripts/setup check): no instructions counted")
        return
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, ROOT, "-Dcpu=x86-64-v3"], check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, "bench/stages/stages"], check=True,
                   stdout=subprocess.DEVNULL)
    out = BUILD / "callgrind.stages"
    stages = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
                             BUILD / "bench/stages/stages", "--no-huge", "--json", "--rounds",
                             str(ROUNDS)], capture_output=True, text=True, check=True)
    steps = json.loads(stages.stdout)["steps"]
    counts = annotated(out)
    connections = ROUNDS * TOGETHER
    per = {step["function"]: largest(counts, rf"\b{step['function']}\(") for step in steps}
    per.update({text: largest(counts, pattern) for text, pattern in INSIDE.items()})
    missing = [name for name in (step["function"] for step in steps) if per[name] is None]
    if missing:
        sys.exit(f"budget: callgrind names no {', '.join(missing)}")
    instructions = {name: round(count / connections) for name, count in per.items() if count}
    (results / "budget.json").write_text(json.dumps(instructions, indent=1) + "\n")


def rows(results):
    stages = json.loads((results / "stages.json").read_text())
    counts = json.loads((results / "budget.json").read_text())
    lines = ["| Stage | Step | ns | instructions |", "|---|---|---|---|"]
    ns_all = count_all = 0
    for step in stages["steps"]:
        count = counts[step["function"]]
        lines.append(f"| {step['group']} | {step['text']} | {step['ns']:.0f} | {count:,} |")
        ns_all, count_all = ns_all + step["ns"], count_all + count
    lines.append(f"| all | one connection, both ends | {ns_all:.0f} | {count_all:,} |")
    for text in INSIDE:
        if text in counts:
            lines.append(f"| within | {text} | | {counts[text]:,} |")
    micro_file = results / "micro.json"
    micro = json.loads(micro_file.read_text())["figures"] if micro_file.exists() else {}
    for text, name in MICRO.items():
        if name in micro:
            lines.append(f"| alone | {text} | {micro[name]:.0f} | |")
    return lines


def fill(results):
    text = ARCHITECTURE.read_text()
    if BEGIN not in text or END not in text:
        sys.exit(f"budget: {ARCHITECTURE} has no {BEGIN} and {END}")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    ARCHITECTURE.write_text(head + BEGIN + "\n" + "\n".join(rows(results)) + "\n" + END + tail)


if __name__ == "__main__":
    RESULTS = ROOT / "bench" / "results"
    if sys.argv[1:] not in ([], ["--fill"]):
        sys.exit(__doc__)
    if not sys.argv[1:]:
        measure(RESULTS)
    fill(RESULTS)
