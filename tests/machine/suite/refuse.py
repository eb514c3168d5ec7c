"""Shoji says in one sentence, on the serial line and on the screen, why it
does not start, and then nothing starts."""

import struct
import time

import monitor
from case import Fail, Volume, case, shoji_image

MAGIC = b"SHOJICFG"


def refuses(t, sentence, mem=256, elf=None, volumes=(), **more):
    if t.bare:
        return
    screen = t.vendor == "amd"          # QEMU can be asked for it
    disk = t.boot_disk("true", volumes, shoji=elf)
    result = t.run([disk], until=f"{sentence}|shoji: Stopped|Linux version",
                   expect="text", mem=mem, screen=screen, **more)
    if "Linux version" in result.console:
        raise Fail("the guest was started")
    for where in [result.shoji] + [result.screen] * screen:
        flat = " ".join(where.split())
        t.true(f"said {flat[-200:]!r}", sentence in flat)


@case(name="refuse-no-svm")
def no_svm(t):
    refuses(t, "this CPU has no AMD-V", cpu="EPYC,-svm")


@case(name="refuse-no-npt")
def no_npt(t):
    refuses(t, "no nested paging", cpu="EPYC,+svm,-npt")


@case(name="refuse-no-vmx", vendor=("intel",))
def no_vmx(t):
    refuses(t, "this CPU has no Intel VT-x", cpu="p4_prescott_celeron_336")


@case(name="refuse-no-ept", vendor=("intel",))
def no_ept(t):
    refuses(t, "VT-x cannot switch EFER and PAT", cpu="core2_penryn_t9600")


@case(name="refuse-no-unrestricted-guest", vendor=("intel",))
def no_unrestricted_guest(t):
    refuses(t, "no VT-x unrestricted guest", cpu="corei5_lynnfield_750")


@case(name="refuse-memory")
def memory(t):
    refuses(t, "not enough memory: 4 MiB", mem=6)


@case(name="refuse-silent")
def silent(t):
    """Without a serial port only the screen is told, from the first steps."""
    if t.bare:
        return
    elf, qmp = shoji_image('[console]\nserial = "none"\n'), t.path("run.qmp")

    def wait():
        end = time.monotonic() + monitor.PATIENCE
        with monitor.Monitor(qmp) as m:
            while b"not enough memory" not in m.memory(
                    0xb8000, 4000, t.path("screen"))[::2]:
                t.true("nothing on the screen", time.monotonic() < end)
                time.sleep(0.1)

    result = t.run([t.boot_disk("true", (), shoji=elf)], until="GRUB",
                   expect="text", steps=[("GRUB", wait)], mem=6,
                   extra=monitor.options(qmp))
    t.equal("the serial line", result.shoji, "")


@case(name="refuse-cpus")
def cpus(t):
    refuses(t, "this machine has more than 64 CPUs", cpus=65)


@case(name="refuse-no-device")
def no_device(t):
    """A disk that a volume is for is not there."""
    refuses(t, "A protected device is missing",
            volumes=(Volume("other", 2048, 4095, channel=1),))


# ---- the configuration in the image -------------------------------------

def patched(t, change):
    """An image whose blob went through @change(bytearray of the blob)."""
    with open(shoji_image(""), "rb") as f:
        elf = bytearray(f.read())
    at = elf.rindex(MAGIC + struct.pack("<I", 1))
    size = struct.unpack_from("<I", elf, at + 12)[0]
    blob = elf[at:at + size]
    change(blob)
    elf[at:at + size] = blob
    with open(t.path("shoji.elf"), "wb") as f:
        f.write(elf)
    return t.path("shoji.elf")


@case(name="refuse-blob-missing")
def blob_missing(t):
    def change(blob):
        blob[:] = bytes(len(blob))
    if not t.bare:
        refuses(t, "it does not begin as one", elf=patched(t, change))


@case(name="refuse-blob-broken")
def blob_broken(t):
    def change(blob):
        blob[20] ^= 1
    if not t.bare:
        refuses(t, "its checksum is wrong", elf=patched(t, change))


@case(name="refuse-blob-version")
def blob_version(t):
    def change(blob):
        struct.pack_into("<I", blob, 8, 2)
    if not t.bare:
        refuses(t, "made for a newer Shoji", elf=patched(t, change))
