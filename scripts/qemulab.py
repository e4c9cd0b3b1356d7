"""scripts/qemulab.py - a QEMU guest that runs Millrace over an emulated PCI network device.

Used by scripts/lab-qemu. The guest is a kernel of Debian and an archive of files that this module
puts together; nothing is installed, and there is no disk. What the guest runs is tests/qemu/init
and then a script; its serial console is what boot() returns. No device of this machine is touched,
and nothing needs root but a guest with several queues on a tap (Wires).
"""

import glob
import os
import re
import shutil
import signal
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FLAVOUR = "cloud-amd64"
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
DRIVERS = ("net_e1000", "net_virtio", "net_vmxnet3", "mempool_ring")
# In the order in which they can be loaded; what a kernel does not have is built in.
MODULES = ("uio uio_pci_generic irqbypass vfio vfio_virqfd vfio_iommu_type1 vfio-pci-core vfio-pci "
           "failover net_failover virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev "
           "virtio_pci virtio_net").split()
GUEST_CPUS = 2


class LabError(Exception):
    """What stands in the way, in words for the user."""


def run(*command, timeout=120, cwd=None):
    """A command's standard output; LabError with its words when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, cwd=cwd,
                              stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise LabError(f"{command[0]}: {error.strerror} (scripts/setup qemu)") from error
    if done.returncode:
        raise LabError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def build(folder):
    """`millrace` for the CPU that QEMU emulates, which is not this machine's."""
    if not os.path.exists(f"{folder}/build.ninja"):
        run("meson", "setup", folder, ROOT, "-Dcpu=x86-64-v3", timeout=300)
    run("ninja", "-C", folder, "apps/millrace", timeout=1800)
    return f"{folder}/apps/millrace"


