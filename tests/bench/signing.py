"""The sign program against the same code and libcrypto in a process of the same
guest, in one run. QEMU runs with -icount shift=0: the guest's nanosecond is an
instruction, so a second is 10^9 of them, whoever executes them."""

import json
import re

from suite import sign

MESSAGES = 1000
SCRIPT = sign.FUNCTIONS + f"""
show rate signer rate 300
show before shojictl stat --json
show empty signer empty {MESSAGES}
show after shojictl stat --json
"""
# messages of so many signatures: the least ratio
TARGETS = {"1": 0.8, "64": 0.9}


def exits(t, result, name):
    return sum(c["total"] for c in
               json.loads(sign.shown(t, result, name))["cpus"])


def measure(table, t):
    table.head("Signatures per 10^9 instructions",
               "program / native")
    result = sign.guest(t, SCRIPT, extra=["-icount", "shift=0,sleep=off"])
    for key, count, program, native in re.findall(
            r"@@ rate (\S+) (\d+): program ([\d.]+)/s native ([\d.]+)/s",
            result.console):
        ratio = float(program) / float(native)
        table.row(f"{key}, {count} per message",
                  f"{program} / {native} = {ratio:.2f}",
                  f">= {TARGETS[count]}", ratio >= TARGETS[count])
    cost = re.search(r"@@ empty (\d+) ns", result.console)[1]
    table.row("round trip of an empty message", f"{cost} instructions")
    each = (exits(t, result, "after") - exits(t, result, "before")) / MESSAGES
    table.row("its exits, with those of everything else", f"{each:.2f}", "<= 2",
              each <= 2)
