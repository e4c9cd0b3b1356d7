"""tests/lab/network_cases.py - what lies below IP between Millrace and the Linux kernel.

As tests/lab/cases.py, for servers that are started with options of their own.
"""

import socket

import labnet
from cases import closed_port_is_refused_at_once, expect, page_of_1_kib, page_of_100_mib, ping

VLAN = 42


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


def untagged_frames_are_not_answered(bench):
    """The same address, asked for beside the VLAN: nobody there has it."""
    below = bench.lab.kernel_if.split(".")[0]
    status, out = bench.kernel("ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-I", below,
                               bench.server)
    expect(status != 0 and b"100% packet loss" in out, out.decode().strip()[-200:])


def get_from_the_other_end(bench, *options):
    """`millrace get` on the kernel's interface, beside the kernel: status and what it said."""
    client = "10.1.0.3/24" if bench.family == socket.AF_INET else "2001:db8:1::3/64"
    command = [bench.millrace, "get", f"http://{bench.server_host}/1k", "-o", "/dev/null",
               "--timeout", "4s", "--dev", f"{bench.lab.device}:{bench.lab.kernel_if}", "--ip",
               client, *options]
    status, out = bench.kernel(*command, timeout=30)
    return status, out.decode(errors="replace")


def same_vlan_reaches_the_server(bench):
    status, said = get_from_the_other_end(bench, "--vlan", str(VLAN))
    expect(status == 0, f"{status}: {said.strip()[-300:]}")


def other_networks_do_not(bench):
    for options in ((), ("--vlan", str(VLAN + 1)), ("--vlan", "0")):
        status, _ = get_from_the_other_end(bench, *options)
        expect(status != 0, f"{options}: the server answered")


FRAGMENT_CASES = [ping_in_fragments, page_of_1_kib]
VLAN_CASES = [ping, page_of_1_kib, page_of_100_mib, closed_port_is_refused_at_once,
              untagged_frames_are_not_answered]
# Millrace at both ends.
VLAN_PEER_CASES = [same_vlan_reaches_the_server, other_networks_do_not,
                   same_vlan_reaches_the_server]
