"""AHCI on QEMU's q35: what IDE's cases show, with NCQ and without."""

import random
import re
import signal

import image
import monitor
from case import ROOT as IDE_ROOT
from case import Fail, Volume, case, digest, sums
from machine import Disk
from suite import boot, disk, hostile

# The same ranges as on IDE, with the same keys; a port for each unit.
ROOT, LOW = IDE_ROOT.on("ahci"), disk.LOW.on("ahci")


def ports(*paths):
    """The images at ports 0, 1, ..."""
    return [Disk(p, i, bus="ahci") for i, p in enumerate(paths)]


BOOT = """
check driver test -e /sys/bus/pci/drivers/ahci/0000:00:1f.2
check depth grep -q '^32$' /sys/block/sda/device/queue_depth
""" + boot.BOOT


@case(cpus=(1, 2), weight=20)
def ahci_boot(t):
    """SeaBIOS, GRUB and Linux from an encrypted root."""
    script = BOOT.format(cpus=t.cpus, count=ROOT.last - ROOT.first + 1)
    path = t.boot_disk(script, [ROOT])
    before = boot.boot_sectors(path)
    boot.check_root(t, t.linux(ports(path)), path)
    t.equal("sectors before the root", boot.boot_sectors(path), before)


# All areas at once: two ports, on as many CPUs as there are.
FIO = """
check fio fio --direct=1 --ioengine=libaio --iodepth=32 --thread --rw=randwrite \\
	--bsrange=512-{most} --blockalign=512 --randseed=1 --minimal \\
	--verify=crc32c --do_verify=1 --verify_fatal=1 --allow_mounted_write=1 \\
	{jobs}
"""


def fio(t, depth, most, cmdline=""):
    jobs = " ".join(
        f"--name={name} --filename={disk.device_of(name)} "
        f"--offset={(first + 512) * 512} --size={(count - 1024) * 512}"
        for name, (first, count) in disk.AREAS.items())
    script = "".join(disk.sum_line("found", name) for name in disk.AREAS)
    script += (f"check depth grep -q '^{depth}$' "
               "/sys/block/sdb/device/queue_depth\n")
    script += FIO.format(most=most, jobs=jobs)
    script += "".join(disk.sum_line("left", name) for name in disk.AREAS)
    disk.check_areas(t, script, cmdline, "ahci")


@case(cpus=(2,), weight=40)
def ahci_ncq(t):
    fio(t, 32, "256k")


@case(cpus=(2,), weight=40)
def ahci_no_ncq(t):
    fio(t, 1, "64k", "libata.force=noncq")


@case(weight=25)
def ahci_error(t):
    disk.errors(t, "", "ahci")


@case(weight=25)
def ahci_error_no_ncq(t):
    disk.errors(t, "libata.force=noncq", "ahci")


@case(weight=30)
def ahci_cryptsetup(t):
    disk.both_ways(t, "ahci")


@case(cpus=(2,), weight=20)
def ahci_every_place(t):
    disk.every_place(t, "ahci", 6)


# ---- what else a guest does with a port ----------------------------------

WORDS = b"these words must never be on the disk".ljust(512, b".")
TRIMMED = (LOW.first + 512, 256)
SYNCED = (LOW.first + 128, 16)
# sdc has no volume
LIFE = f"""
sum first /dev/sdb {LOW.first} 128
put() {{ /bin/dd if=/words of=/dev/$1 bs=4k count=2 seek=$(($2 * 512)) conv=notrunc \\
	oflag=direct,dsync,seek_bytes; }}
check put put sdb {SYNCED[0]}
check plain put sdc 64
sum plain /dev/sdc 0 512
check trim blkdiscard -o {TRIMMED[0] * 512} -l {TRIMMED[1] * 512} /dev/sdb
for policy in min_power medium_power max_performance; do
	check $policy sh -c "echo $policy > \\
		/sys/class/scsi_host/host1/link_power_management_policy"
	sum $policy /dev/sdb {LOW.first} 128
done
check delete sh -c 'echo 1 > /sys/class/scsi_disk/1:0:0:0/device/delete'
check gone sh -c '! test -e /sys/class/scsi_disk/1:0:0:0'
check rescan sh -c 'echo "- - -" > /sys/class/scsi_host/host1/scan'
# the scan goes on in the kernel after the write
check back sh -c 'until head -c 1 /dev/sdb 2>/dev/null; do sleep 0.1; done'
sum rescanned /dev/sdb {LOW.first} 128
"""


