"""tests/lab/port_cases.py - a port made of two: a bond of two taps that the kernel bridges.

    namespace mrlPIDk:  Millrace --- mrlPIDk0 --+
                                 +-- mrlPIDk1 --+-- bridge0 10.1.0.2/24: curl

That one takes over from the other cannot be tried so: the driver of a tap does not report that its
link is down.
"""

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
    """One of them carries connections, and it ends cleanly."""
    server = lab.serve(millrace, "--http")
    bench = cases.Bench(lab, millrace)
    for case in (cases.ping, cases.page_of_1_octet, cases.page_of_1_kib, cases.page_of_100_mib,
                 cases.ab):
        case(bench)
    status = labnet.stop(server, cases.signal.SIGINT)
    cases.expect(status == 0, f"status {status} after SIGINT: {server.log_text()[-500:]}")
