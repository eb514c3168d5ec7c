"""The guest sees the same machine with and without Shoji, but for what is
hidden on purpose."""

import os
import re
import subprocess

import image
from case import HERE, ROOT, case

# Whether Linux uses IRQ 0 follows from how well it could measure the clock.
SCRIPT = """
mkdir -p /dev/cpu
for n in $(seq 0 $(($(nproc) - 1))); do
	mkdir -p /dev/cpu/$n
	[ -e /dev/cpu/$n/cpuid ] || mknod /dev/cpu/$n/cpuid c 203 $n
	[ -e /dev/cpu/$n/msr ] || mknod /dev/cpu/$n/msr c 202 $n
done
{ dump
awk '/IO-APIC|XT-PIC|PCI-MSI/ && $1 != "0:" { sub(":", "", $1); printf "irq.%s", $1
	for (i = 2; i <= NF; i++) if ($i !~ /^[0-9]+$/) printf " %s", $i
	print "" }' /proc/interrupts
grep -v -i 'system ram\\|reserved\\|kernel\\|ram buffer' /proc/iomem | sed 's/^/iomem./'
sed 's/^/ioports./' /proc/ioports
grep "^flags" /proc/cpuinfo | sed 's/^flags[^:]*:/flags/'
dmesg | sed -n 's/.*BIOS-e820: \\[mem \\(0x[0-9a-f]*\\)-\\(0x[0-9a-f]*\\)\\] /e820 \\1 \\2 /p'
} > /seen
sync
"""

# (name, bits) of the registers that may differ: what of virtualisation the
# CPU has, and what the firmware says of it; processor trace and debug store
# (DTES64, DS-CPL, DS), which would write to memory past the nested table.
HIDDEN_CPUID = {
    "amd": {r"cpuid\.\d+\.80000001\.\d": (0, 0, 1 << 2 | 1 << 12, 0),
            r"cpuid\.\d+\.8000000a\.\d": (~0, ~0, ~0, ~0),
            r"cpuid\.\d+\.7\.0": (0, 1 << 25, 0, 0),
            r"cpuid\.\d+\.14\.\d": (~0, ~0, ~0, ~0),
            r"cpuid\.\d+\.8000001f\.\d": (~0, ~0, ~0, ~0)},
    "intel": {r"cpuid\.\d+\.1\.\d": (0, 0, 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6,
                                    1 << 21),
              r"cpuid\.\d+\.7\.0": (0, 1 << 25, 0, 0),
              r"cpuid\.\d+\.14\.\d": (~0, ~0, ~0, ~0)},
}
HIDDEN_MSR = {
    "amd": r"msr\.\d+\.(c001011[4-8])",
    "intel": r"msr\.\d+\.(3a|9b|1a0|48.|49.|56.|57.)",
}
HIDDEN_FLAGS = {"svm", "npt", "nrip_save", "vmx", "ept", "vpid", "svm_lock",
                "dtes64", "ds_cpl", "dts", "bts", "pebs", "tpr_shadow",
                "flexpriority", "vnmi", "ept_ad", "skinit"}


# Lines of each kind that the dump has at least: it must not compare nothing.
LEAST = {"cpuid.": 100, "msr.": 60, "pci.": 24, "acpi.": 10, "dmi.": 4,
         "irq.": 2, "iomem.": 3, "ioports.": 10, "flags": 1}


def parse(text):
    seen, e820 = {}, []
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "e820":
            first, last, kind = value.split(" ", 2)
            e820.append((int(first, 16), int(last, 16) + 1, kind))
        elif name.startswith(("iomem", "ioports")):
            seen[line] = ""
        elif name == "flags":
            seen[name] = " ".join(sorted(set(value.split()) - HIDDEN_FLAGS))
        else:
            seen[name] = value
    return seen, e820


def cpuid_without(vendor, name, value):
    """@value with the bits that may differ cleared."""
    words = [int(w, 16) for w in value.split()]
    for pattern, bits in HIDDEN_CPUID[vendor].items():
        if re.fullmatch(pattern, name):
            words = [w & ~b & 0xffffffff for w, b in zip(words, bits)]
    return words


def compare(t, bare, under):
    wrong = []
    for name in sorted(set(bare) | set(under)):
        a, b = bare.get(name), under.get(name)
        if a == b or re.fullmatch(HIDDEN_MSR[t.vendor], name):
            continue
        if name.startswith("cpuid.") and a and b and \
                cpuid_without(t.vendor, name, a) == \
                cpuid_without(t.vendor, name, b):
            continue
        wrong.append(f"{name}: bare {a}, under Shoji {b}")
    for line in wrong:
        t.note(line)
    t.equal("differences", len(wrong), 0)


def pages(e820, kind):
    return {page for first, last, k in e820 if k == kind
            for page in range(-(-first // 4096), last // 4096)}


def compare_memory(t, bare, under, banner):
    """The guest has less RAM: the hidden region and one page below the EBDA,
    both reserved now. Nothing else moves."""
    size, start = re.search(r"(\d+) MiB of memory hidden at 0x([0-9a-f]+)",
                            banner).groups()
    first = int(start, 16) // 4096
    hidden = set(range(first, first + int(size) * 256))
    gone = pages(bare, "usable") - pages(under, "usable")
    low = sorted(gone - hidden)
    t.equal("usable pages that came", pages(under, "usable") -
            pages(bare, "usable"), set())
    t.true("hidden pages are not usable", hidden <= gone)
    # Conventional memory ends at a page, one page earlier than before.
    t.true(f"pages gone below the EBDA: {low}",
           1 <= len(low) <= 2 and max(low) < 0xa0)
    t.true("hidden pages are reserved", hidden <= pages(under, "reserved"))
    for kind in ("ACPI data", "ACPI NVS"):
        t.equal(kind, pages(under, kind), pages(bare, kind))


def look(t, dump, bare):
    name = "bare" if bare else "under"
    disk = t.boot_disk(SCRIPT, bare=bare, files={"bin/dump": dump}, name=name)
    result = t.linux([disk], name)
    root = t.path(name + ".fs")
    plain = (image.read_sectors(disk, ROOT.first,
                                              ROOT.last - ROOT.first + 1)
             if bare else ROOT.plain(disk))
    with open(root, "wb") as f:
        f.write(plain)
    return (*parse(image.fs_file(root, "/seen").decode()),
            result.shoji)


@case(vendor=("amd", "intel"), cpus={"amd": (1, 2), "intel": (1,)}, weight=35)
def invisible(t):
    if t.bare:
        return
    program = t.path("dump")
    subprocess.run(["gcc", "-O1", "-static", "-o", program,
                    os.path.join(HERE, "dump.c")], check=True)
    with open(program, "rb") as f:
        dump = f.read()
    bare, bare_map, _ = look(t, dump, True)
    under, under_map, banner = look(t, dump, False)
    for kind, least in LEAST.items():
        found = sum(name.startswith(kind) for name in bare)
        t.note(f"{kind}: {found}")
        t.true(f"too few lines of {kind}", found >= least)
    compare(t, bare, under)
    compare_memory(t, bare_map, under_map, banner)
