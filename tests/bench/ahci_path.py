"""AHCI: exits for each command and CPU seconds against the bare machine, on
QEMU's q35; the same reads on IDE beside them."""

import os
import statistics

import exits
from case import ROOT_FIRST, Volume
from machine import Disk

ROOT_MIB, DATA_MIB = 40, 32
WAYS = ("bare", "ahci", "ide")
COMMANDS = 2048                 # 4 KiB reads of one measurement

FIO = ("fio --name=x --filename=/dev/sda3 --rw=randread --bs=4k --direct=1 "
       "--ioengine=libaio --iodepth={depth} --io_size=8m --size=32m --thread "
       "--randseed=1 --minimal >/dev/null")
SCRIPT = f"""
fio --version >/dev/null
{FIO.format(depth=1)}
sleep 1
echo "@@ mark read"
dd if=/dev/sda3 of=/dev/null bs=128k count=256 iflag=direct 2>/dev/null
echo "@@ mark write"
dd if=/dev/zero of=/dev/sda3 bs=128k count=256 oflag=direct 2>/dev/null
echo "@@ mark deep"
{FIO.format(depth=32)}
echo "@@ mark shallow"
{FIO.format(depth=1)}
echo "@@ mark end"
sleep 1
"""
# name: (from, to, commands, target as a multiple of bare)
PHASES = {
    "32 MiB read, 128 KiB blocks": ("read", "write", 256, 4),
    "32 MiB written, 128 KiB blocks": ("write", "deep", 256, 4),
    "8 MiB of 4 KiB reads, depth 32": ("deep", "shallow", COMMANDS, None),
    "8 MiB of 4 KiB reads, depth 1": ("shallow", "end", COMMANDS, None),
}


def make_disk(t, way):
    volume = Volume("root", ROOT_FIRST,
                    ROOT_FIRST + (ROOT_MIB + DATA_MIB) * 2048 - 1,
                    bus="ahci" if way == "ahci" else "ide")
    data = t.path("data")
    with open(data, "wb") as f:
        f.truncate(DATA_MIB << 20)
    disk = t.boot_disk(SCRIPT, [volume], bare=way == "bare", name=way,
                       root_mib=ROOT_MIB, parts=[data], tools=("fio",))
    os.unlink(data)
    return Disk(disk, bus="ide" if way == "ide" else "ahci")


def seconds(table, t, disks, rounds, cipher):
    took = {(w, p): [] for w in WAYS for p in PHASES}
    for n in range(rounds):
        for way in WAYS:
            machine, _ = t.watch(disks[way], f"{way}-{n}")
            for phase, (a, b, _, _) in PHASES.items():
                took[way, phase].append(machine.marks[b] - machine.marks[a])
    table.head(f"AHCI: CPU seconds, median of {rounds}",
               "bare        AHCI         IDE")
    for phase, (_, _, _, limit) in PHASES.items():
        bare, ahci, ide = (statistics.median(took[w, phase]) for w in WAYS)
        table.row(phase, f"{bare:.2f} {ahci:.2f} {ahci / bare:.2f}x "
                  f"{ide:.2f} {ide / bare:.2f}x",
                  f"<= {limit}x" if limit else "",
                  ahci / bare <= limit if limit else None)
        if limit:
            table.note("the bare machine and the cipher alone: "
                       f"{(bare + cipher) / bare:.2f}x")


def exit_counts(table, t, disks):
    table.head("AHCI: exits for each command", "AHCI         IDE")
    count = {}
    for way in WAYS[1:]:
        machine, _ = t.watch(disks[way], f"{way}-exits",
                             trace=t.path(f"{way}.trace"))
        for phase, (a, b, commands, _) in PHASES.items():
            seen = exits.read(machine.trace, machine.offset[a],
                              machine.offset[b])
            count[way, phase] = len(seen) / commands
    for phase in PHASES:
        ahci, ide = count["ahci", phase], count["ide", phase]
        table.row(phase, f"{ahci:.2f}       {ide:.2f}")


def measure(table, t, rounds, cipher):
    """@cipher: CPU seconds of the cipher alone, for as much as is read."""
    disks = {way: make_disk(t, way) for way in WAYS}
    exit_counts(table, t, disks)
    seconds(table, t, disks, rounds, cipher)
    for disk in disks.values():
        os.unlink(disk.path)
