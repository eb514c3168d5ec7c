"""How many instructions lie between two points of a machine's start.

QEMU runs with -icount shift=0: an instruction takes one nanosecond of the
machine's time. GRUB's `outb` to QEMU's panic device stops the machine just
before its `boot`, the gdb stub stops it at given instructions. While it
stands, its time is read off its ACPI timer (3,579,545 Hz, 24 bits, so to 280
instructions) with the monitor's `i` command. Time passes for some
microseconds at each stop, until QEMU notices that no CPU runs; and where the
CPU waits in HLT.
"""

import re
import threading

from monitor import Gdb, Monitor, options

PM_TIMER = 0x608                # where SeaBIOS puts it
PM_HZ = 3579545
PANIC = 0x505
MARK = f"outb {PANIC:#x} 1"     # for GRUB
BOOT_SECTOR = 0x7c00
INT15_SEGMENT = 0x15 * 4 + 2


def now(monitor):
    out = monitor.human(f"i /w {PM_TIMER:#x}")
    return int(re.search(r"= *0x([0-9a-f]+)", out)[1], 16) & 0xffffff


def read_half(gdb, address):
    return int.from_bytes(bytes.fromhex(gdb.do(f"m{address:x},2")), "little")


def walk(gdb, monitor, places, found):
    """From the machine's reset through all of @places, (name, address)."""
    gdb.run_to(BOOT_SECTOR)
    gdb.resume("vCont;c")       # until the panic
    last, total = now(monitor), 0
    for name, address in places:
        gdb.run_to(address)
        ticks = now(monitor)
        total += (ticks - last) % (1 << 24)
        last = ticks
        found[name] = round(total * 10 ** 9 / PM_HZ)
    found["stub"] = read_half(gdb, INT15_SEGMENT) << 4


def guide(folder, places, found):
    gdb = Gdb(f"{folder}/gdb")
    with Monitor(f"{folder}/qmp") as monitor:
        try:
            walk(gdb, monitor, places, found)
        finally:
            monitor.do("quit")


def measure(run, folder, entry):
    """@run: runs the machine in @folder, with the further arguments it is
    given, to its end. @entry: Shoji's first instruction. Returns the number
    of instructions from GRUB's boot to "entry", to the guest's first one,
    "guest", and to its boot sector, "mbr"."""
    extra = ["-S", "-icount", "shift=0", "-action", "panic=pause",
             "-device", f"pvpanic,ioport={PANIC}"] + \
        options(f"{folder}/qmp", f"{folder}/gdb")
    places, found = [("entry", entry), ("mbr", BOOT_SECTOR)], {}
    for _ in range(2):
        thread = threading.Thread(target=guide, daemon=True,
                                  args=(folder, places, found))
        thread.start()
        run(extra)
        thread.join(60)
        # now it is known where the guest starts: the next time, stop there
        places = [places[0], ("guest", found["stub"]), places[-1]]
    return found
