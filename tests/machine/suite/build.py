"""Two builds of the same sources, in two folders, are the same file."""

import os
import shutil
import subprocess

from case import TOP, Fail, case


def copy_sources(folder):
    names = subprocess.run(["git", "-C", TOP, "ls-files", "-z"], check=True,
                           stdout=subprocess.PIPE).stdout.decode()
    for name in filter(None, names.split("\0")):
        source = os.path.join(TOP, name)
        if os.path.exists(source):
            target = os.path.join(folder, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(source, target)


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
