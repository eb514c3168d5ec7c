"""Test cases: their registry, and what a case can use.

A case is a function that takes a Test and raises Fail, registered once for
each machine it runs on:

    @case(vendor=("amd", "intel"), cpus=(1, 2))
    def boot(t): ...                    # boot-amd-1 boot-amd-2 boot-intel-1 ...
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tools"))

import guest                                            # noqa: E402
import image                                            # noqa: E402
from machine import Disk, Machine                       # noqa: E402

BUILD = os.path.abspath(os.environ.get("B") or os.path.join(TOP, "build"))
WORK = os.path.join(BUILD, "machine")

# Every guest disk has the same layout, so that few images of Shoji do.
BOOT_MIB, ROOT_MIB = 32, 12
ROOT_FIRST = image.FIRST_PART + BOOT_MIB * 2048
ROOT_LAST = ROOT_FIRST + ROOT_MIB * 2048 - 1

CASES = []


def lock_folder():
    """Two runs at once would take each other's disks and sockets. Returns what
    holds the folder for as long as it is kept."""
    os.makedirs(WORK, exist_ok=True)
    holder = open(os.path.join(WORK, "lock"), "w")
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another run works in {WORK}")
    return holder


class Fail(Exception):
    pass


class Case:
    def __init__(self, name, run, vendor, cpus, weight):
        self.name, self.run, self.vendor, self.cpus, self.weight = \
            name, run, vendor, cpus, weight


def case(vendor=("amd",), cpus=(1,), weight=10, name=None):
    """@weight: about how many CPU seconds it takes; long cases start first."""
    def register(f):
        base = name or f.__name__.replace("_", "-")
        for v in vendor:
            for c in cpus if isinstance(cpus, tuple) else cpus[v]:
                full = f"{base}-{v}" + (f"-{c}" if cpus != (1,) else "")
                CASES.append(Case(full, f, v, c,
                                  weight * (4 if v == "intel" else 1)))
        return f
    return register


def key(name, length=64):
    """The same key for the same name; no two halves are alike."""
    return hashlib.sha512(name.encode()).digest()[:length]


class Volume:
    """A range that a configuration protects."""

    def __init__(self, name, first, last, channel=0, unit=0, bits=256,
                 bus="ide"):
        self.name, self.first, self.last = name, first, last
        self.channel, self.unit, self.bus = channel, unit, bus
        self.key = key(name, bits // 4)

    def on(self, bus):
        """The same on another bus: a unit of IDE is a port of AHCI."""
        return Volume(self.name, self.first, self.last,
                      self.channel * 2 + self.unit, 0, len(self.key) * 4,
                      bus) if bus != self.bus else self

    def toml(self):
        last = f'"{self.last}"' if self.last == "end" else self.last
        return (f'[[volume]]\nname = "{self.name}"\n'
                f'bus = "{self.bus}"\ncontroller = 0\n'
                f'channel = {self.channel}\nunit = {self.unit}\n'
                f'first_lba = {self.first}\nlast_lba = {last}\n'
                f'cipher = "aes-xts-plain64"\nkey = "{self.key.hex()}"\n\n')

    def plain(self, path):
        """The decrypted contents of the range in the disk image @path."""
        return image.decrypted(path, self.first, self.last, self.key)

    def encrypt(self, path):
        image.encrypt_range(path, self.first, self.last, self.key)


ROOT = Volume("root", ROOT_FIRST, ROOT_LAST)


# ---- images of Shoji ----------------------------------------------------

build_lock = threading.Lock()
built = {}


def shoji_image(toml):
    """The path of shoji.elf for the configuration @toml; built once a run."""
    with build_lock:
        if toml not in built:
            built[toml] = build_shoji(toml)
        return built[toml]


def build_shoji(toml):
    os.makedirs(WORK, exist_ok=True)
    stem = os.path.join(
        WORK, "shoji-" + hashlib.sha256(toml.encode()).hexdigest()[:12])
    with open(os.open(stem + ".toml", os.O_CREAT | os.O_WRONLY | os.O_TRUNC,
                      0o600), "w") as f:
        f.write(toml)
    objects = os.path.join(WORK, "obj")
    run = subprocess.run(["make", "-s", "-C", TOP, f"B={objects}",
                          f"CONFIG={stem}.toml", f"{objects}/shoji.elf"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if run.returncode:
        raise Fail("make:\n" + run.stdout.decode(errors="replace"))
    for kind in (".elf", ".debug"):         # .debug: its symbols
        shutil.copyfile(os.path.join(objects, "shoji" + kind), stem + kind)
    return stem + ".elf"


# ---- what a case uses ---------------------------------------------------

class Test:
    """@bare: without Shoji, on plaintext disks; shows that the guests and the
    checks work by themselves."""

    def __init__(self, case, bare):
        self.name, self.vendor, self.cpus = case.name, case.vendor, case.cpus
        self.bare = bare
        self.folder = os.path.join(WORK, case.name)
        self.seconds = 0.0

    def begin(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def note(self, text):
        with open(self.path("result.log"), "a") as f:
            f.write(text + "\n")

    def boot_disk(self, script, volumes=(ROOT,), bare=None, tools=(),
                  files=None, kernel="tiny", cmdline="", name="disk",
                  shoji=None, parts=(), root_mib=ROOT_MIB, sectors=0,
                  modules=None):
        """A disk with a boot partition and a root that runs @script; returns
        the path of the image. The root is encrypted if ROOT, or one of its
        name, is among @volumes. @shoji: another image than the one for
        @volumes. @parts: files that become partitions 3 and 4. @sectors: the
        least size. @modules: boot modules of Shoji, name -> path."""
        bare = self.bare if bare is None else bare
        if bare:
            elf = None
        else:
            elf = shoji or shoji_image("".join(v.toml() for v in volumes))
        tree = self.path(name + ".tree")
        boot, root, disk = (self.path(name + s)
                            for s in (".boot", ".root", ".img"))
        guest.root_tree(tree, script, tools, files)
        image.make_fs(root, tree, root_mib)
        shutil.rmtree(tree)
        self.make_boot(tree, boot, elf, kernel, cmdline, modules or {},
                       image.disk_id(disk))
        image.make_disk(disk, [boot, root] + list(parts), sectors)
        image.install_grub(disk)
        os.unlink(boot)
        os.unlink(root)
        for v in volumes:
            if not bare and v.name == ROOT.name:
                v.encrypt(disk)
        return disk

    def make_boot(self, tree, boot, elf, kernel, cmdline, modules, disk_id):
        files = dict(modules)
        if kernel == "debian":
            files["vmlinuz"], files["initrd"] = guest.debian_kernel()
        else:
            files["vmlinuz"] = guest.tiny_kernel()
        if kernel == "xen":
            files["xen"] = guest.xen(self.path("xen"))
        if elf:
            files["shoji.elf"] = elf
        # Bochs loses the wake-up from MWAIT with several CPUs
        if self.vendor == "intel":
            cmdline += " idle=nomwait"
        # Linux probes ports in parallel: the disk may not be its sda
        linux = (f"linux /boot/vmlinuz root=PARTUUID={disk_id}-02 rw "
                 f"init=/sbin/init console=ttyS1,115200 panic=-1 {cmdline}")
        if "initrd" in files:
            linux += "\ninitrd /boot/initrd"
        if "xen" in files:
            linux = (f"multiboot2 /boot/xen {cmdline}\n"
                     "module2 /boot/vmlinuz")
        shoji = "\n".join(["multiboot2 /boot/shoji.elf"] +
                          [f"module2 /boot/{m} {m}" for m in modules])
        image.boot_tree(tree, files, image.grub_cfg(
            shoji if elf else "", linux))
        image.make_fs(boot, tree, BOOT_MIB)
        shutil.rmtree(tree)

    def run(self, disks, name="run", until=None, expect="off", limit=1200,
            steps=(), **more):
        """Runs a machine with @disks (paths or Disks; the first is the boot
        disk) to its end, which has to be @expect."""
        disks = [d if isinstance(d, Disk) else Disk(d, i // 2, i % 2)
                 for i, d in enumerate(disks)]
        more.setdefault("cpus", self.cpus)
        more.setdefault("vendor", self.vendor)
        result = Machine(self.folder, disks=disks, name=name,
                         **more).run(until, limit, steps)
        self.seconds += result.seconds
        self.note(f"{name}: ended by {result.ended}, status {result.status}, "
                  f"{result.seconds:.1f} CPU seconds")
        if result.ended != expect:
            raise Fail(f"{name}: ended by {result.ended}, not {expect}")
        return result

    def linux(self, disks, name="run", **more):
        """As run(), for a guest of guest.py, which must have no failed check
        and must power off by itself. Returns its result."""
        more.setdefault("until", "shoji: (Stopped|panic)|Kernel panic")
        result = self.run(disks, name, **more)
        bad = re.findall(r"@@ FAIL.*", result.console)
        if bad:
            raise Fail(f"{name}: {bad[0].strip()}")
        if "@@ end" not in result.console:
            raise Fail(f"{name}: the guest did not come to its end")
        return result

    def equal(self, what, got, want):
        if got != want:
            raise Fail(f"{what}: {got!r}, not {want!r}")

    def true(self, what, value):
        if not value:
            raise Fail(what)


def sums(result):
    """The sums that a guest printed, by name."""
    return dict(re.findall(r"@@ sum (\S+) ([0-9a-f]{32})", result.console))


def digest(data):
    return hashlib.md5(data).hexdigest()


def differing(a, b):
    """The numbers of the sectors in which two equally long contents differ."""
    return [i // 512 for i in range(0, len(a), 512)
            if a[i:i + 512] != b[i:i + 512]]
