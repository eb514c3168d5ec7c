"""AHCI on QEMU's q35: what IDE's cases show, with NCQ and without."""

from case import ROOT_FIRST, ROOT_LAST, Volume, case
from machine import Disk
from suite import boot

# The same range as on IDE, with the same key.
ROOT = Volume("root", ROOT_FIRST, ROOT_LAST, bus="ahci")


def ports(*paths):
    """The images at ports 0, 1, ..."""
    return [p if isinstance(p, Disk) else Disk(p, i, bus="ahci")
            for i, p in enumerate(paths)]


BOOT = """
check ahci test -e /sys/module/ahci -o -e /sys/bus/pci/drivers/ahci/0000:00:1f.2
check depth grep -q '^32$' /sys/block/sda/device/queue_depth
""" + boot.BOOT


@case(cpus=(1, 2), weight=20)
def ahci_boot(t):
    """SeaBIOS, GRUB and Linux from an encrypted root."""
    script = BOOT.format(cpus=t.cpus, count=ROOT.last - ROOT.first + 1)
    disk = t.boot_disk(script, [ROOT])
    before = boot.boot_sectors(disk)
    boot.check_root(t, t.linux(ports(disk)), disk)
    t.equal("sectors before the root", boot.boot_sectors(disk), before)
