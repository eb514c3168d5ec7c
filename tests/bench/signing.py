"""The sign program against the same code and libcrypto in a process of the same
guest, in one run. First in instructions: QEMU runs with -icount shift=0, so
that the guest's nanosecond is one, whoever executes it. Then in CPU seconds of
the emulator."""

import json
import os
import re
import statistics

from suite import sign

MESSAGES = 1000
SCRIPT = sign.FUNCTIONS + f"""
show rate signer rate 300 cold
show before shojictl stat --json
show empty signer empty {MESSAGES}
show after shojictl stat --json
"""
# messages of so many signatures: the least ratio
TARGETS = {"1": 0.8, "64": 0.9}


def exits(t, result, name):
    return sum(c["total"] for c in
               json.loads(sign.shown(t, result, name))["cpus"])


def signed(console):
    """A name as in signer's marks: signatures, and how many in a second."""
    return {f"{key}-{count}-{way}": (int(done), float(rate))
            for key, count, way, done, rate in re.findall(
                r"@@ rate (\S+) (\d+) (\w+): (\d+), ([\d.]+)/s", console)}


def compare(table, rounds):
    """Rates are of the same round where they are compared: the host's speed
    changes more from round to round. A native signer that loses its
    translations shows what changing address spaces costs by itself."""
    median = statistics.median
    for key in ("RSA-2048", "P-256"):
        for count, least in TARGETS.items():
            program = [r[f"{key}-{count}-program"] for r in rounds]
            native = [r[f"{key}-{count}-native"] for r in rounds]
            cold = [r[f"{key}-{count}-cold"] for r in rounds]
            ratio = median(p / n for p, n in zip(program, native))
            table.row(f"{key}, {count} per message",
                      f"{median(program):.1f} / {median(native):.1f}, "
                      f"{ratio:.2f}", f">= {least}", ratio >= least)
            ratio = median(c / n for c, n in zip(cold, native))
            table.note("native, its translations lost before and after: "
                       f"{median(cold):.1f}, {ratio:.2f}")


def cpu_seconds(table, t, rounds):
    table.head(f"Signatures per CPU second, median of {rounds}",
               "program / native")
    disk, rates = sign.boot_disk(t, "signer rate 3000 cold\n"), []
    for n in range(rounds):
        machine, result = t.watch(disk, f"seconds-{n}")
        marks = machine.marks
        rates.append({
            name: done / (marks[f"{name}-end"] - marks[name])
            for name, (done, _) in signed(result.console).items()})
    os.unlink(disk)
    compare(table, rates)


def instructions(table, t):
    table.head("Signatures per 10^9 instructions", "program / native")
    result = sign.guest(t, SCRIPT, extra=["-icount", "shift=0,sleep=off"])
    compare(table, [{name: rate for name, (_, rate) in
                     signed(result.console).items()}])
    cost = re.search(r"@@ empty (\d+) ns", result.console)[1]
    table.row("round trip of an empty message", f"{cost} instructions")
    each = (exits(t, result, "after") - exits(t, result, "before")) / MESSAGES
    table.row("its exits, with those of everything else", f"{each:.2f}", "<= 2",
              each <= 2)


def measure(table, t, rounds):
    instructions(table, t)
    cpu_seconds(table, t, rounds)
