"""Reading and writing: every path to the disk, across the borders of ranges,
with errors, and against dm-crypt."""

import os
import random

import image
from case import (ROOT, ROOT_LAST, Volume, case, differing, digest,
                  sums)
from machine import Disk

# Partition 3 of the boot disk is a volume of its own, behind it lies plain
# space; the second disk, the slave, has two volumes, one of which lies across
# the last sector that a 28-bit address reaches.
PART3 = 4 * 2048
MASTER = Volume("master", ROOT_LAST + 1, ROOT_LAST + PART3)
LOW = Volume("low", 2048, 2048 + 8191, unit=1)
LBA28 = 1 << 28
HIGH = Volume("high", LBA28 - 3000, LBA28 + 999, unit=1, bits=128)
VOLUMES = (ROOT, MASTER, LOW, HIGH)
MASTER_SECTORS = MASTER.last + 1 + 8192
SLAVE_SECTORS = LBA28 + 65536

# What the tests write to: across the end of MASTER, the start of LOW, and
# 2^28 and the end of HIGH.
AREAS = {
    "sda": (MASTER.last + 1 - 2048, 4096),
    "sdb": (LOW.first - 1024, 4096),
    "sdb-high": (LBA28 - 1024, 4096),
}
MARGIN = 1024                   # sectors around an area that are watched


def view(t, path, first, count, volumes):
    """What the guest has to see of the sectors of an image."""
    data = bytearray(image.read_sectors(path, first, count))
    for v in volumes:
        a, b = max(v.first, first), min(v.last + 1, first + count)
        if not t.bare and a < b:
            part = slice((a - first) * 512, (b - first) * 512)
            data[part] = image.xts(v.key, a, data[part], False)
    return bytes(data)


def device_of(name):
    return "/dev/" + name.split("-")[0]


def sum_line(when, name):
    first, count = AREAS[name]
    return f"sum {when}-{name} {device_of(name)} {first} {count}\n"


class Area:
    """One of AREAS: fills the images with noise there and around it."""

    def __init__(self, t, name, master, slave):
        self.t, self.name = t, name
        unit = 0 if name.startswith("sda") else 1
        self.path = slave if unit else master
        self.first, self.count = AREAS[name]
        self.volumes = [v for v in VOLUMES if v.unit == unit]
        noise = random.Random(name).randbytes((self.count + 2 * MARGIN) * 512)
        image.write_sectors(self.path, self.first - MARGIN, noise)
        self.raw = noise
        self.before = self.view()

    def view(self):
        return view(self.t, self.path, self.first, self.count, self.volumes)

    def check(self, result):
        """Both sums agree with the image; no protected sector is there in
        the clear; nothing outside has changed."""
        t, name, seen = self.t, self.name, sums(result)
        now = self.view()
        t.equal(f"{name} as found", seen.get(f"found-{name}"),
                digest(self.before))
        t.equal(f"{name} as left", seen.get(f"left-{name}"), digest(now))
        raw = image.read_sectors(self.path, self.first - MARGIN,
                                 self.count + 2 * MARGIN)
        edge, end = MARGIN * 512, len(raw) - MARGIN * 512
        t.true(f"{name}: sectors outside have changed",
               raw[:edge] == self.raw[:edge] and
               raw[end:] == self.raw[end:])
        t.true(f"{name}: nothing was written", now != self.before)
        hidden = sum(max(0, min(v.last + 1, self.first + self.count) -
                         max(v.first, self.first)) for v in self.volumes)
        t.equal(f"{name}: encrypted sectors",
                len(differing(raw[edge:end], now)), 0 if t.bare else hidden)


def disks(t, script, cmdline="", tools=("fio",), files=None, bus="ide"):
    """The boot disk with the script, and the slave."""
    part3, slave = t.path("part3"), t.path("slave.img")
    with open(part3, "wb") as f:
        f.truncate(PART3 * 512)
    master = t.boot_disk(script, [v.on(bus) for v in VOLUMES], tools=tools,
                         files=files, cmdline=cmdline, parts=[part3],
                         sectors=MASTER_SECTORS)
    os.unlink(part3)
    with open(slave, "wb") as f:
        f.truncate(SLAVE_SECTORS * 512)
    return master, slave


def attached(bus, master, slave, errors=None):
    """Both on one IDE channel, or each at a port of its own."""
    if bus == "ide":
        return [Disk(master), Disk(slave, 0, 1, errors)]
    return [Disk(master, 0, bus=bus), Disk(slave, 1, errors=errors, bus=bus)]


