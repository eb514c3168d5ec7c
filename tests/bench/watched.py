"""A machine that is watched while it runs: at each text that appears on the
guest's console, the CPU seconds that the emulator has used so far and how
long its trace is.

The guest writes a text "@@ mark NAME"; it is seen after at most POLL
seconds, so a phase is known to that much.
"""

import os
import re
import signal
import time

from machine import Machine

POLL = 0.004


def cpu_seconds(pid):
    """User and system time of a process, in nanoseconds' resolution: the
    kernel's per-process CPU clock (CPUCLOCK_SCHED)."""
    return time.clock_gettime((~pid << 3) | 2)


class Watched(Machine):
    """@trace: a file that QEMU fills with lines about exits."""

    def __init__(self, *args, trace=None, **more):
        super().__init__(*args, **more)
        self.trace, self.marks, self.offset = trace, {}, {}
        if trace:
            # an address that nothing runs at: only vmrun and vmexit are left
            self.extra += ["-d", "in_asm", "-dfilter", "0x1..0x1", "-D", trace]

    def wait(self, child, until, limit, _steps):
        end, ended, size = time.monotonic() + limit, "off", -1
        while True:
            now = os.path.getsize(self.com2)
            if now != size:
                size = now
                self.look(child.pid)
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                return ended, os.waitstatus_to_exitcode(status), usage
            if ended == "off" and until and self.seen(until):
                ended = "text"
            if ended == "off" and time.monotonic() > end:
                ended = "time"
            if ended != "off":
                os.kill(child.pid, signal.SIGKILL)
            time.sleep(POLL)

    def look(self, pid):
        names = re.findall(r"@@ (start|end|mark \S+)\s",
                           self.text(self.com2))
        for name in names:
            name = name.split()[-1]
            if name not in self.marks:
                self.marks[name] = cpu_seconds(pid)
                if self.trace and os.path.exists(self.trace):
                    self.offset[name] = os.path.getsize(self.trace)
