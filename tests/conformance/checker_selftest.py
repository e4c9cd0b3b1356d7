#!/usr/bin/env python3
"""Self-tests of scripts/case_ids and scripts/conformance.py: what counts as shown. Prints TAP."""

import importlib.machinery
import importlib.util
import os
import pathlib
import sys
import tempfile

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))
sys.dont_write_bytecode = True

import conformance  # noqa: E402

# Stands for a GoogleTest program of two suites, one of them with parameters.
PROGRAM = """#!/bin/sh
case $1 in
  --gtest_list_tests) printf 'S.\\n  Skips\\n  Runs\\n  DISABLED_Off\\nBoth/P.\\n  OneRuns/0\\n'
    printf '  OneRuns/1\\n  AllSkip/0  # GetParam() = 0\\n' ;;
  *) cat >"${2#--gtest_output=json:}" <<'END'
{"testsuites": [
  {"name": "S", "testsuite": [{"name": "Skips", "result": "SKIPPED"},
                              {"name": "Runs", "result": "COMPLETED"}]},
  {"name": "Both/P", "testsuite": [{"name": "OneRuns/0", "result": "SKIPPED"},
                                   {"name": "OneRuns/1", "result": "COMPLETED"},
                                   {"name": "AllSkip/0", "result": "SKIPPED"}]}]}
END
esac
"""


def what_skips_is_listed_and_has_not_run():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "program")
        with open(path, "w", encoding="ascii") as file:
            file.write(PROGRAM)
        os.chmod(path, 0o755)
        wanted = {"S.Skips", "S.Runs", "S.DISABLED_Off", "P.OneRuns", "P.AllSkip", "S.None"}
        listed, completed = conformance.run_tests([path], wanted)
    assert listed == {"S.Skips", "S.Runs", "P.OneRuns", "P.AllSkip"}, listed
    assert completed == {"S.Runs", "P.OneRuns"}, completed


def an_id_belongs_to_the_test_below_it():
    loader = importlib.machinery.SourceFileLoader("case_ids", str(SCRIPTS / "case_ids"))
    case_ids = importlib.util.module_from_spec(importlib.util.spec_from_loader("case_ids", loader))
    loader.exec_module(case_ids)
    text = ["// LR-01: of the file.", "", "// LR-02, two lines", "// above it: LR-03",
            "TEST(Suite, Name) {  // LR-04", "  // LR-05: inside", "}", "// LR-06",
            "TEST_F(Suite, DISABLED_Name) {", "// LR-07", "void Helper();"]
    assert sorted(case_ids.carried_text(text)) == sorted(text[2:5]), text


def main():
    cases = (what_skips_is_listed_and_has_not_run, an_id_belongs_to_the_test_below_it)
    for number, case in enumerate(cases, 1):
        case()
        print(f"ok {number} - {case.__name__}")
    print(f"1..{len(cases)}")


main()
