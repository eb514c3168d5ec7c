"""Protected programs and hypercalls: a program that does whatever it is told
(tests/machine/program/victim.c) and a Linux guest that tells it."""

import hashlib
import os
import re
import subprocess
import threading

import case as cases
from case import ROOT, Fail, case, shoji_image

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


def program(name, image="victim.elf", **keys):
    """A [[program]] that embeds @image."""
    keys.setdefault("memory_kib", 1024)
    keys.setdefault("callers", '"user"')
    lines = [f'name = "{name}"', f'file = "{built(image)}"', "restart = true"]
    lines += [f"{k} = {v}" for k, v in keys.items()]
    return "[[program]]\n" + "\n".join(lines) + "\n"


# "third" is for the guest's kernel alone.
PAIR = ('first', dict(sends='["second"]', time_ms=3000)), ('second', {}), \
    ('third', dict(callers='"kernel"'))


def config(allow="user", programs=PAIR, extra=""):
    return ROOT.toml() + f'[hypercall]\nallow = "{allow}"\n' + \
        "".join(program(name, **keys) for name, keys in programs) + extra


def guest(t, words, toml=None, **more):
    """Runs the caller with @words; all its checks have to pass."""
    disk = t.boot_disk(f"caller {words} 2>&1\necho \"@@ exit $?\"\n",
                       shoji=shoji_image(toml or config()),
                       files={"bin/caller": contents("caller")}, **more)
    return t.linux([disk])


@case(vendor=("amd", "intel"), cpus=(1, 2), weight=15)
def program_hello(t):
    """Queries, the log, and messages of every length."""
    if t.bare:
        return
    result = guest(t, "query echo log")
    t.true("the caller has not ended well", "@@ exit 0" in result.console)
    t.true("no program has started",
           "first: ready" in result.shoji)


@case(vendor=("amd", "intel"), cpus=(1, 2), weight=25)
def program_isolation(t):
    """A program tries to leave its room, in every way."""
    if t.bare:
        return
    result = guest(t, "memory instructions syscalls time")
    t.true("the caller has not ended well", "@@ exit 0" in result.console)


@case(vendor=("amd", "intel"), cpus=(1, 2), weight=25)
def program_services(t):
    """Clock, random bytes, registers, buffers, other programs, interrupts."""
    if t.bare:
        return
    words = "services vectors buffers interrupts"
    if t.cpus > 1:
        words += " both"
    result = guest(t, words + " exit")
    t.true("the caller has not ended well", "@@ exit 0" in result.console)


@case(vendor=("amd", "intel"), weight=25)
def program_callers(t):
    """Processes that die, flood, forge and pass wild arguments."""
    if t.bare:
        return
    result = guest(t, "callers wild")
    t.true("the caller has not ended well", "@@ exit 0" in result.console)
