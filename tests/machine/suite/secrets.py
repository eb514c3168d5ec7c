"""Where the keys are, and where they are not: while the guest runs, when there
is none, and after a panic. What is looked for is computed here: every round
key, of both schedules (FIPS 197, 5.2 and 5.3.5), of both halves of the volume's
key."""

import os
import re
import subprocess
import time

import monitor
from case import ROOT, Fail, Volume, case, shoji_image
from suite import program

MEM = 64                        # MiB: all of it is searched


# ---- AES' key schedules --------------------------------------------------

def xtime(a):
    return (a << 1 ^ (0x11b if a & 0x80 else 0)) & 0xff


def multiply(a, b):
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a, b = xtime(a), b >> 1
    return product


def make_sbox():
    box = []
    for a in range(256):
        inverse = next((b for b in range(256) if multiply(a, b) == 1), 0)
        s = 0x63
        for shift in range(5):
            s ^= (inverse << shift | inverse >> (8 - shift)) & 0xff
        box.append(s)
    return box


def round_keys(key):
    """Of an encryption, 16 bytes each."""
    sbox, n, rcon = make_sbox(), len(key) // 4, 1
    words = [list(key[i:i + 4]) for i in range(0, len(key), 4)]
    while len(words) < 4 * (n + 7):
        w = list(words[-1])
        if len(words) % n == 0:
            w = [sbox[b] for b in w[1:] + w[:1]]
            w[0], rcon = w[0] ^ rcon, xtime(rcon)
        elif n > 6 and len(words) % n == 4:
            w = [sbox[b] for b in w]
        words.append([a ^ b for a, b in zip(w, words[-n])])
    flat = bytes(b for w in words for b in w)
    return [flat[i:i + 16] for i in range(0, len(flat), 16)]


def inv_mix_columns(state):
    out = []
    for i in range(16):
        column = state[i & ~3:(i & ~3) + 4]
        out.append(multiply(column[i % 4], 14) ^
                   multiply(column[(i + 1) % 4], 11) ^
                   multiply(column[(i + 2) % 4], 13) ^
                   multiply(column[(i + 3) % 4], 9))
    return bytes(out)


