"""What a guest notices of a program that computes: nothing but less time.

Time in these machines is instructions: Bochs without synchronisation, QEMU with
-icount. So a delay does not depend on how fast the emulator is, and can be
judged: a timer of the highest priority is at most one slice later while a
program signs than while it does not, with and without a busy disk.
"""

import re

import image
from case import BOOT_MIB, Volume, case
from suite import sign

SLICE_NS = 500_000              # the default, which the sign program has
PERIOD_US = 2000
RATE = 97
DATA_MIB = 4
DATA_FIRST = image.FIRST_PART + (BOOT_MIB + sign.ROOT_MIB) * 2048
DATA = Volume("data", DATA_FIRST, DATA_FIRST + DATA_MIB * 2048 - 1)

# A phase: its name, whether the disk is busy and whether the program signs.
# RATE requests a second: there is time left over, and they come at each phase
# of the timer's period. With a whole number of periods between two of them one
# phase, and so chance, would decide for a whole run how often they meet; with
# two CPUs the guest's scheduler would, so all of it is the first one's, where it
# is worst. What has been written is read again and compared.
SCRIPT = sign.FUNCTIONS + r"""
disk() {
	taskset 1 fio --name=x --filename=/dev/sda3 --size=$1k --rw=randwrite --bs=4k \
		--direct=1 --ioengine=psync --thread --rate_iops=RATE --minimal \
		--verify=crc32c --do_verify=1 --verify_fatal=1 \
		--allow_mounted_write=1
}
disk_irqs() {
	awk '/ata_piix/ { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i }
	     END { print n }' /proc/interrupts
}
timer_irqs() {
	awk '/LOC:/ { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i }
	     END { print n }' /proc/interrupts
}
requests() {
	awk '{ print $1 + $5 + $12 }' /sys/block/sda/stat
}
# Only what goes on all the time is measured, not how processes start and end.
phase() {
	phase=$1 seconds=$2 busy=$3 signs=$4
	if [ $busy = 1 ]; then
		disk $(((seconds + 4) * 200)) >/tmp/disk.out 2>&1 &
		fio=$!
	fi
	if [ $signs = 1 ]; then
		taskset 1 signer load >/tmp/load.out 2>&1 &
		load=$!
		until grep -q signing /tmp/load.out; do sleep 0.1; done
	fi
	sleep 2
	disk0=$(disk_irqs) timer0=$(timer_irqs) requests0=$(requests)
	taskset 1 latency $phase PERIOD $((seconds * 1000000 / PERIOD))
	requests1=$(requests) timer1=$(timer_irqs) disk1=$(disk_irqs)
	echo "@@ irqs $phase $((timer1 - timer0)) $((disk1 - disk0))" \
		"$((requests1 - requests0))"
	if [ $signs = 1 ]; then
		kill $load
		check load-$phase wait $load
		cat /tmp/load.out
	fi
	if [ $busy = 1 ]; then
		check disk-$phase wait $fio
	fi
}
fio --version
signer batch 1
mount -o remount,noatime /
sync
phase idle SHORT 0 0
phase sign SHORT 0 1
phase disk LONG 1 0
phase both LONG 1 1
dmesg | grep -i -E "lost int|lockup|stall|timed out|exception|hung|spurious" \
	>/tmp/complaints
check complaints test ! -s /tmp/complaints
show ps shojictl ps
"""


def phases(t, result):
    """name -> (worst delay in ns, the one that 1 in 1000 is worse than, wakes),
    as the guest has printed them."""
    found = {}
    for name, worst, tail, wakes in re.findall(
            r"@@ latency (\w+): worst (\d+) ns, tail (\d+) ns.*, (\d+) wakes",
            result.console):
        found[name] = int(worst), int(tail), int(wakes)
    for line in re.findall(r"@@ (?:latency|irqs|load) .*", result.console):
        t.note(line.strip())
    t.equal("phases", sorted(found), ["both", "disk", "idle", "sign"])
    return found


def check_interrupts(t, result, found):
    """Each wake has had an interrupt of the timer, each request one of the
    disk."""
    irqs = re.findall(r"@@ irqs (\w+) (\d+) (\d+) (\d+)", result.console)
    t.equal("lines of interrupts", len(irqs), 4)
    for name, timer, disk, requests in irqs:
        t.true(f"{name}: {timer} interrupts of the timer for "
               f"{found[name][2]} wakes", int(timer) >= found[name][2])
        t.true(f"{name}: {disk} interrupts of the disk for {requests} requests",
               int(disk) >= int(requests))
        if name in ("disk", "both"):
            t.true(f"{name}: only {requests} requests", int(requests) >= 200)


def check_delays(t, found):
    """A disk delays a timer by milliseconds, and how often that piles up is
    chance: beside one, 1 wake in 1000 does not count, on both sides."""
    for name, without, which in (("sign", "idle", 0), ("both", "disk", 1)):
        added = found[name][which] - found[without][which]
        t.note(f"{name}: {added} ns more than {without}")
        t.true(f"{name}: the timer is {added} ns later, more than a slice",
               added <= SLICE_NS)


def run(t, long, short, **more):
    if t.bare:
        return
    data = t.path("data")
    with open(data, "wb") as f:
        f.truncate(DATA_MIB << 20)
    script = SCRIPT
    for name, value in (("LONG", long), ("SHORT", short),
                        ("PERIOD", PERIOD_US), ("RATE", RATE)):
        script = script.replace(name, str(value))
    result = sign.guest(t, script, tools=("fio",), parts=[data],
                        volumes=[DATA], **more)
    found = phases(t, result)
    check_interrupts(t, result, found)
    check_delays(t, found)
    signed = [int(n) for n in re.findall(r"@@ load (\d+)", result.console)]
    t.true(f"signatures: {signed}", len(signed) == 2 and min(signed) >= 4)
    ps = re.search(r"^sign .*", sign.shown(t, result, "ps"), re.M)[0].split()
    t.equal("restarts and messages left", (ps[2], ps[5]), ("0", "0"))


@case(vendor=("intel",), cpus=(1, 2), weight=200)
def latency(t):
    """A timer, a disk and signatures for 20 seconds of the guest's time, 10^9
    instructions."""
    run(t, 20, 3)


@case(vendor=("amd",), weight=100, name="latency")
def latency_icount(t):
    """The same with 8 ns an instruction. With -icount QEMU 7.2 stands still when
    a kernel starts its second CPU, without Shoji, too."""
    run(t, 20, 5, extra=["-icount", "shift=3,sleep=off"])
