"""Linux boots, powers off and reboots, with its root in an encrypted range."""

import image
from case import ROOT, case, digest, sums

CPUS = {"amd": (1, 2, 4), "intel": (1, 2)}
TEXT = b"written under Shoji\n"

BOOT = """
check cpus [ $(nproc) = {cpus} ]
check root grep -q '^/dev/root / ext[24] rw' /proc/mounts
echo written under Shoji > /written
dd if=/bin/busybox of=/copy bs=64k 2>/dev/null
sync
mount -o remount,ro /
sum root /dev/sda2 0 {count}
"""


def check_root(t, result, disk):
    """The root in the image is what the guest saw, byte for byte, and a clean
    file system; nothing around it has changed."""
    count = ROOT.last - ROOT.first + 1
    plain = image.read_sectors(disk, ROOT.first, count)
    if not t.bare:
        cipher, plain = plain, ROOT.plain(disk)
        t.true("plaintext in the encrypted range", TEXT not in cipher)
    t.equal("the root's contents", digest(plain), sums(result).get("root"))
    fs = t.path("root.fs")
    with open(fs, "wb") as f:
        f.write(plain)
    t.equal("e2fsck", image.check_fs(fs), None)
    t.equal("/written", image.fs_file(fs, "/written"), TEXT)
    with open("/bin/busybox", "rb") as f:
        t.equal("/copy", digest(image.fs_file(fs, "/copy")), digest(f.read()))


def boot_sectors(disk):
    return digest(image.read_sectors(disk, 0, ROOT.first))


@case(vendor=("amd", "intel"), cpus=CPUS, weight=15)
def boot(t):
    script = BOOT.format(cpus=t.cpus, count=ROOT.last - ROOT.first + 1)
    disk = t.boot_disk(script)
    before = boot_sectors(disk)
    check_root(t, t.linux([disk]), disk)
    t.equal("sectors before the root", boot_sectors(disk), before)


@case(cpus=(64,), weight=25)
def start(t):
    """As many CPUs as Shoji takes; all are under it when the guest begins. The
    rest of such a boot takes minutes here."""
    result = t.run([t.boot_disk("")], mem=4096, expect="text",
                   until="Linux version|shoji: (Stopped|panic)")
    t.true("Linux begins", "Linux version" in result.console)


REBOOT = """
n=$(cat /count 2>/dev/null || echo 0)
echo "@@ boot $n"
check cpus [ $(nproc) = {cpus} ]
echo $((n + 1)) > /count
[ $n -lt 2 ] && again
"""


@case(vendor=("amd", "intel"), cpus={"amd": (1, 2), "intel": (1,)}, weight=30)
def reboot(t):
    """Twice by the guest's command, then off."""
    disk = t.boot_disk(REBOOT.format(cpus=t.cpus))
    result = t.linux([disk], reboots=True)
    for n in range(3):
        t.equal(f"starts with /count {n}",
                result.console.count(f"@@ boot {n}"), 1)


DEBIAN = """
check debian grep -q Debian /proc/version
""" + BOOT.replace("/dev/root / ext[24]", "/dev/sda2 / ext4")


@case(vendor=("amd", "intel"), weight=60)
def debian(t):
    """Debian's own kernel, unmodified."""
    script = DEBIAN.format(cpus=t.cpus, count=ROOT.last - ROOT.first + 1)
    disk = t.boot_disk(script, kernel="debian")
    check_root(t, t.linux([disk], mem=512), disk)
