"""Two builds of the same sources, in two folders, are the same file."""

import os
import shutil
import subprocess

from case import TOP, Fail, case

SOURCES = ("boot", "core", "crypto", "drivers", "tools")


def copy_sources(folder):
    for name in SOURCES:
        shutil.copytree(os.path.join(TOP, name), os.path.join(folder, name))
    shutil.copy(os.path.join(TOP, "Makefile"), folder)


@case(weight=40, name="reproducible")
def reproducible(t):
    images = []
    for name in ("a", "another/folder with blanks"):
        copy_sources(t.path(name))
        run = subprocess.run(["make", "-s", "B=build", "build/shoji.elf"],
                             cwd=t.path(name), stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
        if run.returncode:
            raise Fail("make:\n" + run.stdout.decode(errors="replace"))
        with open(os.path.join(t.path(name), "build/shoji.elf"), "rb") as f:
            images.append(f.read())
        shutil.rmtree(t.path(name))
    t.true("the two images differ", images[0] == images[1])