@case(weight=25)
def ahci_life(t):
    """Flushes, TRIM, ALPM, a device that is removed and found again, and one
    beside it that has no volume."""
    master, slave = disk.disks(t, LIFE, "", ("blkdiscard",),
                               {"words": WORDS * 16}, "ahci")
    other = t.path("other.img")
    with open(other, "wb") as f:
        f.truncate(1 << 20)
    noise = random.Random("life").randbytes(2048 * 512)
    image.write_sectors(slave, LOW.first, noise)
    was = disk.view(t, slave, LOW.first, 2048, [LOW])
    result = t.linux(ports(master, slave, other))
    seen = sums(result)
    for name in ("first", "min_power", "medium_power", "max_performance",
                 "rescanned"):
        t.equal(name, seen.get(name), digest(was[:128 * 512]))
    now = disk.view(t, slave, LOW.first, 2048, [LOW])
    first = SYNCED[0] - LOW.first
    t.equal("written and flushed", now[first * 512:(first + 16) * 512],
            WORDS * 16)
    t.true("the trimmed sectors are not empty",
           not any(image.read_sectors(slave, *TRIMMED)))
    after = TRIMMED[0] - LOW.first + TRIMMED[1]
    t.true("changed behind the trimmed sectors",
           now[after * 512:] == was[after * 512:])
    t.equal("without a volume", image.read_sectors(other, 64, 16), WORDS * 16)
    t.equal("seen", seen.get("plain"),
            digest(image.read_sectors(other, 0, 512)))
    raw = image.read_sectors(slave, LOW.first, 2048)
    t.true("plaintext on the disk", t.bare or WORDS[:16] not in raw)


PULLED = f"""
sum first /dev/sdb {LOW.first} 128
echo "@@ pull"
get() {{ /bin/dd if=/dev/sdb of=/dev/null bs=4k count=1 iflag=direct; }}
put() {{ /bin/dd if=/words of=/dev/sdb bs=4k count=2 oflag=direct,seek_bytes \
	conv=notrunc seek=$(({LOW.first} * 512)); }}
while get 2>/dev/null; do sleep 0.1; done
no_write() {{ ! put; }}
check no-write no_write
check delete sh -c 'echo 1 > /sys/class/scsi_disk/1:0:0:0/device/delete'
check rescan sh -c 'echo "- - -" > /sys/class/scsi_host/host1/scan'
check root sh -c 'cat /bin/* > /dev/null'
"""


@case(weight=15)
def ahci_pulled(t):
    """A disk that fails from one moment to the next. QEMU has nothing nearer to
    a hot unplug: to device_add and device_del it says that the port's bus
    "does not support hotplugging"."""
    master, slave = disk.disks(t, PULLED, "", (), {"words": WORDS * 16},
                               "ahci")
    noise = random.Random("pulled").randbytes(128 * 512)
    image.write_sectors(slave, LOW.first, noise)
    was, qmp = disk.view(t, slave, LOW.first, 128, [LOW]), t.path("qmp")

    def pull():
        with monitor.Monitor(qmp) as m:
            m.human("drive_del port1")

    result = t.linux(ports(master, slave), steps=[("@@ pull", pull)],
                     extra=monitor.options(qmp))
    t.equal("first", sums(result).get("first"), digest(was))
    t.true("the disk has changed", image.read_sectors(
        slave, LOW.first, 128) == noise)


RESET = f"""
echo "@@ end"
head -c 4194304 /dev/zero | tr '\\0' S > /tmp/s
# by number: names of places are not the kernel's
number() {{ echo $((0x$(stat -c $2 /dev/$1))); }}
written() {{ awk '{{ print $5 }}' \
	/sys/dev/block/$(number $1 %t):$(number $1 %T)/stat; }}
while :; do /bin/dd if=/tmp/s of=/dev/sdb bs=1M count=4 oflag=direct,seek_bytes \\
	seek=$(({LOW.first} * 512)) conv=notrunc; done 2>/dev/null &
while :; do /bin/dd if=/tmp/s of=/dev/sda3 bs=64k count=32 oflag=direct \\
	conv=notrunc; done 2>/dev/null &
until [ $(written sdb) -ge 8 ] && [ $(written sda3) -ge 8 ]; do sleep 0.1; done
echo "@@ reset"
echo b > /proc/sysrq-trigger
sleep 60
"""


