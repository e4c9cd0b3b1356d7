"""scripts/labnet.py - network namespaces in which Millrace and the Linux kernel meet.

Used by scripts/lab (for people) and tests/lab (for the test run). A Lab owns two namespaces and a
pair of virtual interfaces between them, all named after this process:

    namespace mrlPIDm                      namespace mrlPIDk
    mrlPIDm0 (no kernel address,   <--->   mrlPIDk0 10.1.0.2/24, 2001:db8:1::2/64
    Millrace is 10.1.0.1 or                the Linux kernel, nginx, curl, ...
    2001:db8:1::1)

With --dev tap there is no pair: Millrace makes the tap, and the namespace mrlPIDk holds both. The
interfaces of the machine itself are never touched, and close() removes everything.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

MILLRACE_IP, KERNEL_IP, PREFIX = "10.1.0.1", "10.1.0.2", 24
MILLRACE_IP6, KERNEL_IP6, PREFIX6 = "2001:db8:1::1", "2001:db8:1::2", 64
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEVICES = ("afpacket", "tap", "afxdp")
CLONE_NEWNET = 0x40000000


class LabError(Exception):
    """What stands in the way, in words for the user."""


def find_millrace(build):
    """The program: MILLRACE, or what the build directory holds."""
    candidates = [os.environ.get("MILLRACE", ""), f"{build}/apps/millrace",
                  f"{build}/apps/millrace/millrace"]
    for path in candidates:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.abspath(path)
    raise LabError(f"no millrace program in {build}: run ./scripts/run first")


def run(*command, check=True, timeout=30):
    """Runs a command to its end; LabError with its words when it fails."""
    result = subprocess.run(command, capture_output=True, text=True, timeout=timeout,
                            stdin=subprocess.DEVNULL)
    if check and result.returncode:
        raise LabError(f"{' '.join(command)}: {(result.stderr or result.stdout).strip()}")
    return result


def why_not():
    """Why there can be no lab here, or None."""
    if os.geteuid() != 0:
        return "needs root to make network namespaces"
    if not shutil.which("ip"):
        return "needs the program ip (scripts/setup lab)"
    name = f"mrl{os.getpid()}t"
    try:
        run("ip", "netns", "add", name)
        try:
            run("ip", "-n", name, "link", "add", "lab0", "type", "veth", "peer", "name",
                "lab1")
        finally:
            run("ip", "netns", "del", name, check=False)
    except LabError as error:
        return f"no network namespaces here: {error}"
    return None


def has_vlan_devices():
    """Whether this kernel makes interfaces of type vlan (8021q)."""
    name = f"mrl{os.getpid()}v"
    run("ip", "netns", "add", name)
    try:
        return run("ip", "-n", name, "link", "add", "link", "lo", "name", "v", "type", "vlan",
                   "id", "1", check=False).returncode == 0
    finally:
        run("ip", "netns", "del", name, check=False)


def wait_until(condition, seconds, pause_s=0.05):
    """True as soon as condition() holds; False when it does not within the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(pause_s)
    return bool(condition())


def stop(process, how=signal.SIGTERM, seconds=10):
    """Ends a process that we started; its exit status, or None when it had to be killed."""
    if process.poll() is None:
        process.send_signal(how)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None


