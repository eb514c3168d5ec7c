"""How often the guest leaves to Shoji, and why: out of QEMU's trace, which
has a line "vmexit(code, exitinfo1, exitinfo2, rip)!" for each exit on AMD-V.
"""

import collections
import re

# APM vol. 2, appendix C
NAMES = {0x60: "INTR", 0x61: "NMI", 0x64: "VINTR", 0x72: "CPUID",
         0x73: "RSM", 0x76: "INVD", 0x78: "HLT", 0x7b: "IOIO", 0x7c: "MSR",
         0x7d: "task switch", 0x7f: "shutdown", 0x80: "VMRUN",
         0x81: "VMMCALL", 0x89: "WBINVD", 0x8d: "XSETBV",
         0x400: "NPF"}
INTERRUPTS = ("INTR", "NMI", "VINTR", "HLT")
EXIT = re.compile(r"vmexit\(([0-9a-f]+), ([0-9a-f]+), ([0-9a-f]+), "
                  r"([0-9a-f]+)\)!")


class Exit:
    def __init__(self, code, info1, info2, rip):
        self.code, self.info1, self.info2, self.rip = code, info1, info2, rip

    @property
    def cause(self):
        code = self.code
        if code < 0x20:
            return f"CR{code % 16} {'write' if code >= 0x10 else 'read'}"
        if 0x40 <= code < 0x60:
            return f"exception {code - 0x40}"
        return NAMES.get(code, f"{code:#x}")

    @property
    def where(self):
        """The cause and what it is about: a port, a direction, a page."""
        if self.cause == "IOIO":
            way = "in" if self.info1 & 1 else "out"
            return f"{way} {self.info1 >> 16:#x}"
        if self.cause == "NPF":
            return f"NPF {self.info2 & ~0xfff:#x}"
        if self.cause == "MSR":
            return "WRMSR" if self.info1 else "RDMSR"
        return self.cause


def read(path, start=0, end=None):
    """The exits in the bytes [start, end) of a trace."""
    with open(path, "rb") as f:
        f.seek(start)
        data = f.read() if end is None else f.read(end - start)
    return [Exit(*(int(x, 16) for x in m.groups()))
            for m in EXIT.finditer(data.decode("ascii", errors="replace"))]


def by(exits, key):
    return collections.Counter(getattr(e, key) for e in exits)


def text(counter):
    return ", ".join(f"{n} {name}" for name, n in counter.most_common())


def per_command(exits, commands):
    """The median number of exits from one disk command to the next: from the
    first exit of one kind and place, which each command has a whole number
    of times, to the first one of the next command."""
    places = collections.Counter((e.where, e.rip) for e in exits
                                 if e.cause == "IOIO")
    for place, n in sorted(places.items(), key=lambda p: p[1]):
        times = round(n / commands)
        if times and abs(n / commands / times - 1) < 0.05:
            at = [i for i, e in enumerate(exits) if (e.where, e.rip) == place]
            at = at[::times]
            gaps = sorted(b - a for a, b in zip(at, at[1:]))
            return gaps[len(gaps) // 2]
    return None
