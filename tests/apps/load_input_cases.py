"""tests/apps/load_input_cases.py - what `load` is told wrongly: in words, files and variables.

Part of load_cases.py.
"""

import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from load_program import MILLRACE, run  # noqa: E402


def bad_input_is_one_message():
    device = ["run", "tcp://10.1.9.9:80", "--dev", "afpacket:none", "--ip", "10.1.0.1/16", "--src"]
    for words, piece in (
            (["run"], "target"),
            (["run", "10.0.0.1:80"], "no target"),
            (["run", "https://10.0.0.1/"], "TLS"),
            (["run", "tcp://10.0.0.1:80"], "--dev"),
            (["run", "ring", "--rate", "fast"], "--rate"),
            (["run", "ring", "--rate", "1k", "--conns", "5"], "exclude"),
            (["run", "ring", "--arrival", "gauss"], "--arrival"),
            (["run", "ring", "--close", "client"], "--close"),
            (["run", "ring", "--timeout", "conect=1s"], "did you mean"),
            (["run", "ring", "--slo", "conect.p99<1ms"], "did you mean \"connect.p99\""),
            (["run", "ring", "--slo", ""], "no objective"),
            (["run", "ring", "--slo", "errors<5"], "a share from 0 to 1"),
            (["run", "ring", "--rate", "1k", "--rate", "2k"], "--rate: is given twice"),
            (["run", "ring", "--ttl", "0"], "a whole number from 1 to 255"),
            (["run", "ring", "--time-wait", "5m"], "a time from 1s to 4m"),
            (["run", "ring", "--req-size", "2g"], "a size from 0 to 1g"),
            (["run", "tcp://name.invalid:80", "--dev", "kernel"], "name.invalid has no address"),
            (["run", "tcp://10.0.0.1:80", "-6", "--dev", "kernel"], "other family"),
            (["run", "tcp://[::1]:80", "-4", "--dev", "kernel"], "other family"),
            (["run", "ring", "-4", "-6"], "exclude"),
            (["run", "tcp://[ffff::ffff:ffff:ffff:ffff]:80", "--dst-spread", "2"], "last address"),
            (["run", "ring", "--rps", "10"], "--hold"),
            (["run", "ring", "--ranks", "2/2"], "--ranks"),
            (["run", "ring", "--label", "x"], "--label"),
            (["run", "ring", "--live", "loud"], "--live"),
            (["run", "ring", "tcp://10.0.0.1:80"], "different networks"),
            (["run", "ring", "--src", "10.0.0.0/24"], "--src"),
            (["run", "ring", "--idle", "nap"], "--idle"),
            (["run", "ring", "--mss", "20"], "--mss"),
            (["run", "ring", "--congestion", "vegas"], "one of cubic, newreno, dctcp, bbr, none"),
            (["run", "ring", "--ttl", "256"], "--ttl"),
            (["run", "ring", "--dscp", "64"], "--dscp"),
            (["run", "ring", "--tos", "185"], "multiple of 4"),
            (["run", "ring", "--tos", "184", "--dscp", "46"], "--dscp says the same"),
            (["run", "ring", "--latency", "best"], "--latency"),
            (["run", "ring", "--dst-spread", "2"], "--dst-spread"),
            (["run", "ring", "--capture-failures", ":1M"], "--capture-failures"),
            (["run", "ring", "--capture-failures", "x:1"], "no size"),
            ([*device, "10.1.0.0/28,10.1.1.0/28"], "10.1.0.16 is missing"),
            ([*device, "10.1.0.0-10.1.0.4"], "is no prefix"),
            ([*device, "10.1.0.9-10.1.0.4"], "ends before"),
            ([*device, "10.1.0.0/28:0-5"], "ports"),
            ([*device, "10.1.0.0/29:5-9,10.1.0.8/29"], "same ports"),
            ([*device, "10.2.0.0/16"], "no part of the network"),
            ([*device, "2001:db8::/64"], "no part of the network"),
            (["run", "ring", "--percentiles", "99,50"], "--percentiles"),
            (["run", "ring", "--request", "/nonexistent"], "--request"),
            (["run", "ring", "--json", "-", "--json-stream", "-"], "--json-stream"),
            (["run", "ring", "--prom", "nowhere"], "no place for metrics"),
            (["run", "ring", "--eal", "--nonsense"], "unrecognized option '--nonsense'"),
            (["run", "ring", "--eal", "nonsense"], "neither option nor value"),
            (["run", "ring", "--eal", "-m"], "requires an argument"),
            (["run", "ring", "--duratoin", "1s"], "--duration"),
            (["sweep", "ring", "--rate", "5..1/1"], "--rate"),
            (["find-max", "ring", "--goal", "best"], "--goal"),
            (["find-max", "ring", "--width", "0"], "--width")):
        said = run(*words, code=2)
        assert piece in said, (words, said)
        assert said.count("millrace: ") == 1, said


