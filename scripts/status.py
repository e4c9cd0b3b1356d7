#!/usr/bin/env python3
"""scripts/status.py - the README's table of what is done, from tests/status.tsv.

  scripts/status.py            checks README.md against tests/status.tsv and the tests it names
  scripts/status.py --write    writes the table into README.md

A line of status.tsv: area, what, state (done or not), and for what is done the tests that show it
(Suite.Name of GoogleTest, lab:CASE, qemu:DEVICE, slurm:CASE, or meson:TEST), separated by spaces.
"""

import pathlib
import re
import sys

import conformance

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- status begin -->", "<!-- status end -->"


def known_tests():
    names = set()
    for path in (ROOT / "tests").rglob("*.cc"):
        text = path.read_text()
        for suite, name in re.findall(r"\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\)", text):
            names.add(f"{suite}.{name}")
    for path in (ROOT / "tests" / "lab").glob("*.py"):
        for name in re.findall(r"^def (\w+)\((?:bench|lab)\b", path.read_text(), re.M):
            names.add(f"lab:{name}")
    devices = re.search(r"^DEVICES = \((.*?)\)", (ROOT / "scripts" / "lab-qemu").read_text(), re.M)
    names.update(f"qemu:{name}" for name in re.findall(r'"([\w-]+)"', devices[1]))
    slurm = (ROOT / "tests" / "slurm" / "run").read_text()
    names.update(f"slurm:{name}" for name in re.findall(r"^def (\w+)\(cluster\)", slurm, re.M))
    for path in (ROOT / "tests").rglob("meson.build"):
        for name in re.findall(r"\btest\('([\w-]+)'", path.read_text()):
            names.add(f"meson:{name}")
        if "swarm" in path.read_text():
            names.add("meson:swarm")
    return names


def rows():
    for number, line in enumerate((ROOT / "tests" / "status.tsv").read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) not in (3, 4) or fields[2] not in ("done", "not"):
            sys.exit(f"tests/status.tsv:{number}: area<TAB>what<TAB>done|not[<TAB>tests]")
        yield number, fields[0], fields[1], fields[2], fields[3].split() if len(fields) == 4 else []


def table(errors):
    known = known_tests()
    lines = ["| Area | What | State |", "|---|---|---|"]
    for number, area, what, state, tests in rows():
        if state == "done" and not tests:
            errors.append(f"tests/status.tsv:{number}: done, but no test shows it")
        for name in tests:
            if name not in known:
                errors.append(f"tests/status.tsv:{number}: there is no test {name}")
        lines.append(f"| {area} | {what} | {'done' if state == 'done' else '**not yet**'} |")
    requirements = conformance.summary(conformance.read_table())
    lines.append(f"| Conformance | RFC 9293 appendix B (`tests/conformance/rfc9293.tsv`): "
                 f"{requirements} | checked |")
    return "\n".join(lines)


def main():
    errors = []
    readme = ROOT / "README.md"
    text = readme.read_text()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    wanted = f"{head}{BEGIN}\n{table(errors)}\n{END}{tail}"
    if "--write" in sys.argv[1:]:
        readme.write_text(wanted)
    elif wanted != text:
        errors.append("README.md: the table differs from tests/status.tsv; "
                      "run scripts/status.py --write")
    for error in errors:
        print(error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