@case(weight=25)
def ahci_reset(t):
    """A reset in mid-write: each sector is old or new."""
    master, slave = disk.disks(t, RESET, "", (), {}, "ahci")
    noise = random.Random("reset").randbytes(8192 * 512)
    image.write_sectors(slave, LOW.first, noise)
    was = disk.view(t, slave, LOW.first, 8192, [LOW])
    result = t.linux(ports(master, slave))
    t.true("no reset", "@@ reset" in result.console)
    now = disk.view(t, slave, LOW.first, 8192, [LOW])
    new = [i for i in range(8192)
           if now[i * 512:(i + 1) * 512] == b"S" * 512]
    t.true("nothing was written", new)
    for i in set(disk.differing(now, was)) - set(new):
        raise Fail(f"sector {i} is neither old nor new")
    raw = image.read_sectors(slave, LOW.first, 8192)
    raw += image.read_sectors(master, disk.MASTER.first, disk.PART3)
    t.true("plaintext on the disk", t.bare or b"S" * 64 not in raw)


# ---- a port with a volume, and one without -------------------------------

CANARY = b"shoji canary 41!"


class BySerial(Volume):
    """Whichever port its disk is at: Shoji has to watch all of them."""

    def toml(self):
        return re.sub(r"controller = .*\nchannel = .*\nunit = .*\n",
                      'serial = "QM00001"\n', super().toml())


@case(weight=5)
def ahci_ports(t):
    """The HBA works from the guest's own list at a port whose disk has no
    volume, from a hidden one beside it. Writes with FUA are encrypted."""
    volume = BySerial(ROOT.name, ROOT.first, ROOT.last, bus="ahci")
    path = hostile.kernel_disk(t, f"test=ports disk={ROOT.first}", t.bare,
                               (volume,))
    if not t.bare:
        volume.encrypt(path)
    other, qmp, real = t.path("other.img"), t.path("qmp"), []
    with open(other, "wb") as f:
        f.truncate(64 << 20)

    def look():
        with open(t.path("run-console.log")) as f:
            at = re.findall(r"@@ port (0x\w+)", f.read())[-1]
        with monitor.Monitor(qmp) as m:
            real.append([int(x, 16) for x in m.human(f"xp /4wx {at}").split(
                ":")[1].split()])
            m.human("sendkey a")

    result = t.run(ports(path, other), steps=[
        (r"@@ key", look), (r"(?s)@@ key.*@@ key", look)],
        extra=monitor.options(qmp))
    check_lists(t, result, real)
    raw = image.read_sectors(path, ROOT.first, 32)
    t.equal("written, without and with FUA",
            raw if t.bare else volume.plain(path)[:32 * 512], CANARY * 1024)
    t.true("the canary is on the disk", t.bare or CANARY not in raw)
    t.equal("without a volume", image.read_sectors(other, ROOT.first, 16),
            CANARY * 512)
    # QEMU 7.2 knows no such command
    t.true("WRITE DMA FUA EXT", "@@ fua aborted" in result.console)


def check_lists(t, result, real):
    """@real: what PxCLB to PxFBU of ports 1 and 0 have held."""
    t.true("@@ FAIL", "@@ FAIL" not in result.console)
    seen = [[int(a, 16), 0, int(b, 16), 0] for a, b in re.findall(
        r"list (0x\w+) frames (0x\w+)", result.console)]
    t.equal("without a volume", real[0], seen[0])
    if t.bare:
        return
    size, start = re.search(r"(\d+) MiB of memory hidden at (0x\w+)",
                            result.shoji).groups()
    hidden = range(int(start, 16), int(start, 16) + (int(size) << 20))
    t.true("the list or the frames are not hidden",
           real[1][0] in hidden and real[1][2] in hidden)
    t.true("the guest sees them", not {*seen[1]} & {real[1][0], real[1][2]})


# ---- a guest that means harm ---------------------------------------------


