"""The SDK where the other cases do not reach: the README's program, in a folder
outside of the tree; a static PIE; and the examples buffer and region."""

import os
import re
import subprocess

import case as cases
from case import ROOT, TOP, Fail, case, shoji_image
from suite.sign import made, read


def program(out, folder, *more):
    """The path of the program that make makes of @folder."""
    run = subprocess.run(
        ["make", "-s", "-C", TOP, f"B={out}", "program", f"DIR={folder}"] +
        list(more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if run.returncode:
        raise Fail("make:\n" + run.stdout.decode(errors="replace"))
    return os.path.join(out, "programs", os.path.basename(folder) + ".elf")


def blocks():
    """What is indented in the README's steps: the source, the keys of
    shoji.toml, and what is typed in the guest."""
    with open(os.path.join(TOP, "tools", "sdk", "README.md"),
              encoding="utf-8") as f:
        text = re.sub("^ {8}", "", f.read(), flags=re.M)
    return (re.search("<<'END'\n(.*?\n)END\n", text, re.S)[1],
            re.search(r"(\[hypercall\].*?)\n\n +and", text, re.S)[1],
            "\n".join(re.findall("^# (.*)", text.split("its shell:")[1],
                                 re.M)))


def hello(t, source):
    folder = t.path("hello")
    os.makedirs(folder)
    with open(os.path.join(folder, "hello.c"), "w", encoding="utf-8") as f:
        f.write(source)
    return program(t.path("build"), folder)


def manifest(name, elf):
    return f'[[program]]\nname = "{name}"\nfile = "{elf}"\ncallers = "user"\n'


@case(vendor=("amd", "intel"), weight=15)
def sdk(t):
    """All of them, in one guest."""
    if t.bare:
        return
    source, keys, typed = blocks()
    pie = program(t.path("pie"), os.path.join(cases.HERE, "sdk", "pie"),
                  "PIE=1")
    toml = ROOT.toml() + \
        keys.replace("build/programs/hello.elf", hello(t, source)) + "\n" + \
        manifest("pie", pie) + manifest("buffer", made("programs/buffer.elf"))
    region = f'file = "{made("programs/region.elf")}"\ncallers = "user"\n'
    toml += '[[region]]\nname = "shared"\nsize_kib = 64\n' \
        f'[[program]]\nname = "giver"\nregions = ["shared:rw"]\n{region}' \
        f'[[program]]\nname = "taker"\nregions = ["shared:ro"]\n{region}' \
        f'[[program]]\nname = "other"\n{region}'
    script = f"cd /tmp\n{typed}\nshojictl send pie name\nreverse\n" \
        "date +shared:%s >sent; shojictl send -t 1 giver sent\n" \
        "check shared sh -c 'shojictl send taker name | cmp - sent'\n" \
        "shojictl send other name 2>&1\n"
    disk = t.boot_disk(script, shoji=shoji_image(toml),
                       files={"bin/shojictl": read("guest/shojictl"),
                              "bin/reverse": read("tests/reverse")})
    result = t.linux([disk])
    out = result.console.replace("\r", "")
    for line in ("hello .*", "Hello, World!", ".*hello: hello is ready",
                 "bias 0x400000 relocated 4 tables 8 999 0",
                 "@@ ok nothing has changed", "@@ ok shared"):
        t.equal(f'lines "{line}"', len(re.findall(f"^{line}$", out, re.M)), 1)
    t.true("a region without a grant",
           'other: the region "shared" is not granted' in result.shoji)
