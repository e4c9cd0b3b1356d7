"""tests/lab/port_cases.py - a port made of two: a bond of two taps that the kernel bridges.

    namespace mrlPIDk:  Millrace --- mrlPIDk0 --+
                                 +-- mrlPIDk1 --+-- bridge0 10.1.0.2/24: curl
"""

import re
import threading

import cases
import labnet


class BondLab(labnet.Lab):
    """Millrace on two taps of one bridge."""

    def __init__(self):
        super().__init__("tap")
        self.taps = [self.kernel_if, self.kernel_if[:-1] + "1"]
        self.kernel_if = "bridge0"

    @property
    def dev(self):
        return "bond:" + "+".join(f"tap:{tap}" for tap in self.taps)

    def link(self, *words, check=True):
        return labnet.run("ip", "-n", self.kernel_ns, "link", *words, check=check)

    def open(self):
        super().open()
        self.link("add", "bridge0", "type", "bridge")
        self.link("set", "bridge0", "addrgenmode", "none", "up")
        self.address_kernel()

    def address_the_tap(self):
        """Puts each tap into the bridge when Millrace has made it. Runs in a thread."""
        todo = list(self.taps)
        while todo and not self.closing.wait(0.05):
            for tap in todo[:]:
                if self.link("set", tap, "addrgenmode", "none", "master", "bridge0", "up",
                             check=False).returncode == 0:
                    todo.remove(tap)


def bond_of_two_taps(lab, millrace):
    """One of them carries connections, the other when its link is down, and it ends cleanly."""
    server = lab.serve(millrace, "--http")
    bench = cases.Bench(lab, millrace)
    for case in (cases.ping, cases.page_of_1_octet, cases.page_of_1_kib, cases.page_of_100_mib,
                 cases.ab):
        case(bench)
    first, second = lab.taps
    lab.link("set", first, "down")
    cases.page_of_100_mib(bench)
    # In the middle of a transfer: the connection goes on over the other one.
    down = threading.Timer(0.3, lab.link, ("set", second, "down"))
    lab.link("set", first, "up")
    down.start()
    cases.page_of_100_mib(bench)
    down.join()
    status = labnet.stop(server, cases.signal.SIGINT)
    log = server.log_text()
    cases.expect(status == 0, f"status {status} after SIGINT: {log[-500:]}")
    failovers = re.search(r"bond_failovers +(\d+)", log)
    cases.expect(failovers and int(failovers[1]) == 2, f"not two took over: {log[-500:]}")