class Archive:
    """Files for a kernel to unpack into its root (cpio, format newc)."""

    def __init__(self):
        self.parts = []
        self.names = set()

    def add(self, name, mode, data):
        """One entry; the folders above it come first. A second of the same name is left out."""
        name = name.strip("/")
        if name in self.names:
            return
        if "/" in name:
            self.folder(os.path.dirname(name))
        self.names.add(name)
        fields = (len(self.names), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def folder(self, name):
        self.add(name, 0o040755, b"")

    def link(self, name, target):
        self.add(name, 0o120777, target.encode())

    def text(self, name, text):
        self.add(name, 0o100755, text.encode())

    def file(self, name, path):
        with open(path, "rb") as file:
            self.add(name, 0o100755, file.read())

    def host_file(self, path):
        """A file of this machine at its own place, and a link where it was asked for by another
        name: a library that is loaded twice under two names registers itself twice."""
        real = os.path.realpath(path)
        self.file(real, real)
        asked = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        if asked != real:
            self.link(asked, real)

    def program(self, path, name=None):
        """A program or a library, with the libraries that it needs."""
        if name:
            self.file(name, path)
        else:
            self.host_file(path)
        for line in run("ldd", os.path.realpath(path)).splitlines():
            found = re.search(r"(/\S+) \(0x", line)
            if found:
                self.host_file(found[1])

    def write(self, path):
        self.add("TRAILER!!!", 0, b"")
        with open(path, "wb") as file:
            file.write(b"".join(self.parts))


class Image:
    """The kernel and the files of the guest, below `folder`."""

    def __init__(self, folder, millrace, sums):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.unpack(f"linux-image-{FLAVOUR}", "boot/vmlinuz-*")
        self.unpack("busybox-static", "bin/busybox")
        self.kernel = sorted(glob.glob(f"{folder}/files/boot/vmlinuz-*"))[-1]
        self.initrd = os.path.join(folder, "initrd")
        self.make(millrace, sums)

    def unpack(self, package, wanted):
        """Downloads a package of the system's distribution and takes its files out."""
        if glob.glob(f"{self.folder}/files/{wanted}"):
            return
        if package.startswith("linux-image"):
            depends = run("apt-cache", "depends", package)
            found = re.search(r"Depends: (linux-image-\S+)", depends)
            if not found:
                raise LabError(f"apt knows no {package}: apt-get update")
            package = found[1]
        run("apt-get", "-q", "download", package, cwd=self.folder, timeout=300)
        for file in glob.glob(f"{self.folder}/{package}_*.deb"):
            run("dpkg-deb", "-x", file, f"{self.folder}/files")

    def make(self, millrace, sums):
        archive = Archive()
        for folder in (".", "bin", "dev", "proc", "sys", "tmp", "run", "var", "modules", "usr/lib",
                       "usr/lib64"):
            archive.folder(folder)
        for name, target in (("lib", "usr/lib"), ("lib64", "usr/lib64"), ("var/run", "/run")):
            archive.link(name, target)
        archive.file("bin/busybox", f"{self.folder}/files/bin/busybox")
        archive.file("init", f"{ROOT}/tests/qemu/init")
        archive.file("check", f"{ROOT}/tests/qemu/check")
        archive.text("sums", sums)
        archive.text("modules/order", " ".join(MODULES))
        for module in MODULES:
            modules = f"{self.folder}/files/lib/modules"
            for path in glob.glob(f"{modules}/**/{module}.ko", recursive=True):
                archive.file(f"modules/{module}.ko", path)
        archive.program(millrace, "bin/millrace")
        for program in ("curl", "wrk"):
            path = shutil.which(program)
            if not path:
                raise LabError(f"needs the program {program} (scripts/setup lab)")
            archive.program(path, f"bin/{program}")
        archive.program(f"{LIBRARIES}/libgcc_s.so.1")  # threads end by it, nobody is linked to it
        for driver in DRIVERS:
            plugins = glob.glob(f"{LIBRARIES}/dpdk/pmds-*/librte_{driver}.so.*.*")
            if not plugins:
                raise LabError(f"DPDK's {driver} is not installed (scripts/setup run)")
            archive.program(plugins[0])
            # Where the program's loader looks, too, for drivers that need each other.
            archive.link(f"{LIBRARIES}/{os.path.basename(plugins[0]).rsplit('.', 1)[0]}",
                         plugins[0])
        archive.write(self.initrd)


class Wires:
    """A namespace with a bridge and two taps, for a guest device with several queues."""

    def __init__(self):
        self.name = f"mrq{os.getpid()}"

    def __enter__(self):
        ip = ("ip", "-n", self.name)
        run("ip", "netns", "add", self.name)
        try:
            run(*ip, "link", "add", "bridge0", "type", "bridge")
            run(*ip, "tuntap", "add", "dev", "dut", "mode", "tap", "multi_queue", "vnet_hdr")
            run(*ip, "tuntap", "add", "dev", "peer", "mode", "tap")
            for tap in ("dut", "peer"):
                run(*ip, "link", "set", tap, "master", "bridge0", "up")
            run(*ip, "link", "set", "bridge0", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


def pin_cpus(process):
    """A CPU of the host for each of the guest's, once its threads are there: two that poll would
    otherwise share one for seconds."""
    hosts = sorted(os.sched_getaffinity(0))
    end = time.monotonic() + 5
    while time.monotonic() < end and process.poll() is None:
        threads = {}
        for comm in glob.glob(f"/proc/{process.pid}/task/*/comm"):
            try:
                with open(comm, encoding="utf-8") as file:
                    found = re.match(r"CPU (\d+)", file.read())
            except OSError:
                continue
            if found:
                threads[int(found[1])] = int(comm.split("/")[-2])
        if len(threads) == GUEST_CPUS:
            for cpu, thread in threads.items():
                os.sched_setaffinity(thread, {hosts[cpu % len(hosts)]})
            return
        time.sleep(0.1)


def boot(image, arguments, append, seconds, qemu="qemu-system-x86_64", namespace=None):
    """Runs a guest until it powers off, or for so long at most; what it said on its console."""
    command = [qemu, "-accel", os.environ.get("ACCEL", "tcg,thread=multi"), "-cpu", "max",
               "-M", "q35", "-smp", str(GUEST_CPUS), "-m", "1024", "-nodefaults",
               "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
               "-kernel", image.kernel, "-initrd", image.initrd,
               "-append", "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check "
               f"mitigations=off nokaslr random.trust_cpu=on {append}",
               "-name", "millrace-lab,debug-threads=on", *arguments]
    data = os.path.join(os.path.dirname(os.path.realpath(shutil.which(qemu) or qemu)),
                        "../share/qemu")
    if os.path.isdir(data):
        command += ["-L", data]
    if namespace:
        command = ["ip", "netns", "exec", namespace, *command]  # becomes QEMU: one process
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, start_new_session=True)
    except OSError as error:
        raise LabError(f"{command[0]}: {error.strerror} (scripts/setup qemu)") from error
    try:
        pin_cpus(process)
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        said, _ = process.communicate()
    except BaseException:
        process.send_signal(signal.SIGKILL)
        process.wait()
        raise
    return said.decode(errors="replace").replace("\r", "")
