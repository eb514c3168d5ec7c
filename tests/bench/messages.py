"""What a message to a program costs its sender, in instructions and exits: the
tests' own kernel sends them out of ring 3 to a program that echoes them. QEMU
runs with -icount shift=0, so all instructions count, the guest's, Shoji's and
the program's; a string instruction counts once for each turn.
"""

import os
import re

from suite.calls import config
from suite.hostile import kernel_disk

LARGE = 65536


def measure(table, t):
    disk = kernel_disk(t, "test=rounds", False, name="rounds",
                       extra=config())
    _, result = t.watch(disk, "rounds", extra=["-icount", "shift=0,sleep=off"])
    os.unlink(disk)
    found = {}
    for line in re.findall(r"@@ rounds ([^\r\n]*)", result.console):
        size, times, ticks, calls, exits = map(int, line.split()[::2])
        found[size] = ticks / times, exits / times, calls / times
    table.head("Messages, out of ring 3")
    ticks, exits, calls = found[0]
    table.row("round trip of an empty one", f"{ticks:,.0f} instructions")
    table.row("  its exits", f"{exits:.2f}", "<= 2", exits <= 2)
    table.note(f"{calls:.2f} calls")
    ticks, exits, _ = found[LARGE]
    table.row("64 KiB and 64 KiB back", f"{ticks:,.0f} instructions")
    table.row("  bytes per instruction", f"{2 * LARGE / ticks:.2f}")
    table.note(f"{exits:.2f} exits")
