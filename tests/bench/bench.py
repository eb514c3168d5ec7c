#!/usr/bin/python3
"""What Shoji costs, as `make bench` prints it: exits, CPU seconds, start, memory.

Everything is compared with the bare machine in the same run. The unit of time
is the CPU second of the emulator, or the guest's instruction. A phase of a
guest lies between two marks on its console (watched.py).

ACCEL has to be tcg: other accelerators have neither the trace of exits nor
the instruction counter. Images and logs are left in build/machine/bench.
"""

import os
import re
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "machine")]

import ahci_path                                        # noqa: E402
import cipher                                           # noqa: E402
import exits                                            # noqa: E402
from case import (BOOT_MIB, BUILD, ROOT_FIRST, Case,    # noqa: E402
                  Fail, Test, Volume, lock_folder,
                  shoji_image)
import image                                            # noqa: E402
import instructions                                     # noqa: E402
import messages                                         # noqa: E402
import path_count                                       # noqa: E402
import signing                                          # noqa: E402
from machine import ACCEL, Disk                         # noqa: E402
from suite.hostile import kernel_disk, test_kernel      # noqa: E402
from watched import Watched                             # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", 3))
ROOT_MIB = 40
ROOT = Volume("root", ROOT_FIRST, ROOT_FIRST + ROOT_MIB * 2048 - 1)
WAYS = ("bare", "no volume", "volume")
VOLUMES = {"bare": (), "no volume": (), "volume": (ROOT,)}

PHASES = """
echo "@@ mark dd64k"
dd if=/dev/sda2 of=/dev/null bs=64k count=512 iflag=direct 2>/dev/null
echo "@@ mark dd64k-end"
dd if=/dev/sda2 of=/dev/null bs=4k count=256 iflag=direct 2>/dev/null
echo "@@ mark dd4k-end"
cat /files/* >/dev/null
echo "@@ mark cat-end"
"""
FILES = {f"files/{i:04}": bytes([i % 251]) * 1500 for i in range(1500)}
# name: (from, to, target as a multiple of bare with a volume)
TIMES = {
    "start to init": (None, "start", 3),
    "start to power-off": (None, "off", None),
    "dd 32 MiB, 64 KiB blocks": ("dd64k", "dd64k-end", 5),
    "dd 1 MiB, 4 KiB blocks": ("dd64k-end", "dd4k-end", None),
    "cat 1,500 files": ("dd4k-end", "cat-end", None),
}

LOOPS = 2000                    # millions

# A second of rest on both sides, so that a mark's delay does not matter.
READS = """
sleep 1
echo "@@ mark a"
sleep 1
dd if=/dev/sda2 of=/dev/null bs=4k count=1000 iflag=direct 2>/dev/null
sleep 1
echo "@@ mark b"
sleep 1
dd if=/dev/sda2 of=/dev/null bs=4k count=2000 iflag=direct 2>/dev/null
sleep 1
echo "@@ mark c"
"""


class Table:
    def __init__(self):
        self.missed = []

    def head(self, title, value="value"):
        print(f"\n{title:<42} {value:>30} {'target':>10}")

    def row(self, what, value, target="", good=None):
        state = "" if good is None else "ok" if good else "MISSED"
        print(f"  {what:<40} {value:>30} {target:>10}  {state}".rstrip(),
              flush=True)
        if good is False:
            self.missed.append(what)

    def most(self, what, value, limit):
        self.row(what, f"{value:,}", f"<= {limit:,}", value <= limit)

    def note(self, text):
        print(f"    {text}", flush=True)


def function(elf, name):
    """The address and the size of a function."""
    out = subprocess.run(["nm", "-S", elf], check=True,
                         stdout=subprocess.PIPE).stdout.decode()
    found = re.search(rf"^(\w+) (\w+) T {name}$", out, re.M)
    return int(found[1], 16), int(found[2], 16)


class Bench(Test):
    def __init__(self, name):
        super().__init__(Case(f"bench/{name}", None, "amd", 1, 0), False)
        self.begin()

    def disk(self, script, way, name, files=None):
        """The disk of one of WAYS."""
        return self.boot_disk(script, VOLUMES[way], bare=way == "bare",
                              name=name, files=files, root_mib=ROOT_MIB)

    def watch(self, disk, name, expect="off", until=None, **more):
        """Runs to the end that is expected; returns the machine and the
        result. The image is not written to."""
        disk = disk if isinstance(disk, Disk) else Disk(disk)
        machine = Watched(self.folder, disks=[disk], name=name, **more)
        machine.extra += ["-snapshot"]
        result = machine.run(until, 600)
        if result.ended != expect or "@@ FAIL" in result.console:
            raise Fail(f"{name}: ended by {result.ended}, see {self.folder}")
        machine.marks["off"] = result.seconds
        return machine, result


# ---- CPU seconds ----------------------------------------------------------

def times(table):
    """Returns the CPU seconds of the cipher alone, for 32 MiB."""
    t = Bench("times")
    disks = {w: t.disk(PHASES, w, w.replace(" ", "-"), FILES) for w in WAYS}
    seconds = {(w, p): [] for w in WAYS for p in TIMES}
    for n in range(ROUNDS):
        for way in WAYS:
            machine, _ = t.watch(disks[way], f"{way.replace(' ', '-')}-{n}")
            for phase, (a, b, _) in TIMES.items():
                start = machine.marks[a] if a else 0
                seconds[way, phase].append(machine.marks[b] - start)
    table.head(f"CPU seconds, median of {ROUNDS}",
               "bare  no volume      volume")
    for phase, (_, _, limit) in TIMES.items():
        bare, without, with_ = (statistics.median(seconds[w, phase])
                                for w in WAYS)
        good = with_ / bare <= limit if limit else None
        table.row(phase, f"{bare:.2f} {without:.2f} {without / bare:.2f}x "
                  f"{with_:.2f} {with_ / bare:.2f}x",
                  f"<= {limit}x" if limit else "", good)
    alone = statistics.median(cipher.seconds(t) for _ in range(ROUNDS))
    bare = statistics.median(seconds["bare", "dd 32 MiB, 64 KiB blocks"])
    table.row("AES-256-XTS of 32 MiB alone, bare guest",
              f"{alone:.2f} {alone / bare:.2f}x")
    for disk in disks.values():
        os.unlink(disk)
    return alone


