"""A system that is not Linux and takes the whole PC: Xen starts as it does
without Shoji, on a PC that has no AMD-V."""

import re

from case import case

# com2: guests have their console there. The idle loop by MWAIT faults in QEMU.
CMDLINE = "console=com2 com2=115200,8n1 cpuidle=0 mwait-idle=0 loglvl=all"
HARDWARE = re.compile(
    r"^\(XEN\) .*(?:Brought up|APIC|HPET|MTRR|mtrr|write-back|write-protect|"
    r"uncachable|NX \().*", re.M)


def start(t, bare):
    name = "bare" if bare else "run"
    disk = t.boot_disk("", bare=bare, kernel="xen", cmdline=CMDLINE, name=name)
    return t.run([disk], name, mem=512, expect="text",
                 until=r"Building a PV Dom0|panic|Panic").console


@case(cpus=(1, 2), weight=30)
def xen(t):
    """What Xen says of the CPUs, interrupt controllers and memory types is what
    it says without Shoji."""
    bare = start(t, True)
    under = bare if t.bare else start(t, False)
    t.equal("Xen on the hardware", HARDWARE.findall(under),
            HARDWARE.findall(bare))
    for text in (f"Brought up {t.cpus} CPU", "Building a PV Dom0"):
        t.true(text, text in under)
    t.true("AMD-V without Shoji", "SVM enabled" in bare)
    t.true("AMD-V under Shoji", t.bare or "SVM" not in under)