# 512 sectors at each end of an area are left alone, and watched.
FIO = """
check {name} fio --name=x --filename={device} --offset={offset} \\
	--size={size} --rw=randwrite --bsrange=512-{most} --blockalign=512 \\
	--direct=1 --ioengine=psync --thread --randseed=1 --minimal \\
	--verify=crc32c --do_verify=1 --verify_fatal=1 --allow_mounted_write=1
"""


def fio(t, cmdline, most):
    script = ""
    for name, (first, count) in AREAS.items():
        device = device_of(name)
        script += sum_line("found", name)
        script += FIO.format(name=name, device=device, most=most,
                             offset=(first + 512) * 512,
                             size=(count - 1024) * 512)
        script += sum_line("left", name)
    check_areas(t, script, cmdline)


def check_areas(t, script, cmdline="", bus="ide"):
    """Runs a guest that prints the sums of all AREAS before and after it has
    written to them."""
    master, slave = disks(t, script, cmdline, bus=bus)
    areas = [Area(t, name, master, slave) for name in AREAS]
    result = t.linux(attached(bus, master, slave))
    for area in areas:
        area.check(result)


@case(vendor=("amd", "intel"), weight=30)
def fio_dma(t):
    fio(t, "", "64k")


@case(vendor=("amd", "intel"), weight=30)
def fio_pio(t):
    fio(t, "libata.dma=0", "16k")


# ---- errors -------------------------------------------------------------

READ_ERROR, WRITE_ERROR = LOW.first + 100, LOW.first + 300
BLKDEBUG = f"""[inject-error]
event = "read_aio"
errno = "5"
sector = "{READ_ERROR}"
[inject-error]
event = "write_aio"
errno = "5"
sector = "{WRITE_ERROR}"
"""
SECRET = b"these words must never be on the disk".ljust(512, b".")

# get, put FIRST COUNT: sectors of the slave, in one request
ERRORS = """
get() { /bin/dd if=/dev/sdb of=/dev/null iflag=direct bs=$(($2 * 512)) count=1 \\
	iflag=direct,skip_bytes skip=$(($1 * 512)); }
put() { /bin/dd if=/secret of=/dev/sdb oflag=direct,seek_bytes bs=$(($2 * 512)) \\
	count=1 conv=notrunc seek=$(($1 * 512)); }
fails() { ! "$@"; }
""" + f"""
check read-before get {READ_ERROR - 8} 8
check read-bad fails get {READ_ERROR} 1
check read-across fails get {READ_ERROR - 8} 16
check read-after get {READ_ERROR + 1} 8
check write-before put {WRITE_ERROR - 16} 8
check write-bad fails put {WRITE_ERROR} 1
check write-across fails put {WRITE_ERROR - 8} 16
check write-after put {WRITE_ERROR + 8} 8
check read-again get {WRITE_ERROR - 16} 8
sum before /dev/sdb {LOW.first} 100
sum between /dev/sdb {READ_ERROR + 1} {WRITE_ERROR - 8 - READ_ERROR - 1}
sum after /dev/sdb {WRITE_ERROR + 8} 1000
"""


def errors(t, cmdline, bus="ide"):
    master, slave = disks(t, ERRORS, cmdline, (), {"secret": SECRET * 16}, bus)
    noise = random.Random("errors").randbytes(2000 * 512)
    image.write_sectors(slave, LOW.first, noise)
    before = view(t, slave, LOW.first, 2000, [LOW])
    config = t.path("blkdebug")
    with open(config, "w") as f:
        f.write(BLKDEBUG)
    result = t.linux(attached(bus, master, slave, config))
    want, seen = bytearray(before), sums(result)
    for first in (WRITE_ERROR - 16, WRITE_ERROR + 8):
        at = (first - LOW.first) * 512
        want[at:at + 8 * 512] = SECRET * 8
    now = view(t, slave, LOW.first, 2000, [LOW])
    # sectors of a write that failed may be old or new, nothing else
    for i in differing(now, bytes(want)):
        t.true(f"sector {i} of the volume is neither old nor new",
               WRITE_ERROR - 8 <= LOW.first + i < WRITE_ERROR + 8 and
               now[i * 512:i * 512 + 512] == SECRET)
    for name, first, last in (
            ("before", LOW.first, READ_ERROR),
            ("between", READ_ERROR + 1, WRITE_ERROR - 8),
            ("after", WRITE_ERROR + 8, WRITE_ERROR + 1008)):
        part = now[(first - LOW.first) * 512:(last - LOW.first) * 512]
        t.equal(f"sectors {name}", seen.get(name), digest(part))
    if not t.bare:
        raw = image.read_sectors(slave, LOW.first, 2000)
        t.true("plaintext on the disk", SECRET[:16] not in raw)


