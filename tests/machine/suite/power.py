"""How an OS ends, sleeps, and takes CPUs away: each reset is a real one, that
starts Shoji anew; sleep is refused; CPUs go and come back."""

import re

import image
from case import ROOT, case, digest

# ---- resets --------------------------------------------------------------

PATTERN = b"This must never be on the disk as it stands.....".ljust(64, b"+")
BIG = 1 << 20                   # bytes

# In turn, each while the disk is being written to. The names are those of the
# kernel's reboot=; "sysrq" is sysrq-b, with the kernel's own choice.
RESETS = """
n=$(cat /count 2>/dev/null || echo 0)
set -- {ways} none
shift $n
echo "@@ boot $n, then $1"
echo $((n + 1)) > /count
sync
written() {{ awk '{{ print $5 }}' /sys/block/sda/stat; }}
before=$(written)
[ $1 = none ] || while :; do
	dd if=/pattern of=/big bs=64k conv=notrunc oflag=direct 2>/dev/null
done &
[ $1 = none ] || until [ $(written) -ge $((before + 20)) ]; do sleep 0.1; done
case $1 in
none)	;;
sysrq)	echo b > /proc/sysrq-trigger ;;
*)	echo $1 > /sys/kernel/reboot/type
	check type grep -q $1 /sys/kernel/reboot/type
	reboot -f ;;
esac
[ $1 = none ] || while :; do sleep 1; done
"""


def split_log(text):
    """What was logged from each start on."""
    return re.split(r"(?=shoji: Shoji \S+, )", text)


def check_resets(t, disk, result, ways):
    boots = len(ways) + 1
    for n, way in enumerate(ways + ("none",)):
        t.equal(f"starts of boot {n}", result.console.count(
            f"@@ boot {n}, then {way}"), 1)
    if t.bare:
        return
    # Bochs' serial ports are not reset: GRUB finds none there then
    for name in ("first", "second") if t.vendor == "amd" else ():
        t.equal(f"{name} passes of GRUB",
                result.console.count(f"GRUB: {name} pass"), boots)
    before, *logs = split_log(result.shoji)
    t.equal("before the first banner", before.strip(), "")
    t.equal("banners", len(logs), boots)
    starts = {log[:log.index("QEMU HARDDISK" if t.vendor == "amd" else
                             "Generic 1234")] for log in logs}
    t.equal("different starts of Shoji", len(starts), 1)
    check_pattern(t, disk)


def check_pattern(t, disk):
    cipher = image.read_sectors(disk, ROOT.first, ROOT.last - ROOT.first + 1)
    for i in range(0, 64, 16):
        t.true("plaintext in the encrypted range",
               PATTERN[i:i + 16] not in cipher)
    fs = t.path("root.fs")
    with open(fs, "wb") as f:
        f.write(ROOT.plain(disk))
    t.equal("/big", digest(image.fs_file(fs, "/big")),
            digest(PATTERN * (BIG // 64)))


def resets(t, ways):
    files = {"pattern": PATTERN * (BIG // 64), "big": PATTERN * (BIG // 64)}
    disk = t.boot_disk(RESETS.format(ways=" ".join(ways)), files=files)
    result = t.linux([disk], reboots=True, mem=128)
    check_resets(t, disk, result, ways)


@case(cpus=(1, 2), weight=70, name="resets")
def resets_amd(t):
    resets(t, ("sysrq", "kbd", "triple", "acpi", "pci", "bios"))


@case(vendor=("intel",), weight=40, name="resets")
def resets_intel(t):
    resets(t, ("triple", "pci"))


# ---- sleep ---------------------------------------------------------------

SLEEP = """
before=$(md5sum < /bin/busybox)
check has-sleep grep -q mem /sys/power/state
for i in 1 2; do
	check sleep sh -c 'echo mem > /sys/power/state'
	check cpus [ $(nproc) = {cpus} ]
	echo 3 > /proc/sys/vm/drop_caches
	check read [ "$(md5sum < /bin/busybox)" = "$before" ]
	check write dd if=/bin/busybox of=/copy bs=64k conv=fsync
	check written cmp /bin/busybox /copy
done
"""


@case(vendor=("amd", "intel"), cpus={"amd": (1, 2), "intel": (1,)}, weight=20)
def sleep(t):
    """ACPI's S3: the guest is back at once."""
    if t.bare:
        return                  # would sleep
    result = t.linux([t.boot_disk(SLEEP.format(cpus=t.cpus))], mem=128)
    t.true("not a line in Shoji's log", re.search(
        r"sleep type \d refused: no resume", result.shoji))
    t.equal("switched off", result.shoji.count("the guest switches off"), 1)
    t.equal("banners", len(split_log(result.shoji)), 2)


# ---- CPUs ----------------------------------------------------------------

HOTPLUG = """
online=/sys/devices/system/cpu/cpu1/online
for i in 1 2 3 4; do
	check off-$i sh -c "echo 0 > $online"
	check one-$i [ $(nproc) = 1 ]
	check on-$i sh -c "echo 1 > $online"
	check two-$i [ $(nproc) = 2 ]
	check works-$i taskset 2 cmp /bin/busybox /copy
	echo 3 > /proc/sys/vm/drop_caches
done
check processors [ $(grep -c ^processor /proc/cpuinfo) = 2 ]
"""


# Not in Bochs: there an INIT that makes a guest exit stays pending for ever.
@case(cpus=(2,), weight=20)
def hotplug(t):
    """Linux takes a CPU away and starts it again, several times."""
    with open("/bin/busybox", "rb") as f:
        disk = t.boot_disk(HOTPLUG, files={"copy": f.read()})
    t.linux([disk], mem=128)