def values_of_a_file_are_named_with_their_place():
    """By the run, by `config check` and by --dry-run alike; and so are those of variables."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.toml")
        for key, value, piece in (("slo", ["errors<1%", "conect.p99 < 1ms"], "did you mean"),
                                  ("arrival", "gauss", "paced"), ("close", "client", "fin"),
                                  ("timeout", "conect=1s", "did you mean"), ("mix", "1", "64:1k"),
                                  ("label", ["x"], "KEY=VALUE"), ("live", "loud", "plain"),
                                  ("latency", "best", "intended"), ("ranks", "2/2", "0/2"),
                                  ("percentiles", "99,50", "rising"), ("src", "x", "prefix"),
                                  ("src-port", "best", "random"), ("ip", ["1.1.1.1/99"], "--ip"),
                                  ("gw", "x", "IP address"), ("idle", "nap", "yield"),
                                  ("cores", "a-b", "CPUs"), ("impair", "lose=1%", "loss"),
                                  ("dev", "afpacke:eth0", "afpacket"), ("prom", "x", ":9100"),
                                  ("start-at", "noon", "2026"), ("coordinator", "x", "HOST:PORT"),
                                  ("capture-failures", ":1M", "FILE")):
            with open(path, "w", encoding="ascii") as file:
                file.write(f"[load.run]\nrate = 5\n{key} = {json.dumps(value)}\n")
            place = f"{path}:3:{len(key) + 4}: --{key}: "
            for words in (["config", "check", path], ["load", "run", "ring", "--config", path],
                          ["load", "run", "ring", "--config", path, "--dry-run"]):
                done = subprocess.run([MILLRACE, *words], capture_output=True, text=True,
                                      timeout=60, check=False)
                assert done.returncode == 2 and done.stdout == "", (words, done)
                assert place in done.stderr and piece in done.stderr, (words, done)
        path = os.path.join(folder, "x.json")
        with open(path, "w", encoding="ascii") as file:
            file.write('{"load": {"run": {"rate": 5,\n  "slo": "conect.p99 < 1ms"}}}')
        done = subprocess.run([MILLRACE, "config", "check", path], capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 2 and f"{path}:2:3: --slo: unknown metric" in done.stderr, done
    done = subprocess.run([MILLRACE, "load", "run", "ring"], capture_output=True, text=True,
                          env={**os.environ, "MILLRACE_CLOSE": "client"}, timeout=60, check=False)
    assert done.returncode == 2 and "MILLRACE_CLOSE: --close: " in done.stderr, done


def every_option_refuses_garbage():
    """All that there are, as the schema of files lists them."""
    free = {"output", "json", "json-stream", "capture-failures", "name", "eal", "request",
            "baseline", "control", "stats"}
    schema = json.loads(subprocess.run([MILLRACE, "config", "schema"], check=True,
                                       capture_output=True, text=True).stdout)["properties"]
    serve = ["--dev", "tap:x", "--ip", "10.0.0.1/24"]
    load = {name: table["properties"] for name, table in schema["load"]["properties"].items()}
    for path, words, keys, without in (
            (["load", "run"], ["ring"], load["run"], ()),
            (["load", "find-max"], ["ring"], load["find-max"], load["run"]),
            (["serve"], serve, schema["serve"]["properties"], ())):
        for key, kind in keys.items():
            if key == "target" or kind.get("type") == "boolean" or key in without:
                continue
            for value in ("", *(() if key in free else ("?", "-1", "1e999"))):
                # What begins with a dash would be the next option.
                forms = [[f"--{key}={value}"], [f"--{key}", value]]
                for words_of_it in forms[:1] if value == "-1" else forms:
                    done = subprocess.run([MILLRACE, *path, *words, *words_of_it, "--dry-run"],
                                          capture_output=True, text=True, timeout=60, check=False)
                    assert done.returncode == 2, (path, words_of_it, done)
                    assert done.stderr.count("millrace: ") == 1, (path, words_of_it, done)
                    assert f"--{key}: " in done.stderr, (path, words_of_it, done)


def folders_are_no_files():
    with tempfile.TemporaryDirectory() as folder:
        for words in (["load", "run", "ring", "--mix", folder], ["report", "show", folder],
                      ["load", "run", "http://ring", "--request", folder],
                      ["load", "run", "ring", "--config", folder], ["config", "check", folder],
                      ["load", "run", "ring", "--baseline", folder]):
            done = subprocess.run([MILLRACE, *words], capture_output=True, text=True, timeout=60,
                                  check=False)
            assert done.returncode == 2 and folder in done.stderr, (words, done)


def a_dry_run_tells_what_does_not_fit():
    for words, piece in ((["run", "ring", "--rate", "1k", "--conns", "5"], "exclude"),
                         (["hold", "ring", "--conns", "5", "--arrival", "paced"], "--arrival"),
                         (["find-max", "ring", "--tos", "3"], "multiple of 4")):
        said = run(*words, "--dry-run", code=2)
        assert piece in said, (words, said)
    said = run("run", "ring", "--rate", "2k", "--dry-run", code=0)
    assert said.splitlines()[-1].startswith("# target: ring  open loop, 2 000 conn/s poisson"), said


def a_baseline_gates_every_kind_of_load():
    quick = ["--no-huge", "--live", "none", "--warmup", "0", "--duration", "200ms"]
    search = ["find-max", "ring", "--start", "100", "--max", "100", "--trial", "50ms", *quick]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "base.json")

        def base(words, spoil):
            result = run(*words, "--json", "-", code={0, 4, 5})
            spoil(result)
            with open(path, "w", encoding="ascii") as file:
                json.dump(result, file)

        def better(result):
            result["load"]["ok_per_s"] *= 100

        def higher(result):
            result["search"]["goals"][0]["rate_per_s"] = 1e6

        hold = ["hold", "ring", "--conns", "3", "--rate", "100", *quick]
        for words, spoil, piece in ((hold, better, "the rate of success is"),
                                    (search, higher, "the maximum (ndr) is")):
            base(words, spoil)
            result = run(*words, "--baseline", path, "--json", "-", code={6, 4, 5})
            assert any(f"regression: {piece}" in note for note in result["notes"]), result["notes"]
        said = run("run", "ring", "--baseline", path, *quick, code=2)
        assert "is a result of find-max" in said, said


def links_name_a_subcommand():
    with tempfile.TemporaryDirectory() as folder:
        for link, words, piece in (("millrace-load", ["run", "ring", "--dry-run"], "[load.run]"),
                                   ("millrace-server", ["--dry-run", "--dev", "tap:x", "--ip",
                                                        "10.0.0.1/24"], "[serve]"),
                                   ("millrace-", ["load", "run", "ring", "--dry-run"],
                                    "[load.run]")):
            path = os.path.join(folder, link)
            os.symlink(os.path.abspath(MILLRACE), path)
            done = subprocess.run([path, *words], capture_output=True, text=True, timeout=60,
                                  check=False)
            assert done.returncode == 0 and piece in done.stdout, done


INPUT_CASES = [links_name_a_subcommand, bad_input_is_one_message,
               every_option_refuses_garbage, folders_are_no_files,
               values_of_a_file_are_named_with_their_place,
               a_dry_run_tells_what_does_not_fit, a_baseline_gates_every_kind_of_load]
