"""CD drives: an encrypted disc beside a plain one, in DMA and PIO; commands
that are refused, with their sense data; bad sectors; another disc."""

import os
import random
import subprocess

import monitor
from case import BUILD, HERE, ROOT, TOP, Fail, Volume, case, digest, sums
from machine import Disk
from suite import ahci

DISC = Volume("disc", 0, "end", channel=1)
VOLUMES = (ROOT, DISC)
# The same discs and keys at AHCI ports.
AHCI_VOLUMES = (ahci.ROOT, Volume("disc", 0, "end", channel=1, bus="ahci"))


# ---- discs --------------------------------------------------------------

def make_tree(folder, seed):
    """Files of many sizes; returns their MD5 sums as md5sum -c takes them."""
    rng, lines = random.Random(seed), []
    for i in range(40):
        name = f"folder{i % 5}/file{i}"
        size = rng.choice((0, 1, 2047, 2048, 2049, rng.randrange(200000)))
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = rng.randbytes(size)
        with open(path, "wb") as f:
            f.write(data)
        lines.append(f"{digest(data)}  {name}\n")
    return "".join(lines)


class Disc:
    """An ISO 9660 image, as it is and as it lies on an encrypted disc."""

    def __init__(self, t, name):
        tree = t.path(name + ".tree")
        self.sums = make_tree(tree, name)
        self.plain, self.crypted = t.path(name + ".iso"), t.path(name + ".img")
        subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-V",
                        name, "-o", self.plain, tree], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-r", tree], check=True)
        with open(self.plain, "rb") as f:
            self.data = f.read()
        self.sectors = len(self.data) // 512
        if t.bare:
            self.crypted = self.plain
            return
        config = t.path("disc.toml")
        with open(config, "w") as f:
            f.write(DISC.toml())
        subprocess.run([os.path.join(TOP, "tools", "volume"), "encrypt",
                        self.plain, "-o", self.crypted, "--config", config,
                        "--volume", DISC.name], check=True,
                       env=dict(os.environ, B=BUILD),
                       stderr=subprocess.DEVNULL)

    def sector(self, lba, count=1):
        """Of 2,048 bytes."""
        return self.data[lba * 2048:(lba + count) * 2048]


def packet_program(t):
    program = t.path("packet")
    subprocess.run(["gcc", "-O1", "-static", "-o", program,
                    os.path.join(HERE, "packet.c")], check=True)
    with open(program, "rb") as f:
        return f.read()


# ---- all of a disc, and commands ----------------------------------------

FILES = """
check mount-{name} mount -t iso9660 -o ro /dev/{device} /mnt
check files-{name} sh -c 'cd /mnt && md5sum -c /sums'
check count-{name} sh -c '[ $(find /mnt -type f | wc -l) = 40 ]'
check umount-{name} umount /mnt
sum {name} /dev/{device} 0 {sectors}
"""
# Commands that pass: both drives give the same answer.
SAME = """
same() {
	a=$(packet /dev/sr0 $2 $3 "$4")
	b=$(packet /dev/sr1 $2 $3 "$4")
	[ "$a" = "$b" ] && echo "@@ ok $1" || echo "@@ FAIL $1: $a, $b"
}
same test-unit-ready none 0 "00 00 00 00 00 00"
same inquiry in 24 "12 00 00 00 18 00"
same mode-sense in 30 "5a 00 2a 00 00 00 00 00 1e 00"
same read-capacity in 8 "25 00 00 00 00 00 00 00 00 00"
same read-toc in 20 "43 00 00 00 00 00 00 00 14 00"
same read-toc-session in 12 "43 00 01 00 00 00 00 00 0c 00"
same read-sub-channel in 4 "42 02 00 01 00 00 00 00 04 00"
same mechanism-status in 8 "bd 00 00 00 00 00 00 00 00 08 00 00"
same prevent none 0 "1e 00 00 00 01 00"
same allow none 0 "1e 00 00 00 00 00"
same seek none 0 "2b 00 00 00 00 20 00 00 00 00"
same start none 0 "1b 00 00 00 01 00"
"""
READS = {
    "read-10": "28 00 00 00 00 10 00 00 04 00",
    "read-12": "a8 00 00 00 00 10 00 00 00 04 00 00",
    "read-cd": "be 08 00 00 00 10 00 00 04 10 00 00",
}
READ = """
packet /dev/sr0 in 8192 "{cdb}"
echo "@@ sum {name} $(md5sum < /tmp/data | cut -d' ' -f1)"
"""
# What the program prints for commands that do not reach the drive.
BAD_CODE, BAD_FIELD, BAD_MODE, BAD_LBA = (
    f"status 02 sense 5/{asc}/00" for asc in ("20", "24", "64", "21"))