# ---- exits ----------------------------------------------------------------

def boot_exits(table, t):
    disk = t.disk("", "no volume", "boot")
    machine, _ = t.watch(disk, "boot", trace=t.path("boot.trace"))
    all_exits = exits.read(machine.trace)
    causes = exits.by(all_exits, "cause")
    cpuid = causes.pop("CPUID", 0)
    table.most("Linux, start to power-off, no volume",
               sum(causes.values()), 1000)
    table.note(f"{exits.text(causes)}; besides {cpuid} CPUID")
    table.most("  of them interrupts",
               sum(causes[name] for name in exits.INTERRUPTS), 0)
    os.unlink(disk)


def read_exits(table, t):
    disk = t.disk(READS, "volume", "reads")
    machine, _ = t.watch(disk, "reads", trace=t.path("reads.trace"))
    at = machine.offset
    first = exits.read(machine.trace, at["a"], at["b"])
    second = exits.read(machine.trace, at["b"], at["c"])
    mean = (len(second) - len(first)) / 1000
    table.row("4 KiB direct read, encrypted disk, mean", f"{mean:.2f}", "<= 8",
              mean <= 8)
    median = exits.per_command(second, 2000)
    if median:
        table.row("4 KiB direct read, median", str(median), "<= 8",
                  median <= 8)
    per = exits.by(second, "where")
    per.subtract(exits.by(first, "where"))
    table.note(", ".join(f"{n / 1000:.2f} {name}"
                         for name, n in per.most_common() if n > 5))
    os.unlink(disk)


def bound_exits(table, t):
    """The kernel computes with interrupts off; it says when it is done. Any
    exit meanwhile has its RIP in the function that does so."""
    disk = kernel_disk(t, f"test=bound count={LOOPS}", False,
                       name="bound")
    machine, _ = t.watch(disk, "bound", trace=t.path("bound.trace"))
    seconds = machine.marks["2"] - machine.marks["1"]
    first, size = function(
        test_kernel().replace("test.elf", "test64.elf"), "test_bound")
    inside = [e for e in exits.read(machine.trace)
              if first <= e.rip < first + size]
    table.row(f"CPU-bound, {seconds:.1f} CPU s, timer off", str(len(inside)),
              "0", not inside and seconds >= 1)
    if inside:
        table.note(exits.text(exits.by(inside, "where")))
    os.unlink(disk)


def exit_counts(table):
    t = Bench("exits")
    table.head("Exits")
    for part in (bound_exits, boot_exits, read_exits):
        try:
            part(table, t)
        except Fail as e:
            table.row(part.__name__, str(e)[-60:], "", False)


# ---- instructions and memory ----------------------------------------------

def entry_of(elf):
    out = subprocess.run(["readelf", "-h", elf], check=True,
                         stdout=subprocess.PIPE).stdout.decode()
    return int(re.search(r"Entry point address: *0x([0-9a-f]+)", out)[1], 16)


def start_disk(t, elf):
    """A disk whose GRUB tells when it boots Shoji."""
    tree, boot, disk = (t.path("start" + s) for s in (".tree", ".fs", ".img"))
    image.boot_tree(tree, {"shoji.elf": elf}, image.grub_cfg(
        f"multiboot2 /boot/shoji.elf\n\t{instructions.MARK}", "halt"))
    image.make_fs(boot, tree, BOOT_MIB)
    image.make_disk(disk, [boot], ROOT.last + 1)
    image.install_grub(disk)
    os.unlink(boot)
    return disk


def start(table):
    t = Bench("start")
    elf = shoji_image(ROOT.toml())
    disk = start_disk(t, elf)

    def run(extra):
        t.watch(disk, "start", extra=extra)

    found = instructions.measure(run, t.folder, entry_of(elf))
    table.row("GRUB's boot to the guest's first", f"{found['guest']:,}")
    table.note(f"{found['entry']:,} of them GRUB's; the guest's boot sector "
               f"after {found['mbr']:,}")
    os.unlink(disk)


def hidden(table):
    t = Bench("memory")
    disk = t.disk("", "volume", "memory")
    _, result = t.watch(disk, "memory", mem=4096, expect="text",
                        until=r"MiB of memory hidden")
    mib = int(re.search(r"(\d+) MiB of memory hidden", result.shoji)[1])
    table.row("hidden from the guest, of 4 GiB", f"{mib} MiB", "<= 16 MiB",
              mib <= 16)
    os.unlink(disk)


def measure(table):
    exit_counts(table)
    alone = times(table)
    ahci_path.measure(table, Bench("ahci"), ROUNDS, alone)
    path_count.measure(table, BUILD)
    table.head("Start and memory")
    start(table)
    hidden(table)
    messages.measure(table, Bench("messages"))
    signing.measure(table, Bench("signing"), ROUNDS)


def main():
    if ACCEL != "tcg":
        print("bench: only with QEMU's TCG, see the comment in bench.py")
        return 0
    table = Table()
    with lock_folder():
        measure(table)
    if table.missed:
        print(f"\nbench: missed: {', '.join(table.missed)}")
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
