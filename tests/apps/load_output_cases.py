"""tests/apps/load_output_cases.py - what `millrace load` writes beside its result.

Part of load_cases.py.
"""

import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import urllib.request

from load_program import MILLRACE, VALID_OR_BUSY, run


def packets_of(file):
    """(comment, sent) of each packet of a pcapng file; its blocks have to follow each other."""
    with open(file, "rb") as opened:
        data = opened.read()
    at, packets = 0, []
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        body = data[at + 8:at + length - 4]
        assert struct.unpack_from("<I", data, at + length - 4)[0] == length, at
        if kind == 6:
            captured = struct.unpack_from("<I", body, 12)[0]
            options, comment, flags = body[20 + (captured + 3) // 4 * 4:], "", 0
            while options:
                code, size = struct.unpack_from("<HH", options)
                if code == 1:
                    comment = options[4:4 + size].decode()
                if code == 2:
                    flags = struct.unpack_from("<I", options, 4)[0]
                options = options[4 + (size + 3) // 4 * 4:]
            packets.append((comment, flags == 2))
        at += length
    return packets


def packets_of_failures_are_kept():
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "failures.pcapng")
        short = ["http://ring/1k", "--rate", "100", "--arrival", "paced", "--duration", "200ms",
                 "--warmup", "0", "--no-huge", "--live", "none", "--json", "-",
                 "--capture-failures"]
        result = run("run", *short, file, "--resp-size", "2k", code={4, 5})
        assert result["failures"] == {"wrong_length": 20}, result["failures"]
        assert any(f"20 failed connections, " in note and file in note
                   for note in result["notes"]), result["notes"]
        packets = packets_of(file)
        comments = [comment for comment, _ in packets if comment]
        assert len(comments) == 20 and comments[0].startswith("wrong_length: "), comments
        # SYN, request and reset of ours; SYN-ACK and response of the server's.
        assert len(packets) >= 20 * 5, len(packets)
        assert sum(sent for _, sent in packets) >= 20 * 3
        if shutil.which("tshark"):
            read = subprocess.run(["tshark", "-r", file, "-T", "fields", "-e", "tcp.flags.reset",
                                   "-e", "frame.comment"], capture_output=True, text=True,
                                  timeout=60, check=False)
            lines = [line.split("\t") for line in read.stdout.splitlines()]
            assert len(lines) == len(packets), (len(lines), len(packets), read.stderr)
            resets = [line for line in lines if line[0] in ("1", "True")]
            assert len(resets) == 20 and all("wrong_length" in line[1] for line in resets), resets
        result = run("run", *short, file + ":4k", "--resp-size", "2k", code={4, 5})
        assert os.path.getsize(file) <= 4096 and len(packets_of(file)) > 5
        assert any("reached its size" in n or "not in it" in n for n in result["notes"]), result
        result = run("run", *short, file, "--resp-size", "1k", code=VALID_OR_BUSY)
        assert packets_of(file) == [] and not result["failures"], result["failures"]
        said = run("run", *short[:-3], "--capture-failures", "/nonexistent/x", code=3)
        assert "/nonexistent/x" in said and "VERDICT" not in said, said


def a_run_is_followed_line_by_line():
    """--json-stream: one line that begins, one for each interval, one that ends."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "lines.jsonl")
        result = run("run", "ring", "--rate", "200", "--duration", "600ms", "--warmup", "200ms",
                     "--interval", "200ms", "--no-huge", "--live", "none", "--json-stream", file,
                     "--label", "a=b", "--json", "-", code=VALID_OR_BUSY)
        with open(file, encoding="ascii") as lines:
            first, *intervals, last = [json.loads(line) for line in lines]
    assert first["type"] == "begin" and first["run"]["labels"] == {"a": "b"}, first
    assert last["type"] == "end" and last["counts"] == result["counts"], (last, result["counts"])
    assert intervals and all(line["type"] == "interval" for line in intervals), intervals
    assert [line["interval"] for line in intervals if line["measured"]] == result["series"]
    assert sum(line["latency"]["connect"]["count"] for line in intervals) > 0, intervals
    said = run("sweep", "ring", "--rate", "100..200/100", "--duration", "100ms", "--warmup", "0",
               "--no-huge", "--json-stream", "/dev/stdout", code={0, 4, 5})
    kinds = [json.loads(line)["type"] for line in said.splitlines() if line.startswith("{")]
    assert kinds[0] == "begin" and kinds[-1] == "end" and kinds.count("trial") == 2, kinds


def prometheus_reads_a_run():
    process = subprocess.Popen(
        [MILLRACE, "load", "run", "ring", "--rate", "200", "--duration", "50s", "--warmup", "0",
         "--interval", "100ms", "--no-huge", "--live", "none", "--prom", ":0"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        url = next(line.split()[1] for line in process.stdout if line.startswith("metrics"))
        assert url.startswith("http://127.0.0.1:"), url
        page, end = "", time.monotonic() + 30
        while " 0\n" in page[page.find("\nmillrace_load_ok_total"):][:30] or not page:
            assert time.monotonic() < end, page
            with urllib.request.urlopen(url, timeout=10) as answer:
                page = answer.read().decode()
            time.sleep(0.05)
        assert 'millrace_load_latency_seconds{state="connect",quantile="0.99"}' in page, page
    finally:
        process.send_signal(signal.SIGINT)
        words = process.communicate(timeout=30)[0]
    assert process.returncode == 130, words


OUTPUT_CASES = [packets_of_failures_are_kept, a_run_is_followed_line_by_line,
                prometheus_reads_a_run]
