#!/usr/bin/env python3
"""scripts/conformance.py PROGRAM... - tests/conformance/rfc9293.tsv against the built tests.

The table has each numbered requirement of RFC 9293 appendix B once: id, section, what it asks for,
shown (then the tests that show it, Suite.Name), n/a or not (then why). Fails when a requirement is
missing, has neither tests nor a reason, or names a test that none of the GoogleTest programs
lists, or one that is disabled. Prints the count of each kind.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "conformance" / "rfc9293.tsv"
WANTED = ([f"MUST-{i}" for i in range(1, 70)] + [f"SHLD-{i}" for i in range(1, 32)] +
          [f"MAY-{i}" for i in range(1, 19)] + ["REC-1"])


def read_table():
    """[(line number, id, section, what, state, tests or reason)]"""
    rows = []
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 5 or fields[3] not in ("shown", "n/a", "not") or not fields[4].strip():
            sys.exit(f"{TABLE}:{number}: id, section, what, shown|n/a|not, tests or why; by tabs")
        rows.append((number, *fields))
    return rows


def listed_tests(programs):
    """Suite.Name of every test that runs, without the parts that parameters add."""
    names = set()
    for program in programs:
        text = subprocess.run([program, "--gtest_list_tests"], check=True, capture_output=True,
                              text=True).stdout
        suite = ""
        for line in text.splitlines():
            name = line.split("#")[0].strip()
            if line.startswith(" "):
                names.add(suite + name.split("/")[0])
            elif name.endswith("."):
                suite = re.sub(r"(^\w+/)|(/\d+(?=\.$))", "", name)
    return {name for name in names if "DISABLED_" not in name}


def summary(rows):
    """"69 MUST: 60 shown, 5 do not apply, 4 not done; ..." for the README."""
    parts = []
    for kind in ("MUST", "SHLD", "MAY", "REC"):
        states = [row[4] for row in rows if row[1].startswith(kind + "-")]
        part = f"{len(states)} {kind}: {states.count('shown')} shown by tests"
        if states.count("n/a"):
            part += f", {states.count('n/a')} not applicable"
        if states.count("not"):
            part += f", {states.count('not')} not done"
        parts.append(part)
    return "; ".join(parts)


def main():
    rows = read_table()
    errors = [f"{TABLE.name}: {wanted} is there {count} times" for wanted in WANTED
              if (count := [row[1] for row in rows].count(wanted)) != 1]
    errors += [f"{TABLE.name}:{row[0]}: there is no requirement {row[1]}" for row in rows
               if row[1] not in WANTED]
    known = listed_tests(sys.argv[1:])
    for number, name, _, _, state, tests in rows:
        if state == "shown":
            errors += [f"{TABLE.name}:{number}: {name}: no program has a test {test}"
                       for test in tests.split() if test not in known]
    print(summary(rows))
    for error in errors:
        print(error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
