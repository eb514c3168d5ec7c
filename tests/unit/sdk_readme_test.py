#!/usr/bin/python3
"""The first three steps of tools/sdk/README.md, typed as they stand there into
a fresh copy of the tree; then the same program from a folder elsewhere."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
README = os.path.join(TOP, "tools", "sdk", "README.md")
PARTS = ("Makefile", "core", "crypto", "tools")


def commands(step):
    """What is indented in a step of the README."""
    with open(README, encoding="utf-8") as f:
        text = re.search(rf"^{step}\..*?(?=^{step + 1}\.)", f.read(),
                         re.S | re.M)[0]
    return re.sub("^ {8}", "", "".join(re.findall("^(?: {8}.*)?\n", text,
                                                  re.M)), flags=re.M)


def typed(tree, text):
    env = {k: v for k, v in os.environ.items()
           if k not in ("B", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    run = subprocess.run(["sh", "-e", "-c", text], cwd=tree, env=env,
                         capture_output=True, text=True)
    if run.returncode:
        print(text, run.stdout, run.stderr)
    return run


def says_hello(run):
    good = (run.returncode, run.stdout, run.stderr) == \
        (0, "Hello, World!\n", "hello.elf: hello is ready\n")
    if not good:
        print(run)
    return good


def test(scratch):
    tree = os.path.join(scratch, "a tree")
    for part in PARTS:
        source = os.path.join(TOP, part)
        copy = shutil.copytree if os.path.isdir(source) else shutil.copy
        os.makedirs(tree, exist_ok=True)
        copy(source, os.path.join(tree, part))
    for step in (1, 2):
        yield f"step {step}", not typed(tree, commands(step)).returncode
    yield "step 3", says_hello(typed(tree, commands(3)))
    shutil.move(os.path.join(tree, "hello"), os.path.join(scratch, "hello"))
    shutil.rmtree(os.path.join(tree, "build", "programs"), ignore_errors=True)
    yield "a folder elsewhere", says_hello(typed(
        tree, f"make -s program DIR={scratch}/hello\n{commands(3)}"))
    yield "a static PIE", says_hello(typed(
        tree, f"make -s PIE=1 program DIR={scratch}/hello\n{commands(3)}"))
    with open(os.path.join(tree, "build/programs/hello.elf"), "rb") as f:
        yield "ET_DYN", f.read()[16] == 3


def main():
    with tempfile.TemporaryDirectory() as scratch:
        results = list(test(scratch))
    for name, good in results:
        print("PASS" if good else "FAIL", "sdk readme:", name)
    return not all(good for _, good in results)


sys.exit(main())
