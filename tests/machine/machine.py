"""Whole PCs in emulators.

QEMU's TCG is the AMD-V machine, Bochs the Intel VT-x machine. With ACCEL=kvm
(or any other of QEMU's accelerators) both vendors' cases run in QEMU, on the
CPU that the host has. Nothing here may depend on the emulator's speed: a run
ends when the guest powers off, when a given text appears, or at a time limit
that is far away, and to which it does not count when the emulator waits for a
CPU of a busy host.

COM1 is Shoji's log, COM2 the guest's console; each is a file.
"""

import contextlib
import glob
import os
import re
import signal
import subprocess
import time

import monitor

ACCEL = os.environ.get("ACCEL", "tcg")
POLL = 0.1                      # seconds between two looks at a run

BOCHSRC = """plugin_ctrl: unmapped=true, biosdev=true, serial=true
config_interface: textconfig
display_library: rfb, options="timeout=0"
cpu: model={model}, count={cpus}, ips=50000000, reset_on_triple_fault={triple}, ignore_bad_msrs=1
memory: guest={mem}, host={mem}
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
pci: enabled=1, chipset=i440fx
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
{disks}
boot: disk
com1: enabled=1, mode=file, dev={com1}
com2: enabled=1, mode=file, dev={com2}
clock: sync=none, time0=1700000000
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
log: {log}
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
"""


class Disk:
    """A raw image as IDE device @unit of @channel; or, on @bus "ahci" (QEMU
    only), at port @channel.

    @errors: path of a blkdebug configuration (QEMU only). @cdrom: a drive
    with the image as its disc."""

    def __init__(self, path, channel=0, unit=0, errors=None, cdrom=False,
                 bus="ide"):
        self.path, self.channel, self.unit = path, channel, unit
        self.errors, self.cdrom, self.bus = errors, cdrom, bus

    def qemu(self):
        where = f"if=ide,index={self.channel * 2 + self.unit},cache=unsafe"
        if self.bus == "ahci":
            where = f"if=none,id=port{self.channel},cache=unsafe,discard=unmap"
        if self.cdrom:
            where += ",media=cdrom,readonly=on"
        if not self.errors:
            drive = f"driver=raw,file.filename={self.path},{where}"
        else:
            drive = (f"driver=raw,file.driver=blkdebug,"
                     f"file.config={self.errors},file.image.driver=file,"
                     f"file.image.filename={self.path},"
                     f"rerror=report,werror=report,{where}")
        if self.bus == "ahci":
            return ["-drive", drive, "-device",
                    f"ide-{'cd' if self.cdrom else 'hd'},"
                    f"drive=port{self.channel},bus=ide.{self.channel},"
                    f"id=disk{self.channel}"]
        return ["-drive", drive]

    def bochs(self):
        name = f"ata{self.channel}-" + ("slave" if self.unit else "master")
        if self.cdrom:
            return f"{name}: type=cdrom, path={self.path}, status=inserted"
        return f"{name}: type=disk, mode=flat, path={self.path}"


def waited(pid):
    """The seconds for which a process was not given a CPU that it wanted: of
    its threads, the one that was worst off."""
    longest = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with contextlib.suppress(OSError), open(path) as f:
            longest = max(longest, int(f.read().split()[1]))
    return longest / 1e9


class Result:
    """What a run left: the two serial logs and the emulator's CPU seconds.

    @ended: "off" (the emulator ended by itself), "text" (the awaited text
    came) or "time" (the limit was reached). @screen: the text on the screen
    when the text had come, if it was asked for (QEMU only)."""

    def __init__(self, console, shoji, ended, status, seconds, screen):
        self.console, self.shoji = console, shoji
        self.ended, self.status, self.seconds = ended, status, seconds
        self.screen = screen