REFUSED = {
    "raw": ("in", 2352, "be 00 00 00 00 10 00 00 01 f8 00 00", BAD_FIELD),
    "any-type": ("in", 2048, "be 00 00 00 00 10 00 00 01 10 00 00", BAD_MODE),
    "audio": ("in", 2352, "be 04 00 00 00 10 00 00 01 10 00 00", BAD_MODE),
    "sub-channel": ("in", 2064, "be 08 00 00 00 10 00 00 01 10 02 00",
                    BAD_FIELD),
    "msf": ("in", 2048, "b9 08 00 00 02 10 00 02 11 10 00 00", BAD_CODE),
    "vendor": ("in", 2352, "d8 00 00 00 00 10 00 00 00 01 00 00", BAD_CODE),
    "vendor-none": ("none", 0, "f1 00 00 00 00 00 00 00 00 00 00 00",
                    BAD_CODE),
    "read-buffer": ("in", 2048, "3c 01 00 00 00 00 00 08 00 00", BAD_CODE),
    "write-buffer": ("out", 512, "3b 05 00 00 00 00 00 02 00 00", BAD_CODE),
    "lead-in": ("out", 2048, "2a 00 ff ff ff 6a 00 00 01 00", BAD_LBA),
    "blank": ("none", 0, "a1 00 00 00 00 00 00 00 00 00 00 00", BAD_CODE),
}
TELL = 'echo "@@ packet {name} $(packet /dev/sr0 {way} {bytes} "{cdb}")"\n'


def script(disc):
    text = FILES.format(name="crypted", device="sr0", sectors=disc.sectors)
    text += FILES.format(name="plain", device="sr1", sectors=disc.sectors)
    text += SAME
    for name, cdb in READS.items():
        text += READ.format(name=name, cdb=cdb)
    for name, (way, size, cdb, _) in REFUSED.items():
        text += TELL.format(name=name, way=way, bytes=size, cdb=cdb)
        if name == "raw":
            text += TELL.format(name="then", way="none", bytes=0, cdb="00" * 6)
    return text


def check_refused(t, result):
    for name, (_, _, _, want) in REFUSED.items():
        if f"@@ packet {name} {want}" not in result.console:
            raise Fail(f"{name}: the guest did not see {want}")
    t.true("the drive is as before",
           "@@ packet then status 00 sense 0/00/00" in result.console)


def drives(boot, disc, volumes):
    """The boot disk, a drive with a volume, and one without."""
    disks = [Disk(boot), Disk(disc.crypted, 1, 0, cdrom=True),
             Disk(disc.plain, 1, 1, cdrom=True)]
    if volumes is AHCI_VOLUMES:
        disks = [Disk(d.path, i, cdrom=d.cdrom, bus="ahci")
                 for i, d in enumerate(disks)]
    return disks


def atapi(t, cmdline, volumes=VOLUMES):
    disc = Disc(t, "disc")
    files = {"bin/packet": packet_program(t), "sums": disc.sums}
    boot = t.boot_disk(script(disc), volumes, files=files, cmdline=cmdline)
    result = t.linux(drives(boot, disc, volumes))
    seen = sums(result)
    for name in ("crypted", "plain"):
        t.equal(name, seen.get(name), digest(disc.data))
    for name in READS:
        t.equal(name, seen.get(name), digest(disc.sector(16, 4)))
    if not t.bare:
        check_refused(t, result)


