"""A hostile guest: the tests' own kernel (tests/machine/kernel) attacks.

Where a fault can be compared with that of the bare machine, it runs there as
well, and what it prints has to be the same.
"""

import hashlib
import os
import re
import shutil
import subprocess
import threading

import case as cases
import image
import monitor
from case import BOOT_MIB, ROOT, ROOT_MIB, Fail, case, shoji_image

build_lock = threading.Lock()


def test_kernel():
    out = os.path.join(cases.WORK, "kernel")
    with build_lock:
        run = subprocess.run(
            ["make", "-s", "-C", os.path.join(cases.HERE, "kernel"),
             f"OUT={out}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if run.returncode:
        raise Fail("make:\n" + run.stdout.decode(errors="replace"))
    return os.path.join(out, "test.elf")


def root_contents():
    """Of the range that is encrypted: any bytes, no two sectors alike."""
    return b"".join(hashlib.sha512(str(i).encode()).digest()
                    for i in range(ROOT_MIB << 14))


def kernel_disk(t, words, bare, volumes=(ROOT,), name="disk", extra="",
                sectors=0):
    """A disk that boots the kernel with @words on its command line. @extra:
    what the configuration has besides @volumes; @sectors: the least size."""
    boot, root, disk, tree = (t.path(name + s)
                              for s in (".boot", ".root", ".img", ".tree"))
    files = {"test.elf": test_kernel()}
    if not bare:
        files["shoji.elf"] = shoji_image(
            "".join(v.toml() for v in volumes) + extra)
    image.boot_tree(tree, files, image.grub_cfg(
        "" if bare else "multiboot2 /boot/shoji.elf",
        f"multiboot /boot/test.elf {words}"))
    image.make_fs(boot, tree, BOOT_MIB)
    shutil.rmtree(tree)
    with open(root, "wb") as f:
        f.write(root_contents())
    image.make_disk(disk, [boot, root], sectors)
    image.install_grub(disk)
    for part in (boot, root):
        os.unlink(part)
    if not bare and ROOT in volumes:
        ROOT.encrypt(disk)
    return disk


def kernel(t, words, bare=None, name="run", ends=True, volumes=(ROOT,),
           root=True, config="", sectors=0, **more):
    """Runs the kernel to its end, which has to be free of failures and to
    leave the disk's root as it was unless not @root; returns the result."""
    bare = t.bare if bare is None else bare
    more.setdefault("limit", 300)
    disk = kernel_disk(t, words, bare, volumes, name, config, sectors)
    result = t.run([disk], name, **more)
    plain = ROOT.plain(disk) if not bare and ROOT in volumes else \
        image.read_sectors(disk, ROOT.first, ROOT.last - ROOT.first + 1)
    os.unlink(disk)
    for text in (result.console, result.shoji):
        bad = re.findall(r"@@ FAIL.*|PANIC.*|panic.*", text)
        if bad:
            raise Fail(f"{name}: {bad[0].strip()} ({len(bad)} in all)")
    if ends and "@@ end" not in result.console:
        raise Fail(f"{name}: the kernel did not come to its end")
    if not bare and "GRUB: second pass" not in result.console:
        raise Fail(f"{name}: it did not run under Shoji")
    t.true(f"{name}: the root has changed",
           not root or plain == root_contents())
    result.root = plain
    return result


def words_of(result, word):
    return re.findall(rf"@@ {word} ([^\r\n]*)", result.console)


# ---- what must not change ------------------------------------------------

def constant_part(elf):
    """(place in the file, length in memory) of the text and the constants."""
    text = subprocess.run(["readelf", "-SW", elf], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    place = {name: [int(x, 16) for x in where.split()]
             for name, where in re.findall(
                 r" (\.text|\.rodata) +PROGBITS +(\w+ \w+ \w+)", text)}
    address, offset, _ = place[".text"]
    return offset, place[".rodata"][0] + place[".rodata"][2] - address


def snapshots(t, name, found):
    """Steps for when the kernel waits for a key, twice: the constant part of
    Shoji as it lies in the machine's memory, into @found."""
    def look():
        with open(t.path(f"{name}-shoji.log")) as f:
            size, start = re.search(r"(\d+) MiB of memory hidden at 0x(\w+)",
                                    f.read()).groups()
        try:
            with monitor.Monitor(t.path(name + ".qmp")) as m:
                found.append(m.memory(int(start, 16), int(size) << 20,
                                      t.path(name + ".mem")))
                m.human("sendkey a")
        except (OSError, ValueError) as e:      # the machine has gone
            t.note(f"monitor: {e!r}")

    return dict(steps=(("@@ key", look), ("(?s)@@ key.*@@ key", look)),
                extra=monitor.options(t.path(name + ".qmp")))


def check_snapshots(t, found, toml=ROOT.toml()):
    """@found: the hidden memory, or the machine's, before and after."""
    elf = shoji_image(toml)
    offset, length = constant_part(elf)
    with open(elf, "rb") as f:
        f.seek(offset)
        head = f.read(4096)
    t.equal("snapshots", len(found), 2)
    at = found[0].find(head)
    t.true("the image is not where the banner says", at >= 0)
    t.true("Shoji's text or constants have changed",
           found[0][at:at + length] == found[1][at:at + length])
    t.note(f"{length} bytes of text and constants, at {at:#x} in the hidden "
           "memory, are unchanged")


@case(vendor=("amd", "intel"), weight=10)
def hostile_memory(t):
    """Reads, writes and executes the hidden memory in every mode and by DMA."""
    found, more, keys = [], {}, ""
    if t.vendor == "amd" and not t.bare:
        keys, more = " keys=1", snapshots(t, "run", found)
    result = kernel(t, f"test=memory disk={ROOT.first}{keys}", **more)
    if t.bare:
        return
    banner = re.search(r"(\d+) MiB of memory hidden at (0x\w+)",
                       result.shoji)
    t.equal("hidden, as the guest's map has it", words_of(result, "hidden"),
            [f"{banner[1]} MiB at {banner[2]}"])
    if keys:
        check_snapshots(t, found)


@case(vendor=("amd", "intel"), weight=5)
def hostile_virt(t):
    """Every VMX and SVM instruction, in every mode: #UD."""
    if not t.bare:
        kernel(t, "test=virt")


@case(vendor=("amd", "intel"), weight=5)
def hostile_cr3(t):
    """Page tables in the hidden memory: the machine resets."""
    if t.bare:
        return
    kernel(t, "test=cr3", ends=False, until=r"(?s)@@ cr3.*@@ cr3",
           expect="text", reboots=True)


# MSRs that are there on the bare machine and not for the guest: what belongs to
# VMX and SVM; processor trace, the debug store and remote actions, which write
# past EPT.
HIDDEN_MSRS = set(range(0x480, 0x494)) | set(range(0x560, 0x588)) | \
    set(range(0x3f1, 0x3f6)) | set(range(0xed, 0xf1)) | \
    set(range(0xc0010116, 0xc001011a)) | {0x9b, 0x600, 0xc0000104}


def faults(result):
    """{(register, number): fault} of the lines that test=random prints."""
    out = {}
    for line in words_of(result, "got"):
        name, first, last, fault = line.split()
        for i in range(int(first, 16), int(last, 16) + 1):
            out[name, i] = fault
    return out


def last_written(result):
    """True if the root has what the kernel's disk_again() wrote last."""
    n = int(words_of(result, "written")[-1])
    return result.root[8192 * n:8192 * (n + 1)] == \
        bytes((i * 7 + (i >> 8) + n) & 0xff for i in range(8192))


@case(vendor=("amd", "intel"), weight=30)
def hostile_random(t):
    """Random values to ports, PCI configuration space and registers."""
    for seed in (1, 2, 3):
        words = f"test=random seed={seed} disk={ROOT.first}"
        if t.vendor == "amd":
            words += " lax=1"
        else:
            words += " data=0"
        bare = kernel(t, words + " registers=1", bare=True, name="bare")
        if t.bare:
            continue
        here = kernel(t, words, root=False)
        compare_faults(t, faults(here), faults(bare))
        t.true("what was written is not on the disk", last_written(here))


def compare_faults(t, here, bare):
    wrong = {k: (here.get(k), v) for k, v in bare.items() if here.get(k) != v
             and not (k[0] == "msr" and k[1] in HIDDEN_MSRS)}
    for (name, i), (a, b) in sorted(wrong.items()):
        t.note(f"{name} {i:#x}: {a}, bare {b}")
    t.true(f"{len(wrong)} faults differ from the bare machine's", not wrong)
    t.equal("faults", len(here), len(bare))


@case(vendor=("amd", "intel"), cpus={"amd": (2, 4), "intel": (2,)}, weight=20)
def hostile_ap(t):
    """INIT, SIPI, NMI and interrupts to other CPUs, in any order."""
    words = f"test=ap cpus={t.cpus}"
    if t.vendor == "amd" and t.bare:
        # QEMU itself runs a CPU that waits for SIPI when an NMI comes, and
        # after an INIT takes a SIPI from before it.
        words += " waiting=0 storm=0"
    elif t.vendor == "amd":
        words += " message=1"
    if t.vendor == "intel" and not t.bare:
        # Bochs 2.7 does not clear an INIT that has made a VM exit: the next
        # entry exits again, for ever, so the CPU cannot be started again.
        words += " again=0"
    kernel(t, words, limit=900)



def same_as_bare(t, words, here="", **more):
    """Runs it twice, under Shoji with @here as well; the lines "@@ got ..."
    have to be the same. Returns Shoji's run, None if @t is bare."""
    bare = kernel(t, words, bare=True, name="bare", **more)
    if t.bare:
        return None
    result = kernel(t, words + here, **more)
    got, want = words_of(result, "got"), words_of(bare, "got")
    wrong = [f"{a}\n   bare: {b}" for a, b in zip(got, want) if a != b]
    for line in wrong:
        t.note(line)
    t.true(f"{len(wrong)} of {len(want)} results differ from the bare "
           "machine's", not wrong)
    t.equal("results", len(got), len(want))
    return result


@case(vendor=("amd", "intel"), cpus=(2,), weight=15)
def hostile_insn(t):
    """Every kind of trapped access, cut off, misplaced, and changed by another
    CPU while it is executed."""
    words = "test=insn change=500"
    if t.vendor == "intel":
        words += " odd=0"           # or Bochs' APIC panics
    result = same_as_bare(t, words, " unknown=1")
    if not result:
        return
    t.equal("not executed", [x for x in words_of(result, "unknown")
                             if not x.endswith("#UD")], [])
    if t.vendor == "amd":           # QEMU itself has none of these faults
        t.equal("faults of segments", words_of(result, "segment"), [
            "fault ins-limit #GP error 0x0 rip 0x10002 ecx 0x18 esi 0x0 "
            "edi 0x10",
            "fault ins-null #GP error 0x0 rip 0x10002 ecx 0x20 esi 0x0 "
            "edi 0x8",
            "fault ins-no-write #GP error 0x0 rip 0x10002 ecx 0x2 esi 0x0 "
            "edi 0x8"])


@case(vendor=("amd", "intel"), weight=10)
def hostile_task(t):
    """Task switches, which always exit on Intel, and their faults; and INT 15h
    in virtual-8086 mode."""
    result = same_as_bare(t, "test=task")
    if result:      # 63 MiB and no carry; Bochs' own BIOS needs ports for it
        t.equal("v86", words_of(result, "v86"),
                [f"{mode} done flags 0x23002 eax 0xfc00"
                 for mode in ("pm32", "pg32", "pae")])
