#!/usr/bin/env python3
"""scripts/attack_table.py PROGRAM... - tests/conformance/attacks.tsv against the built tests.

The table has each known class of attack once: class, what it gains here, shown (then the tests
that show it, Suite.Name) or n/a (then why). Fails when a class has neither, or names a test that
none of the GoogleTest programs lists, or one that skips itself: the named tests are run for that.
Prints the count of each kind.
"""

import pathlib
import sys

import conformance

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "conformance" / "attacks.tsv"


def read_table():
    """[(line number, class, what it gains, state, tests or reason)]"""
    rows = []
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 4 or fields[2] not in ("shown", "n/a") or not fields[3].strip():
            sys.exit(f"{TABLE}:{number}: class, what it gains, shown|n/a, tests or why; by tabs")
        if fields[0] in (row[1] for row in rows):
            sys.exit(f"{TABLE}:{number}: {fields[0]} is there twice")
        rows.append((number, *fields))
    return rows


def main():
    rows = read_table()
    shown = [(number, name, tests.split()) for number, name, _, state, tests in rows
             if state == "shown"]
    wanted = {test for _, _, tests in shown for test in tests}
    listed, completed = conformance.run_tests(sys.argv[1:], wanted)
    errors = [f"{TABLE.name}:{number}: {name}: {test} "
              + ("skips, so it shows nothing" if test in listed else "is in no program")
              for number, name, tests in shown for test in tests if test not in completed]
    print(f"{len(shown)} classes of attack shown by {len(wanted)} tests, "
          f"{len(rows) - len(shown)} not applicable")
    for error in errors:
        print(error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