@contextlib.contextmanager
def without_signals():
    """An impatient second Ctrl-C must not leave half of it behind."""
    before = {number: signal.signal(number, signal.SIG_IGN)
              for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Lab:
    """The namespaces, and the processes started in them. Use as a context manager."""

    def __init__(self, device="afpacket", family=4, vlan=None, dev_options="", queues=1):
        """`vlan`: the kernel's end is a VLAN interface with this ID; `queues`: of the interfaces;
        neither with tap."""
        tag = f"mrl{os.getpid()}"
        self.device, self.family, self.vlan = device, family, vlan
        self.dev_options = dev_options
        self.queues = ["numrxqueues", str(queues), "numtxqueues", str(queues)]
        self.millrace_ip = MILLRACE_IP if family == 4 else MILLRACE_IP6
        self.kernel_ip = KERNEL_IP if family == 4 else KERNEL_IP6
        self.kernel_ns = tag + "k"
        self.kernel_if = tag + "k0"
        self.millrace_ns = tag + "m" if device != "tap" else self.kernel_ns
        self.millrace_if = tag + "m0" if device != "tap" else self.kernel_if
        self.processes = []
        self.namespaces = []
        self.folder = tempfile.mkdtemp(prefix="millrace-lab-")
        os.chmod(self.folder, 0o755)
        self.closing = threading.Event()
        self.watcher = None

    def __enter__(self):
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *unused):
        self.close()

    @property
    def dev(self):
        """The value of Millrace's --dev."""
        return f"{self.device}:{self.millrace_if}{self.dev_options}"

    @property
    def ip(self):
        """The value of Millrace's --ip."""
        return f"{self.millrace_ip}/{PREFIX if self.family == 4 else PREFIX6}"

    def address_kernel(self):
        """Both families; an address of IPv6 may be used at once."""
        add = ("ip", "-n", self.kernel_ns, "addr", "add")
        run(*add, f"{KERNEL_IP}/{PREFIX}", "dev", self.kernel_if, check=False)
        run(*add, f"{KERNEL_IP6}/{PREFIX6}", "dev", self.kernel_if, "nodad", check=False)

    def open(self):
        for name in dict.fromkeys((self.kernel_ns, self.millrace_ns)):
            run("ip", "netns", "add", name)
            self.namespaces.append(name)
            run("ip", "-n", name, "link", "set", "lo", "up")
            # A new namespace may inherit forwarding; here nobody routes.
            run(*self.inside(name), "sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward")
        if self.device == "tap":
            self.watcher = threading.Thread(target=self.address_the_tap, daemon=True)
            self.watcher.start()
            return
        run("ip", "-n", self.millrace_ns, "link", "add", self.millrace_if, *self.queues, "type",
            "veth", "peer", "name", self.kernel_if, *self.queues, "netns", self.kernel_ns)
        for ns, interface in ((self.millrace_ns, self.millrace_if),
                              (self.kernel_ns, self.kernel_if)):
            # No router solicitations and the like: only what the peers say.
            run("ip", "-n", ns, "link", "set", interface, "addrgenmode", "none")
            self.without_offloads(ns, interface)
            run("ip", "-n", ns, "link", "set", interface, "up")
        if self.vlan is not None:
            below, self.kernel_if = self.kernel_if, f"{self.kernel_if}.{self.vlan}"
            run("ip", "-n", self.kernel_ns, "link", "add", "link", below, "name", self.kernel_if,
                "type", "vlan", "id", str(self.vlan))
            run("ip", "-n", self.kernel_ns, "link", "set", self.kernel_if, "addrgenmode", "none",
                "up")
        self.address_kernel()

    def without_offloads(self, ns, interface):
        """Whole frames, complete checksums: a packet socket is served before the device is."""
        for feature in ("tx", "rx", "tso", "gso", "gro"):
            run(*self.inside(ns), "ethtool", "-K", interface, feature, "off", check=False)
        lines = run(*self.inside(ns), "ethtool", "-k", interface).stdout.split("\n")
        for name in ("tx-checksumming", "tcp-segmentation-offload", "generic-segmentation-offload",
                     "generic-receive-offload"):
            if f"{name}: on" in (line.split(" [")[0].strip() for line in lines):
                raise LabError(f"{interface}: {name} cannot be turned off")

    def address_the_tap(self):
        """Gives the kernel its address whenever Millrace has made the tap. Runs in a thread."""
        def show():
            command = ("ip", "-n", self.kernel_ns, "-br", "addr", "show", "dev", self.kernel_if)
            return run(*command, check=False).stdout
        while not self.closing.wait(0.05):
            words = show()
            if words and KERNEL_IP not in words:
                link = ("ip", "-n", self.kernel_ns, "link", "set", self.kernel_if)
                run(*link, "addrgenmode", "none", check=False)
                run(*link, "up", check=False)
                self.address_kernel()

    @staticmethod
    def inside(namespace):
        """The front of a command that runs in a namespace."""
        return ["ip", "netns", "exec", namespace]

    def spawn(self, namespace, command, log):
        """Starts a process in a namespace with its output in a file; it ends with the lab."""
        with open(log, "w", encoding="utf-8") as output:
            process = subprocess.Popen([*self.inside(namespace), *command], stdout=output,
                                       stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                       start_new_session=True)
        self.processes.append(process)
        return process

    def millrace_command(self, millrace, *arguments):
        """A millrace command line with the device; with AF_XDP, where its maps have a home."""
        command = [millrace, *arguments, "--dev", self.dev, "--ip", self.ip]
        if self.vlan is not None:
            command += ["--vlan", str(self.vlan)]
        if self.device == "afxdp":
            # `ip netns exec` mounts a fresh /sys in a mount namespace of its own.
            mount = 'mount -t bpf bpf /sys/fs/bpf 2>/dev/null; ulimit -l unlimited; exec "$@"'
            command = ["sh", "-c", mount, "sh", *command]
        return command

    def serve(self, millrace, *arguments, seconds=20, answers=True):
        """Starts `millrace serve`, waits until it listens and, with `answers`, answers a ping."""
        log = os.path.join(self.folder, "millrace.log")
        process = self.spawn(self.millrace_ns,
                             self.millrace_command(millrace, "serve", *arguments), log)

        def text():
            with open(log, encoding="utf-8", errors="replace") as file:
                return file.read()

        wait_until(lambda: "listening on" in text() or process.poll() is not None, seconds)
        if process.poll() is not None:
            raise LabError(f"millrace ended with status {process.returncode}:\n{text()}")
        if "listening on" not in text():
            raise LabError(f"millrace did not listen within {seconds} s:\n{text()}")
        if answers and not wait_until(self.answers, seconds):
            raise LabError(f"millrace did not answer a ping within {seconds} s:\n{text()}")
        process.log_text = text
        return process

    def answers(self):
        if not shutil.which("ping"):
            raise LabError("needs the program ping (scripts/setup lab)")
        ping = ("ping", "-n", "-c", "1", "-W", "1", self.millrace_ip)
        return run(*self.inside(self.kernel_ns), *ping, check=False).returncode == 0

    def nginx(self, port=80):
        """Starts nginx on the kernel's side. Serves folder/www; /slow/ at 20 MB/s."""
        www = os.path.join(self.folder, "www")
        os.makedirs(www, exist_ok=True)
        config = os.path.join(self.folder, "nginx.conf")
        paths = " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"""daemon off; worker_processes 1; user root; pid {self.folder}/nginx.pid;