@case(weight=25)
def io_error_dma(t):
    errors(t, "")


@case(weight=25)
def io_error_pio(t):
    errors(t, "libata.dma=0")


# ---- dm-crypt -----------------------------------------------------------

# A guest without Shoji that knows the keys; the disk in question is sdb. A
# partition's sectors are numbered from its start: --skip makes it the disk's.
CRYPT = f"""
export DM_DISABLE_UDEV=1
mkdir -p /run/cryptsetup
crypt() {{ cryptsetup open --type plain --cipher aes-xts-plain64 \\
	--key-size 512 --key-file /key.$1 --skip $2 /dev/$3 $1; }}
check open-master crypt master {MASTER.first} sdb3
"""
MAKE = CRYPT + """
check mke2fs /bin/mke2fs -q -t ext2 /dev/mapper/master
check mount mount -t ext2 /dev/mapper/master /mnt
cp /bin/busybox /mnt/from-dm-crypt
umount /mnt
check close cryptsetup close master
"""
USE = f"""
check mount mount -t ext2 /dev/sda3 /mnt
check from-dm-crypt cmp /bin/busybox /mnt/from-dm-crypt
cp /etc/test /mnt/from-shoji
cp /etc/test /from-shoji
umount /mnt
"""
OPEN = CRYPT + """
check e2fsck-master /bin/e2fsck -fn /dev/mapper/master
check mount-master mount -t ext2 -o ro /dev/mapper/master /mnt
check from-shoji cmp /test /mnt/from-shoji
umount /mnt
"""
OPEN_ROOT = f"""
check open-root crypt root {ROOT.first} sdb2
check e2fsck-root /bin/e2fsck -fn /dev/mapper/root
check mount-root mount -t ext2 -o ro /dev/mapper/root /mnt
check root-from-shoji cmp /test /mnt/from-shoji
umount /mnt
"""


def crypt_guest(t, name, script):
    """A disk that starts a guest with cryptsetup, without Shoji."""
    files = {f"key.{v.name}": v.key for v in (ROOT, MASTER)}
    files["test"] = USE
    return t.boot_disk(script, bare=True, files=files, name=name, root_mib=32,
                       tools=("cryptsetup", "mke2fs", "e2fsck"))


def both_ways(t, bus):
    """dm-crypt makes a file system, a guest under Shoji uses it, dm-crypt
    finds both it and the guest's root in order."""
    master, slave = disks(t, USE, tools=(), bus=bus)
    plain = {"vendor": "amd", "cpus": 1}
    t.linux([crypt_guest(t, "make", MAKE), master], "make", **plain)
    if not t.bare:
        t.linux(attached(bus, master, slave), "use")
        t.linux([crypt_guest(t, "open", OPEN + OPEN_ROOT), master], "open",
                **plain)


@case(vendor=("amd", "intel"), weight=30)
def cryptsetup(t):
    both_ways(t, "ide")


# ---- as many disks as there are places -----------------------------------

EVERY = """
for d in {letters}; do
	dd if=/bin/busybox of=/dev/sd$d bs=64k seek=1 conv=fsync 2>/dev/null
done
"""
WRITTEN = 128                   # where that begins, as a sector


def every_place(t, bus, count):
    """A volume on each of @count disks."""
    volumes = [Volume(f"disk{i}", WRITTEN, 8191, i // 2, i % 2).on(bus)
               for i in range(1, count)]
    letters = "abcdef"[1:count]
    paths = [t.boot_disk(EVERY.format(letters=" ".join(letters)),
                         [ROOT.on(bus)] + volumes)]
    for v in volumes:
        paths.append(t.path(v.name + ".img"))
        with open(paths[-1], "wb") as f:
            f.truncate(8192 * 512)
    t.linux([Disk(path, i, bus=bus) if bus == "ahci" else
             Disk(path, i // 2, i % 2) for i, path in enumerate(paths)])
    with open("/bin/busybox", "rb") as f:
        want = f.read()
    for v, path in zip(volumes, paths[1:]):
        raw = image.read_sectors(path, WRITTEN, 8192 - WRITTEN)
        plain = raw if t.bare else v.plain(path)
        t.equal(f"{v.name} as written", digest(plain[:len(want)]),
                digest(want))
        t.true(f"{v.name} in the clear", t.bare or want[:512] not in raw)


@case(vendor=("amd", "intel"), weight=20)
def ide_every_place(t):
    every_place(t, "ide", 4)
