"""tests/lab/network_cases.py - what lies below IP between Millrace and the Linux kernel.

As tests/lab/cases.py, for servers that are started with options of their own.
"""

import socket

import labnet
from cases import expect, page_of_1_kib


def ping_in_fragments(bench):
    """The kernel cuts its pings in pieces; the answers come whole."""
    route = (["10.1.0.0/24"], "600") if bench.family == socket.AF_INET else \
        (["2001:db8:1::/64"], "1280")
    change = ["ip", "-n", bench.lab.kernel_ns, "route", "replace", *route[0], "dev",
              bench.lab.kernel_if]
    labnet.run(*change, "mtu", route[1])
    try:
        status, out = bench.kernel("ping", "-n", "-c", "5", "-i", "0.05", "-W", "2", "-M", "dont",
                                   "-s", "1400", bench.server)
    finally:
        labnet.run(*change)
    expect(status == 0 and b" 0% packet loss" in out, out.decode().strip()[-200:])


FRAGMENT_CASES = [ping_in_fragments, page_of_1_kib]
