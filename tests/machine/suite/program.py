"""Protected programs and hypercalls: a program that does whatever it is told
(tests/machine/program/victim.c) and a Linux guest that tells it."""

import hashlib
import os
import re
import subprocess
import threading

import case as cases
import image
import monitor
from case import ROOT, ROOT_LAST, Fail, case, shoji_image

build_lock = threading.Lock()


def built(name):
    out = os.path.join(cases.WORK, "program")
    with build_lock:
        run = subprocess.run(
            ["make", "-s", "-C", os.path.join(cases.HERE, "program"),
             f"OUT={out}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if run.returncode:
        raise Fail("make:\n" + run.stdout.decode(errors="replace"))
    return os.path.join(out, name)


def contents(name):
    with open(built(name), "rb") as f:
        return f.read()


def program(name, image="victim.elf", module=False, **keys):
    """A [[program]] that embeds @image, or takes it as a boot module."""
    keys.setdefault("memory_kib", 1024)
    keys.setdefault("callers", '"user"')
    where = f'file = "{built(image)}"'
    if module:
        digest = hashlib.sha256(contents(image)).hexdigest()
        where = f'sha256 = "{digest}"'
    lines = [f'name = "{name}"', where, "restart = true"]
    lines += [f"{k} = {v}" for k, v in keys.items()]
    return "[[program]]\n" + "\n".join(lines) + "\n"


# "third" is for the guest's kernel alone.
PAIR = (("first", dict(sends='["second"]', time_ms=3000)),
        ("second", dict(image="victim-pie.elf")),
        ("third", dict(callers='"kernel"')))


# What works is not stopped on a busy host; "second" is what loops.
PATIENT = (("first", dict(sends='["second"]', time_ms=60000)),
           ("second", dict(image="victim-pie.elf", time_ms=3000)),
           ("third", dict(callers='"kernel"')))


def config(allow="user", programs=PAIR, extra=""):
    return ROOT.toml() + f'[hypercall]\nallow = "{allow}"\n' + \
        "".join(program(name, **keys) for name, keys in programs) + extra


def guest(t, words, toml=None, ends=0, modules=None, sectors=0, **more):
    """Runs the caller with @words; all its checks have to pass. @sectors: the
    disk's least size."""
    disk = t.boot_disk(f"caller {words} 2>&1\necho \"@@ exit $?\"\n",
                       shoji=shoji_image(toml or config()), modules=modules,
                       files={"bin/caller": contents("caller")},
                       sectors=sectors)
    result = t.linux([disk], **more)
    t.equal("the caller's end",
            re.findall(r"@@ exit (\d+)", result.console), [str(ends)])
    return result


@case(vendor=("amd", "intel"), cpus=(1, 2), weight=15)
def program_hello(t):
    """Queries, the log, and messages of every length."""
    if t.bare:
        return
    result = guest(t, "query echo log")
    t.true("no program has started",
           "first: ready" in result.shoji)


@case(vendor=("amd", "intel"), cpus=(1, 2), weight=25)
def program_isolation(t):
    """A program tries to leave its room, in every way."""
    if t.bare:
        return
    guest(t, "memory instructions syscalls time", config(programs=PATIENT))


@case(vendor=("amd", "intel"), cpus=(1, 2), weight=25)
def program_services(t):
    """Clock, random bytes, registers, buffers, other programs, interrupts."""
    if t.bare:
        return
    words = "services vectors selectors buffers interrupts"
    if t.cpus > 1:
        words += " both"
    guest(t, words + " exit", config(programs=PATIENT))


@case(vendor=("amd", "intel"), weight=15)
def program_background(t):
    """Unfinished work goes on by itself: at the guest's exits, and by a timer,
    which AMD-V has not."""
    if not t.bare:
        guest(t, "exits" + (" background" if t.vendor == "intel" else ""))


@case(vendor=("amd", "intel"), weight=25)
def program_callers(t):
    """Processes that die, flood, forge and pass wild arguments."""
    if t.bare:
        return
    one = ("one", dict(messages=1))
    guest(t, "callers wild", toml=config(programs=PAIR + (one,)))


@case(vendor=("amd", "intel"), weight=20)
def program_module(t):
    """Boot modules: by their hash, or not at all; and no one else's memory."""
    if t.bare:
        return
    wrong = t.path("wrong.elf")
    with open(wrong, "wb") as f:
        f.write(contents("victim.elf")[:-1] + b"!")
    toml = config(programs=(("first", dict(module=True)),
                            ("second", dict(image="victim-pie.elf",
                                            module=True)),
                            ("absent", dict(image="caller", module=True))))
    result = guest(t, "echo", toml=toml, modules={
        "victim.elf": built("victim.elf"), "wrong.elf": wrong,
        "victim-pie.elf": built("victim-pie.elf")})
    for text in (r"wrong\.elf: refused: no program of the configuration has "
                 r"this hash", r"program absent: does not run",
                 r"program first: 1024 KiB", r"program second: 1024 KiB"):
        t.true(f"no line: {text}", re.search(text, result.shoji))


@case(vendor=("amd", "intel"), weight=20)
def program_off(t):
    """Hypercalls for the kernel only, or for nobody: #UD in user mode."""
    if t.bare:
        return
    for allow in ("none", "kernel"):
        result = guest(t, "echo", toml=config(allow), ends=2, name=allow)
        t.true("the caller sees Shoji",
               "not running under Shoji" in result.console)


REGIONS = """
[[region]]
name = "other"
size_kib = 4
[[region]]
name = "shared"
size_kib = 2560
"""


@case(vendor=("amd", "intel"), cpus=(1, 2), weight=20)
def program_regions(t):
    """Memory that two programs share, and a third one does not."""
    if t.bare:
        return
    more = ({"regions": '["shared:rw", "other:ro"]'},
            {"image": "victim-pie.elf", "regions": '["shared:ro"]'}, {})
    toml = config(programs=zip(("first", "second", "third"), more),
                  extra=REGIONS)
    disk = t.boot_disk("regions\necho \"@@ exit $?\"\n",
                       shoji=shoji_image(toml),
                       files={"bin/regions": contents("regions")})
    result = t.linux([disk])
    t.equal("its end", re.findall(r"@@ exit (\d+)", result.console), ["0"])
    t.equal("lines of the write to what is read-only", len(re.findall(
        "program second: stopped: write of 0x35003039, rip", result.shoji)), 1)


GO = ROOT_LAST + 1              # by which the guest is told to go on
SECRET = (0x5ec2e700c0ffee11 ^ 0x0123456789abcdef).to_bytes(8, "little")


def places(memory):
    found, at = [], memory.find(SECRET)
    while at >= 0:
        found.append(at)
        at = memory.find(SECRET, at + 8)
    return found


def look(t, name, found, turn):
    """A step: all of the machine's memory, while the guest waits."""
    def step():
        if t.vendor == "amd":
            with monitor.Monitor(t.path("run.qmp")) as m:
                found[name] = m.memory(0, 256 << 20, t.path(name + ".mem"))
        image.write_sectors(t.path("disk.img"), GO, bytes([turn]) * 512)
    return f"@@ secret {name}", step


@case(vendor=("amd", "intel"), weight=30)
def program_secret(t):
    """What a program holds is in hidden memory, the guest does not find it,
    and it is gone when the program was stopped."""
    if t.bare:
        return
    found, more = {}, {}
    if t.vendor == "amd":
        more["extra"] = monitor.options(t.path("run.qmp"))
    result = guest(t, "secret", sectors=GO + 1, steps=(
        look(t, "held", found, 1), look(t, "gone", found, 2)), **more)
    if t.vendor != "amd":
        return
    held, gone = places(found["held"]), places(found["gone"])
    where = re.search(r"(\d+) MiB of memory hidden at 0x(\w+)", result.shoji)
    start = int(where[2], 16)
    end = start + (int(where[1]) << 20)
    t.true("the secret is nowhere: what was searched?",
           len(held) > 1000)
    t.true("the secret is outside of hidden memory",
           all(start <= at < end for at in held))
    t.equal("what is left of the secret", gone, [])
