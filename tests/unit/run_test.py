#!/usr/bin/python3
"""tools/run where something is not as it should be: it says so in one line."""

import importlib.machinery
import importlib.util
import os
import subprocess
import sys

import scripted

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
RUN = os.path.join(TOP, "tools", "run")
sys.dont_write_bytecode = True


def refuses(directory, text, *what):
    path = os.path.join(directory, "t.toml")
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
        f.write(text)
    run = subprocess.run([RUN, path], capture_output=True, text=True,
                         stdin=subprocess.DEVNULL)
    lines = run.stderr.splitlines()
    return run.returncode == 1 and len(lines) == len(what) and \
        all(w in line for w, line in zip(what, lines))


def test_broken_configuration(directory):
    return refuses(directory, "[console]\nserial =\n", "t.toml:2: syntax",
                   "run: mkconfig failed")


def test_another_configuration(directory):
    return refuses(directory, "[console]\n", "not the one of the demonstration")


def test_switched_off(directory):
    """The PC, and not by its guest: the file system is not clean."""
    loader = importlib.machinery.SourceFileLoader("run", RUN)
    run = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("run", loader))
    loader.exec_module(run)
    run.DEMO, run.DISK = directory, os.path.join(directory, "disk")
    with open(run.DISK, "wb") as f:
        f.truncate((run.LAST + 1) * 512)
    try:
        run.show_proof(bytes(range(64)))
    except SystemExit as e:
        return "not powered off" in str(e)
    return False


if __name__ == "__main__":
    scripted.main(globals(), "run_")
