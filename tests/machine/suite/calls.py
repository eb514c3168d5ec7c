"""Hypercalls of a hostile guest: the tests' own kernel, in ring 0 and alone
with the test program (tests/machine/program/victim.c)."""

import re

import image
import monitor
from case import ROOT, case
from machine import ACCEL
from suite.hostile import check_snapshots, kernel, words_of
from suite.program import SECRET, program

MEM = 64                        # MiB: all of it is searched
DUMP = ROOT.last + 1            # where on the disk the kernel sends all of it
GO = DUMP + (MEM << 11)         # a sector by which the kernel is told to go on
CONTROL = bytes(b ^ 0xff for b in SECRET)


def config():
    return '[hypercall]\nallow = "user"\n' + program("first", time_ms=300)


def ram(t):
    """The machine's memory."""
    if t.vendor == "amd" or ACCEL != "tcg":
        with monitor.Monitor(t.path("run.qmp")) as m:
            return m.memory(0, MEM << 20, t.path("memory"))
    with open(t.path("run-pid")) as f:
        return monitor.process_memory(int(f.read()), MEM << 20)


def qemu_only(t):
    return dict(extra=monitor.options(t.path("run.qmp"))) \
        if t.vendor == "amd" or ACCEL != "tcg" else {}


def inside(data, pattern):
    """How often: only where 8 bytes begin."""
    return sum(m.start() % 8 == 0 for m in re.finditer(re.escape(pattern),
                                                       data))


def go_on(t, turn):
    image.write_sectors(t.path("run.img"), GO, bytes([turn]) * image.SECTOR)


@case(vendor=("amd", "intel"), weight=10)
def hostile_secret(t):
    """What a program holds is looked for by a guest, by the CPU and by DMA,
    and by the host in all of the machine's memory: while the program runs,
    and after it was stopped."""
    if t.bare:
        return
    found, sent = {}, {}

    def look(name, turn):
        def step():
            found[name] = ram(t)
            with open(t.path("run.img"), "rb") as f:
                sent[name] = f.read()
            go_on(t, turn)
        return f"@@ secret {name}", step

    result = kernel(t, f"test=secret mib={MEM} dump={DUMP} go={GO}",
                    config=config(), sectors=GO + 1, mem=MEM,
                    steps=(look("held", 1), look("gone", 2)), **qemu_only(t))
    t.note(f"chunks refused: {words_of(result, 'refused')}, secrets in "
           f"memory: {inside(found['held'], SECRET)}")
    t.true("the secret is nowhere: what was searched?",
           inside(found["held"], SECRET) > 1000)
    t.equal("what is left of the secret", found["gone"].count(SECRET), 0)
    for name, disk in sent.items():
        t.true(f"{name}: the control has not come to the disk",
               inside(disk, CONTROL) >= 512)
        t.equal(f"{name}: secrets on the disk", disk.count(SECRET), 0)


def pair():
    return '[hypercall]\nallow = "user"\n' + \
        program("first", sends='["second"]', time_ms=50) + \
        program("second", image="victim-pie.elf", time_ms=50)


@case(vendor=("amd", "intel"), weight=10)
def hostile_calls(t):
    """Random hypercalls, from ring 0 and ring 3."""
    if t.bare:
        return
    for seed in (1, 2, 3):
        found = []

        def look():
            found.append(ram(t))
            go_on(t, len(found))

        kernel(t, f"test=calls seed={seed} go={GO}", config=pair(),
               sectors=GO + 1, mem=MEM, steps=(("@@ calls before", look),
                                               ("@@ calls after", look)),
               **qemu_only(t))
        check_snapshots(t, found, ROOT.toml() + pair())