def survived(t, seed, words=""):
    """Whether the run with that seed has come to its own end."""
    name, found = f"seed{seed}", []
    path = hostile.kernel_disk(
        t, f"test=ahci seed={seed} disk={ROOT.first} cpus={t.cpus} keys=1"
        f"{words}", False, (ROOT,), name)
    ROOT.encrypt(path)
    result = t.run(ports(path), name, limit=300,
                   **hostile.snapshots(t, name, found))
    for text in (result.console, result.shoji):
        for bad in ("@@ FAIL", "PANIC", "panic"):
            t.true(f"{name}: {bad}", bad not in text)
    raw = image.read_sectors(path, ROOT.first, ROOT.last - ROOT.first + 1)
    t.true(f"{name}: the canary is on the disk", CANARY not in raw)
    if result.status == -signal.SIGSEGV:
        t.note(f"{name}: QEMU has died")
        return False
    t.true(f"{name}: no end", "@@ end" in result.console)
    hostile.check_snapshots(t, found, ROOT.toml())
    t.true(f"{name}: nothing was written", CANARY in ROOT.plain(path))
    return True


@case(cpus=(1, 2), weight=20)
def ahci_hostile(t):
    """Random registers, lists, tables and frames; then the port works, the
    hidden memory is as it was, and what was written is encrypted.

    A port that is stopped while its disk moves data can make QEMU 7.2 write
    through a null pointer. A run that ends so counts for what it has left on
    the disk; one has to come to its own end, if need be one that lets the disk
    finish before it may stop the port."""
    if t.bare:
        return
    if not sum([survived(t, seed) for seed in (1, 2, 3, 4)]):
        t.true("no run came to its end", any(
            survived(t, seed, " calm=1") for seed in range(5, 9)))


# ---- behind a bridge -------------------------------------------------------


class Far(Volume):
    """On the second controller."""

    def toml(self):
        return super().toml().replace("controller = 0", "controller = 1")


FAR_BRIDGE = """
bridge=/sys/bus/pci/devices/0000:00:04.0/config
hba=/sys/bus/pci/devices/0000:01:00.0/config
get() {
	dd if=$1 bs=1 skip=$2 count=$3 2>/dev/null
}
put() {
	dd of=$1 bs=1 seek=$2 conv=notrunc 2>/dev/null
}
lost() {
	get $bridge $1 $3 >/tmp/before
	printf "$2" | put $bridge $1
	get $bridge $1 $3 | cmp -s - /tmp/before
}
dd if=/dev/zero bs=64k count=16 2>/dev/null | tr '\\000' F >/tmp/written
check write dd if=/tmp/written of=/dev/sdb bs=64k oflag=direct
check command lost 4 '\\000' 1
check window lost 32 '\\360\\377\\000\\000' 4
check buses lost 24 '\\000\\002\\002' 3
check elsewhere eval '! lost 60 x 1'
get $bridge 32 4 >/tmp/window
get $hba 4 2 >/tmp/on
printf '\004\000' | put $hba 4
check closed eval '! lost 32 "\360\377\000\000" 4'
put $hba 4 </tmp/on
check off eval '! get $hba 4 2 | cmp -s - /tmp/on'
put $bridge 32 </tmp/window
put $hba 4 </tmp/on
check on eval 'get $hba 4 2 | cmp -s - /tmp/on'
check read dd if=/dev/sdb of=/tmp/read bs=64k count=16 iflag=direct
check same cmp /tmp/read /tmp/written
"""


@case(weight=10)
def ahci_bridge(t):
    """A guest that tries to close the bridge above the controller."""
    if t.bare:
        return
    volume, far = Far("far", 0, 4095, bus="ahci"), t.path("far.img")
    with open(far, "wb") as f:
        f.truncate(64 << 20)
    path = t.boot_disk(FAR_BRIDGE, [ROOT, volume])
    t.linux(ports(path), extra=[
        "-device", "pcie-root-port,id=above,addr=4",
        "-device", "ich9-ahci,id=far,bus=above",
        "-drive", f"if=none,id=farther,format=raw,file={far}",
        "-device", "ide-hd,drive=farther,bus=far.0"])
    t.true("what was written is not on the disk",
           volume.plain(far)[:1 << 20] == b"F" * (1 << 20))