@case(name="atapi-dma", vendor=("amd", "intel"), weight=25)
def atapi_dma(t):
    atapi(t, "")


@case(name="atapi-pio", vendor=("amd", "intel"), weight=25)
def atapi_pio(t):
    atapi(t, "libata.dma=0")


@case(name="atapi-ahci", weight=25)
def atapi_ahci(t):
    atapi(t, "", AHCI_VOLUMES)


@case(name="atapi-ahci-pio", weight=25)
def atapi_ahci_pio(t):
    atapi(t, "libata.dma=0", AHCI_VOLUMES)


# ---- bad sectors --------------------------------------------------------

BAD = 100                       # of 2,048 bytes
BLKDEBUG = f"""[inject-error]
event = "read_aio"
errno = "5"
sector = "{BAD * 4}"
"""
ERRORS = f"""
fails() {{ ! "$@"; }}
get() {{ /bin/dd if=/dev/sr0 of=/dev/null iflag=direct bs=2048 skip=$1 \\
	count=$2; }}
for n in 1 2 3; do
	check bad-$n fails get {BAD} 1
	check across-$n fails get {BAD - 4} 8
done
sum before /dev/sr0 0 {BAD * 4}
sum after /dev/sr0 {BAD * 4 + 4} 1000
"""


def errors(t, cmdline, volumes=VOLUMES):
    disc, bus = Disc(t, "disc"), volumes[1].bus
    config = t.path("blkdebug")
    with open(config, "w") as f:
        f.write(BLKDEBUG)
    boot = t.boot_disk(ERRORS, volumes, cmdline=cmdline)
    result = t.linux([Disk(boot, bus=bus),
                      Disk(disc.crypted, 1, 0, config, True, bus)])
    seen = sums(result)
    t.equal("before", seen.get("before"), digest(disc.sector(0, BAD)))
    t.equal("after", seen.get("after"), digest(disc.sector(BAD + 1, 250)))


@case(weight=20)
def atapi_error_dma(t):
    errors(t, "")


@case(weight=20)
def atapi_error_pio(t):
    errors(t, "libata.dma=0")


@case(weight=20)
def atapi_error_ahci(t):
    errors(t, "", AHCI_VOLUMES)


# ---- another disc -------------------------------------------------------

FIRST = """
check mount-first-{0} mount -t iso9660 -o ro /dev/{0} /mnt
check files-first-{0} sh -c 'cd /mnt && md5sum -c /sums.first'
umount /mnt
"""
SECOND = """
until [ "$(dd if=/dev/{0} bs=2048 skip=16 count=1 2>/dev/null |
	strings | grep -c second)" -gt 0 ]; do sleep 1; done
check mount-second-{0} mount -t iso9660 -o ro /dev/{0} /mnt
check files-second-{0} sh -c 'cd /mnt && md5sum -c /sums.second'
umount /mnt
"""


def change(t, volumes, names):
    """The host changes both drives' discs, by the @names of their drives."""
    first, second = Disc(t, "first"), Disc(t, "second")
    files = {"sums.first": first.sums, "sums.second": second.sums}
    qmp = t.path("qmp")

    def change_discs():
        with monitor.Monitor(qmp) as m:
            for name, path in zip(names, (second.crypted, second.plain)):
                m.do("blockdev-change-medium", device=name, filename=path,
                     format="raw", force=True)

    text = FIRST.format("sr0") + FIRST.format("sr1")
    text += 'echo "@@ change"\n' + SECOND.format("sr0") + SECOND.format("sr1")
    t.linux(drives(t.boot_disk(text, volumes, files=files), first, volumes),
            steps=[("@@ change", change_discs)], extra=monitor.options(qmp))


@case(weight=20)
def atapi_change(t):
    change(t, VOLUMES, ("ide1-cd0", "ide1-cd1"))


@case(weight=20)
def atapi_change_ahci(t):
    change(t, AHCI_VOLUMES, ("port1", "port2"))