error_log {self.folder}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; keepalive_timeout 5; {paths}
  server {{
    listen {port} backlog=4096; listen [::]:{port} backlog=4096; root {www};
    location /slow/ {{ alias {www}/; limit_rate 20m; }}
  }}
}}
""")
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        process = self.spawn(self.kernel_ns, [program, "-c", config, "-e", "stderr"],
                             os.path.join(self.folder, "nginx.log"))

        def listens():
            command = (*self.inside(self.kernel_ns), "ss", "-tlnH", f"sport = :{port}")
            return bool(run(*command).stdout.strip())

        if not wait_until(lambda: process.poll() is not None or listens(), 10) or \
                process.poll() is not None:
            with open(os.path.join(self.folder, "nginx.log"), encoding="utf-8") as file:
                raise LabError(f"nginx does not listen: {file.read().strip()}")
        return process

    @contextlib.contextmanager
    def kernel_side(self):
        """This thread's new sockets belong to the kernel's namespace."""
        libc = ctypes.CDLL(None, use_errno=True)
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        away = os.open(f"/run/netns/{self.kernel_ns}", os.O_RDONLY)
        try:
            if libc.setns(away, CLONE_NEWNET):
                raise LabError(f"setns: {os.strerror(ctypes.get_errno())}")
            yield
        finally:
            libc.setns(home, CLONE_NEWNET)
            os.close(away)
            os.close(home)

    def close(self):
        """Ends our processes, then removes what we made. Safe to call twice."""
        with without_signals():
            self.remove()

    def remove(self):
        self.closing.set()
        if self.watcher:
            self.watcher.join(5)
        for process in reversed(self.processes):
            stop(process)
        self.processes = []
        for name in self.namespaces:
            # Stragglers of the user's shell, so that the interfaces go at once.
            for pid in run("ip", "netns", "pids", name, check=False).stdout.split():
                with contextlib.suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "del", name, check=False)
        self.namespaces = []
        shutil.rmtree(self.folder, ignore_errors=True)