class Machine:
    """One PC. @folder takes its logs, @name tells several runs apart."""

    def __init__(self, folder, vendor="amd", cpus=1, mem=256, disks=(),
                 name="run", cpu=None, extra=(), reboots=False, screen=False):
        self.folder, self.vendor, self.cpus, self.mem = \
            folder, vendor, cpus, mem
        self.disks, self.name, self.cpu = list(disks), name, cpu
        self.extra, self.reboots = list(extra), reboots
        self.screen = os.path.join(folder, f"{name}-screen") if screen else ""
        self.monitor = os.path.join(folder, f"{name}-monitor")
        self.pid = os.path.join(folder, f"{name}-pid")
        self.com1 = os.path.join(folder, f"{name}-shoji.log")
        self.com2 = os.path.join(folder, f"{name}-console.log")
        self.log = os.path.join(folder, f"{name}-emulator.log")

    def qemu_cpu(self):
        if self.cpu:
            return self.cpu
        return "EPYC,+svm,+npt" if ACCEL == "tcg" else "host"

    def board(self):
        return "q35" if any(d.bus == "ahci" for d in self.disks) else "pc"

    def qemu(self):
        cmd = ["qemu-system-x86_64", "-accel", ACCEL, "-cpu", self.qemu_cpu(),
               "-m", str(self.mem), "-smp", str(self.cpus),
               "-machine", f"{self.board()},smm=off",
               "-display", "none", "-vga", "std",
               "-nodefaults", "-serial", f"file:{self.com1}",
               "-serial", f"file:{self.com2}"]
        cmd += ["-monitor",
                monitor.listen(self.monitor) if self.screen else "none"]
        if not self.reboots:
            cmd += ["-no-reboot"]
        for disk in self.disks:
            cmd += disk.qemu()
        return cmd + self.extra

    def bochs(self):
        rc = os.path.join(self.folder, f"{self.name}-bochsrc")
        dbg = os.path.join(self.folder, f"{self.name}-bochsdbg")
        with open(rc, "w") as f:
            f.write(BOCHSRC.format(
                model=self.cpu or "corei7_haswell_4770", cpus=self.cpus,
                mem=self.mem, com1=self.com1, com2=self.com2, log=self.log,
                triple=int(self.reboots),
                disks="\n".join(d.bochs() for d in self.disks)))
        with open(dbg, "w") as f:
            f.write("c\n" * 16)        # each reset stops the debugger
        return ["bochs", "-q", "-f", rc, "-rc", dbg]

    def run(self, until=None, limit=900, steps=()):
        """Powers on and waits for the end; @until is a pattern that ends the
        run when it appears in either log. @steps: (pattern, function) pairs;
        each function is called once, in their order, when its pattern has
        appeared, and @until counts only after the last of them."""
        in_bochs = self.vendor == "intel" and ACCEL == "tcg"
        for name in (self.com1, self.com2):
            open(name, "w").close()
        with open(self.log + ".out", "w") as out:
            child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL"] +
                (self.bochs() if in_bochs else self.qemu()),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                cwd=self.folder, start_new_session=True)
            with open(self.pid, "w") as f:
                f.write(str(child.pid))
            ended, status, usage = self.wait(child, until, limit,
                                             list(steps))
        child.returncode = status
        return Result(self.text(self.com2), self.text(self.com1), ended,
                      status, usage.ru_utime + usage.ru_stime,
                      self.screen_text() if ended == "text" else "")

    def wait(self, child, until, limit, steps):
        start, ended = time.monotonic(), "off"
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                return ended, os.waitstatus_to_exitcode(status), usage
            if steps and self.seen(steps[0][0]):
                self.step(child, steps.pop(0)[1])
            elif ended == "off" and not steps and until and self.seen(until):
                ended = "text"
                if self.screen:
                    self.save_screen()
            over = time.monotonic() - start - limit
            if ended == "off" and over > 0 and over > waited(child.pid):
                ended = "time"
            if ended != "off":
                os.kill(child.pid, signal.SIGKILL)
            time.sleep(POLL)

    @staticmethod
    def step(child, function):
        """The machine does not outlive a step that fails."""
        try:
            function()
        except BaseException:
            os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            raise

    def save_screen(self):
        """The text screen's memory, through QEMU's monitor."""
        with monitor.connect(self.monitor) as s:
            s.sendall(f"pmemsave 0xb8000 4000 \"{self.screen}\"\n"
                      "info name\n".encode())
            seen = b""
            while seen.count(b"(qemu)") < 3:
                seen += s.recv(4096)

    def screen_text(self):
        if not self.screen:
            return ""
        with open(self.screen, "rb") as f:
            cells = f.read()[::2].decode("ascii", errors="replace")
        return "\n".join(cells[i:i + 80].rstrip()
                         for i in range(0, len(cells), 80))

    def seen(self, pattern):
        return any(re.search(pattern, self.text(n))
                   for n in (self.com1, self.com2))

    @staticmethod
    def text(name):
        with open(name, "rb") as f:
            return f.read().decode("ascii", errors="replace")