def pieces(key):
    """What must not be found, by name, of a key of AES-XTS."""
    found = {}
    for half, part in (("data", key[:len(key) // 2]),
                       ("tweak", key[len(key) // 2:])):
        keys = round_keys(part)
        for i, k in enumerate(keys):
            found[f"{half} key, round {i}"] = k
            if half == "data" and 0 < i < len(keys) - 1:
                found[f"inverse {half} key, round {i}"] = inv_mix_columns(k)
    return found


def places(memory, bytes_):
    found, at = [], memory.find(bytes_)
    while at >= 0:
        found.append(at)
        at = memory.find(bytes_, at + 1)
    return found


# ---- Shoji's image -------------------------------------------------------

def symbols(elf):
    """name -> (address, size) out of the symbols beside the image."""
    out = subprocess.run(["nm", "-S", elf[:-len("elf")] + "debug"],
                         check=True, stdout=subprocess.PIPE).stdout.decode()
    words = [line.split() for line in out.splitlines()]
    return {w[-1]: (int(w[0], 16), int(w[1], 16) if len(w) == 4 else 0)
            for w in words}


def hidden_start(shoji_log):
    return int(re.search(r"memory hidden at 0x(\w+)", shoji_log)[1], 16)


def check_files(t, elf, texts):
    """No key in @texts nor in what the image shows of itself."""
    texts = dict(texts)
    debug = elf[:-len("elf")] + "debug"
    for name in (elf, debug):
        for tool in (["nm", "-a"], ["strings", "-a"]):
            texts[f"{tool[0]} {name}"] = subprocess.run(
                tool + [name], stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL).stdout.decode(errors="replace")
    with open(debug, "rb") as f:
        t.true("the key in shoji.debug", ROOT.key[:8] not in f.read())
    for name, text in texts.items():
        plain = re.sub(r"[^0-9a-f]", "", text.lower())
        for i in range(0, len(ROOT.key), 8):
            t.true(f"a part of the key in {name}",
                   ROOT.key[i:i + 8].hex() not in plain)


# ---- while the guest runs ------------------------------------------------

IDLE = """
check disk dd if=/dev/sda2 of=/dev/null bs=64k count=16 iflag=direct
cat /bin/busybox > /copy
sync
echo "@@ idle"
while :; do sleep 1; done
"""


def check_running(t, memory, elf, log):
    """Each piece lies in the pages for expanded keys, and nowhere else."""
    at = symbols(elf)
    address, size = at["disk_keys"]
    first = hidden_start(log) + address - at["image_start"][0]
    for name, piece in pieces(ROOT.key).items():
        found = places(memory, piece)
        t.true(f"{name} is nowhere: what is it that was searched?", found)
        for place in found:
            t.true(f"{name} at {place:#x}, and the keys' pages begin at "
                   f"{first:#x}", 0 <= place - first < size)
    t.equal("places of the raw key", places(memory, ROOT.key), [])


GRUB_BLOCK = 32 << 10           # what GRUB reads and keeps at a time


def check_blocks(t, disk, elf):
    """GRUB cannot read a part of the key for the sake of another file."""
    with open(elf, "rb") as f:
        whole = f.read()
    with open(disk, "rb") as f:
        data = f.read()
    at = whole.index(ROOT.key)
    first = data.index(ROOT.key)
    last = first + len(ROOT.key) - 1
    t.equal("copies of the key", data.count(ROOT.key), 1)
    for block in range(first // GRUB_BLOCK, last // GRUB_BLOCK + 1):
        start = block * GRUB_BLOCK
        here = at + start - first
        t.true("another file in a block with a key", here >= 0 and
               whole[here:here + GRUB_BLOCK] == data[start:start + GRUB_BLOCK])


@case(weight=12)
def secrets(t):
    """All of the memory: in the boot loader's second pass, when next to
    nothing has been written over what the first one left, and later."""
    if t.bare:
        return
    elf, found = shoji_image(ROOT.toml()), []
    qmp = t.path("run.qmp")

    def dump():
        with monitor.Monitor(qmp) as m:
            m.do("stop")
            found.append(m.memory(0, MEM << 20, t.path("memory")))
            m.do("cont")

    disk = t.boot_disk(IDLE)
    check_blocks(t, disk, elf)
    result = t.run([disk], until="@@ idle", expect="text",
                   steps=[("GRUB: second pass", dump), ("@@ idle", dump)],
                   mem=MEM, extra=monitor.options(qmp))
    t.true("the disk did not work", "@@ FAIL" not in result.console)
    for memory in found:
        check_running(t, memory, elf, result.shoji)
    check_files(t, elf, {"the log": result.shoji,
                         "the console": result.console})


# ---- when there is no guest ----------------------------------------------

@case(weight=6)
def secrets_stopped(t):
    """The machine lacks a disk: Shoji stops, and its keys are gone."""
    if t.bare:
        return
    qmp = t.path("run.qmp")

    def look():
        with monitor.Monitor(qmp) as m:
            check_gone(t, m.memory(0, MEM << 20, t.path("memory")))

    absent = Volume(ROOT.name, ROOT.first, ROOT.last, unit=1)
    result = t.run([t.boot_disk("", shoji=shoji_image(absent.toml()))],
                   until=r"Stopped\.", expect="text", mem=MEM,
                   steps=[(r"Stopped\.", look)], extra=monitor.options(qmp))
    t.true("another reason", "device is missing." in result.shoji)


# ---- after a panic -------------------------------------------------------

# Each turn executes CPUID on that CPU.
TICKS = """
check disk dd if=/dev/sda2 of=/dev/null bs=64k count=16 iflag=direct
echo "@@ idle"
while :; do
	dd if=/dev/cpu/{cpu}/cpuid of=/dev/null bs=16 count=1 2>/dev/null
	echo "@@ tick"
done
"""


def constant(elf, text):
    """The address of the string @text in the image."""
    with open(elf, "rb") as f:
        at = f.read().index(b"\0" + text.encode() + b"\0") + 1
    out = subprocess.run(["readelf", "-lW", elf], check=True,
                         stdout=subprocess.PIPE).stdout.decode()
    for line in re.findall(r"LOAD +(.*)", out):
        offset, address, _, size = (int(w, 16) for w in line.split()[:4])
        if offset <= at < offset + size:
            return address + at - offset
    raise ValueError(text)


def break_it(t, elf, cpu, registers):
    """Stops @cpu at the start of guest_cpuid() and sets registers."""
    gdb = monitor.Gdb(t.path("run.gdb"))
    gdb.run_to(symbols(elf)["guest_cpuid"][0], cpu + 1)
    for name, value in registers.items():
        gdb.set(name, value)
    gdb.detach()


def all_halted(m, elf, cpus):
    """Waits until every CPU is halted with interrupts off: in panic_stop(),
    in the NMI handler, or by INIT at its reset vector."""
    names = symbols(elf)
    ends = [names["panic_stop"], names["trap_nmi"]]

    def known(rip):
        return rip == 0xfff0 or any(
            start < rip <= start + size for start, size in ends)

    end = time.monotonic() + monitor.PATIENCE
    while time.monotonic() < end:
        text = m.human("info registers -a")
        rip = [int(x, 16) for x in re.findall(r"[RE]IP=([0-9a-f]+)", text)]
        flags = [int(x, 16) for x in re.findall(r"[RE]FL=([0-9a-f]+)", text)]
        if text.count("HLT=1") == cpus == len(rip) and all(map(known, rip)):
            return not any(f & 0x200 for f in flags)
        time.sleep(0.1)
    raise Fail(f"not all CPUs have stopped: {[hex(r) for r in rip]}")


def check_stopped(t, elf):
    """No CPU runs, nobody writes, no key is in memory."""
    console = t.path("run-console.log")
    with monitor.Monitor(t.path("run.qmp")) as m:
        t.true("interrupts are on in a stopped CPU", all_halted(m, elf, t.cpus))
        before = os.path.getsize(console)
        time.sleep(1)
        m.do("stop")
        t.equal("the guest's console", os.path.getsize(console), before)
        t.true("all CPUs were halted and are no more",
               all_halted(m, elf, t.cpus))
        memory = m.memory(0, MEM << 20, t.path("memory"))
    check_gone(t, memory)
    file = program.contents("victim.elf")
    for at in range(0, len(file) - 64, 64):
        piece = file[at:at + 64]
        t.true(f"the program's file from {at:#x} on is still there",
               len(set(piece)) < 32 or piece not in memory)


def check_gone(t, memory):
    t.true("this is not the memory", b"memory hidden at" in memory)
    for name, piece in pieces(ROOT.key).items():
        found = places(memory, piece)
        t.true(f"{name} is still at {found}", not found)


def panic(t, cpu, registers, action="stop"):
    """Returns the log."""
    elf = shoji_image(f'[panic]\naction = "{action}"\n\n' + ROOT.toml() +
                      program.program("victim"))
    disk = t.boot_disk(TICKS.format(cpu=cpu), shoji=elf)
    steps = [("@@ tick", lambda: break_it(t, elf, cpu, registers(elf)))]
    if action == "stop":
        steps += [("call trace:", lambda: check_stopped(t, elf))]
    # a machine that reboots ends by itself, just after that line
    until, expect = ("call trace:", "text") if action == "stop" else \
        (None, "off")
    result = t.run([disk], until=until, steps=steps, mem=MEM, expect=expect,
                   extra=monitor.options(t.path("run.qmp"),
                                         t.path("run.gdb")))
    t.true("the disk did not work", "@@ FAIL" not in result.console)
    check_files(t, elf, {"the log": result.shoji})
    return result.shoji


def check_log(t, log, *patterns):
    """Each of @patterns is in a line, and the lines come in this order."""
    at = 0
    for pattern in patterns:
        found = re.compile(pattern).search(log, at)
        t.true(f"{pattern!r} is not in the log where it should be", found)
        at = found.end()


@case(cpus=(1, 2), weight=12)
def panic_trap(t):
    """A page fault of ours, on the last CPU."""
    if t.bare:
        return
    last = t.cpus - 1
    log = panic(t, last, lambda elf: {"rdi": 0x123456789000})
    check_log(t, log, rf"panic on CPU {last}: page fault",
              r"vector 14, error 0, cs:rip [0-9a-f]+:ffffffff80",
              r"rax [0-9a-f]{16} ", r"rdi 0000123456789\w{3}",
              r"cr0 [0-9a-f]{16} cr2 0000123456789\w{3}", "call trace:",
              r"#0 ffffffff80\w{6} guest_cpuid\+0x",
              r"#1 ffffffff80\w{6} guest_run\+0x",
              r"#2 ffffffff80\w{6} " +
              ("run_other_cpu" if last else "boot_cpu") + r"\+0x")


SENTENCE = "no ACPI tables: one CPU, no sleep states"


@case(cpus=(2,), weight=12)
def panic_call(t):
    """panic() on the boot processor, while another one runs the guest."""
    if t.bare:
        return
    log = panic(t, 0, lambda elf: {
        "rip": symbols(elf)["panic"][0], "rdi": constant(elf, SENTENCE)})
    check_log(t, log, f"panic on CPU 0: {SENTENCE}", "call trace:",
              r"guest_run\+0x", r"boot_cpu\+0x")


@case(weight=12)
def panic_reboot(t):
    if t.bare:
        return
    log = panic(t, 0, lambda elf: {
        "rip": symbols(elf)["panic"][0], "rdi": constant(elf, SENTENCE)},
        "reboot")
    check_log(t, log, f"panic on CPU 0: {SENTENCE}", r"boot_cpu\+0x")
