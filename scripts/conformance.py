#!/usr/bin/env python3
"""scripts/conformance.py PROGRAM... - tests/conformance/rfc9293.tsv against the built tests.

The table has each numbered requirement of RFC 9293 appendix B once: id, section, what it asks for,
shown (then the tests that show it, Suite.Name), n/a or not (then why). Fails when a requirement is
missing, has neither tests nor a reason, or names a test that none of the GoogleTest programs
lists, or one that is disabled or skips itself: the named tests are run for that. Prints the count
of each kind.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

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


def bare(name):
    """Of a test or suite, without the parts that parameters add."""
    return re.sub(r"(^\w+/(?=\D))|(/\d+$)", "", name)


def listed_tests(program):
    """Suite.Name of every test of a program that is not disabled, without parameters."""
    names = set()
    text = subprocess.run([program, "--gtest_list_tests"], check=True, capture_output=True,
                          text=True).stdout
    suite = ""
    for line in text.splitlines():
        name = line.split("#")[0].strip()
        if line.startswith(" "):
            names.add(f"{suite}.{name.split('/')[0]}")
        elif name.endswith("."):
            suite = bare(name[:-1])
    return {name for name in names if "DISABLED_" not in name}


def completed_tests(program, wanted):
    """Which of the `wanted` tests of a program do what they are there for: do not skip, with one
    parameter at least. A test that fails has run."""
    forms = [form for name in wanted
             for form in (name, "*/" + name + "/*", name.replace(".", "/*.", 1))]
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        subprocess.run([program, "--gtest_filter=" + ":".join(forms),
                        "--gtest_output=json:" + report.name], check=False, capture_output=True)
        suites = json.load(open(report.name, encoding="utf-8"))["testsuites"]
    return {f"{bare(suite['name'])}.{test['name'].split('/')[0]}" for suite in suites
            for test in suite["testsuite"] if test["result"] == "COMPLETED"}


def run_tests(programs, wanted):
    """(those of `wanted` that some program lists, those of them that did not skip)"""
    listed, completed = set(), set()
    for program in programs:
        here = listed_tests(program) & wanted
        listed |= here
        if here:
            completed |= completed_tests(program, here)
    return listed, completed


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
    wanted = {test for row in rows if row[4] == "shown" for test in row[5].split()}
    listed, completed = run_tests(sys.argv[1:], wanted)
    for number, name, _, _, state, tests in rows:
        for test in tests.split() if state == "shown" else []:
            if test not in listed:
                errors.append(f"{TABLE.name}:{number}: {name}: no program has a test {test}")
            elif test not in completed:
                errors.append(f"{TABLE.name}:{number}: {name}: {test} skips, so it shows nothing")
    print(summary(rows))
    for error in errors:
        print(error)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
