"""tests/apps/load_start_cases.py MILLRACE - when a load begins, from where, and with what sizes."""

import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from load_program import PATIENT, VALID_OR_BUSY, adds_up, run  # noqa: E402

CALM = ["--warmup", "0", "--no-huge", "--live", "none", *PATIENT]
QUICK = ["--arrival", "paced", *CALM]


def the_clock_starts_when_asked():
    start = time.time() + 4
    result = run("run", "ring", "--rate", "100", "--duration", "200ms", *QUICK, "--start-at",
                 f"@{start:.3f}", "--json", "-", code=VALID_OR_BUSY)
    assert adds_up(result)["due"] == 20, result["counts"]
    # The thread that takes the time may be late, and is never early.
    assert result["window"]["start_unix_ns"] * 1e-9 > start - 0.001, (start, result["window"])
    for when, piece in (("2020-01-01T00:00:00Z", " ago"), ("06:00", "is no time")):
        said = run("run", "ring", "--start-at", when, code=2)
        assert piece in said, said
    said = run("run", "ring", "--start-at", "2199-01-01T00:00:00Z", "--ranks", "0/2",
               "--coordinator", "127.0.0.1:7070", code=2)
    assert "--start-at" in said, said


def ports_are_chosen():
    result = run("run", "ring", "--duration", "50s", *CALM, "--src-port", "5000-5002", "--close",
                 "rst", "--conns", "3", "-n", "200", "--json", "-", code=VALID_OR_BUSY)
    assert adds_up(result)["ok"] == 200, result
    for ports in "sequential", "hash-local":
        result = run("run", "ring", "--rate", "100", "--duration", "200ms", *QUICK, "--src-port",
                     ports, "--tos", "184", "--json", "-", code=VALID_OR_BUSY)
        assert adds_up(result)["ok"] == 20, result
    for ports in ("best", "5-4", "0-9", "70000-70001", "1-"):
        said = run("run", "ring", "--src-port", ports, code=2)
        assert "--src-port" in said, said
    said = run("run", "tcp://10.1.0.9:80", "--dev", "memif:/tmp/none", "--ip", "10.1.0.1/16",
               "--src", "10.1.1.0/28:2000-3000", "--src-port", "5000-6000", code=2)
    assert "once" in said, said


def rings_are_of_either_family():
    def bits_of(target, *family):
        result = run("run", target, *family, "--rate", "500", "-n", "400", "--duration", "50s",
                     *QUICK, "--json", "-", code=VALID_OR_BUSY)
        assert adds_up(result)["ok"] == 400, (result["counts"], result["failures"])
        load = result["load"]
        return load["rx_bits_per_s"] / load["ok_per_s"]

    for target in "ring", "http://ring/10k":
        # A header of IPv6 is 20 octets longer, and no exchange has less than three packets.
        more = bits_of(target, "--ipv6") - bits_of(target)
        assert more > 2.9 * 160, more
    said = run("run", "tcp://10.1.0.9:80", "--ipv6", code=2)
    assert "--ipv6: " in said, said


def devices_are_named():
    said = run("run", "tcp://10.1.0.9:80", "--dev", "kernels", "--ip", "10.1.0.1/16", code=2)
    assert "afpacket:IFACE" in said, said
    os.environ["PCIDEVICE_TEST"] = "0000:ff:1e.6,0000:ff:1e.7"
    try:
        said = run("run", "tcp://10.1.0.9:80", "--dev", "auto", "--ip", "10.1.0.1/16", code=3)
    finally:
        del os.environ["PCIDEVICE_TEST"]
    assert "0000:ff:1e.6, 0000:ff:1e.7" in said, said


def a_mix_is_read_from_a_file():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "mix")
        with open(path, "w", encoding="ascii") as file:
            file.write("# requests, responses\n\n 7 : 9 # the only one\n")
        result = run("run", "ring", "--rate", "100", "--duration", "200ms", *QUICK, "--mix", path,
                     "--json", "-", code=VALID_OR_BUSY)
        assert adds_up(result)["ok"] == 20, result
        with open(path, "a", encoding="ascii") as file:
            file.write("64:1q\n")
        said = run("run", "ring", "--mix", path, code=2)
        assert f"--mix: {path}: line 4: " in said, said


def counts_alone_have_no_latencies():
    result = run("run", "ring", "--rate", "100", "--duration", "200ms", *QUICK, "--latency", "none",
                 "--slo", "errors<1%", "--json", "-", code=VALID_OR_BUSY)
    assert adds_up(result)["ok"] == 20, result
    assert result["latency"] == {}, result["latency"]
    assert result["generator"]["worst_lag_ns"] == 0, result["generator"]
    assert any("nothing was timed" in note for note in result["notes"]), result["notes"]


def main():
    for case in (the_clock_starts_when_asked, ports_are_chosen,
                 rings_are_of_either_family, devices_are_named,
                 a_mix_is_read_from_a_file, counts_alone_have_no_latencies):
        case()
        print(f"{case.__name__}: ok", flush=True)


if __name__ == "__main__":
    main()
