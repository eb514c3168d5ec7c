#!/usr/bin/python3
"""tests/bench: each program that runs on this machine, for a few rounds, and
bench.py with guests that are not run: disks that are scripts only, consoles and
traces with lines as real ones have. How fast anything is does not matter here.

Prints a line "PASS name" or "FAIL name" for each test.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import scripted

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
B = os.environ.setdefault("B", os.path.join(TOP, "build"))
sys.path.insert(0, os.path.join(TOP, "tests", "bench"))

import bench                                            # noqa: E402
import case                                             # noqa: E402
import cipher                                           # noqa: E402
import instructions                                     # noqa: E402
import messages                                         # noqa: E402
import path_count                                       # noqa: E402
import sign_rate                                        # noqa: E402
from suite import sign                                  # noqa: E402
from watched import Watched                             # noqa: E402

IDE = f"{B}/bench/ide"
with open("/proc/cpuinfo") as cpuinfo:
    AES = " aes " in cpuinfo.read()     # else there is nothing to compare


def ran(name, *args):
    """What it printed; 1 is the status of what is too slow."""
    run = subprocess.run([f"{B}/bench/{name}", *args], capture_output=True,
                         text=True)
    if run.returncode not in (0, 1) or run.stderr:
        print(name, run)
        return "failed"
    return run.stdout


def rows(name, count):
    """Of a table: all of them, full of numbers, and the verdict after them."""
    out = ran(name, "2")
    if not AES:
        return "no AES-NI" in out
    return re.fullmatch(r".*\n(\w+ .*( \d+\.\d\d\b.*){7}\n){%d}%s: worst ratio"
                        r".* \d\.\d\d, wanted 0\.\d\d: (ok|MISSED)\n" %
                        (count, name), re.sub("(?m)^ +", "", out))


def test_xts(_):
    return rows("xts", 4)


def test_ahci(_):
    return rows("ahci", 3)


def test_reads_that_are_counted(_):
    return all(ran(name, size, "2") == "" or not AES
               for name in ("ahci", "ide") for size in ("4096", "131072"))


def test_alloc(_):
    return re.fullmatch(r"malloc/free pairs: SDK \d+\.\d M/s, glibc \d+\.\d "
                        r"M/s, ratio \d+\.\d\d\n", ran("alloc", "100000"))


def test_sign_rate(_):
    p = sign_rate.Program()
    with p.child:
        reply = p.send(sign_rate.request(sign_rate.P256, sign_rate.ECDSA, 3))
        good = len(reply) == 16 + 3 * (4 + 64) and \
            p.rate(sign_rate.RSA, sign_rate.PKCS1, 2, 0.01) > 0
    return good and sign_rate.native("ecdsap256", 1) > 0


def test_cipher_in_the_guest(_):
    script = cipher.SPEED.format(time=1, piece=512, first="a", last="b")
    out = subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE)
    return re.fullmatch(rb"@@ mark a\n@@ did 1 \d+\n@@ mark b\n", out.stdout)


# ---- bench.py ------------------------------------------------------------

CPUID, OUT, NPF = (f"vmrun! 000000000f8cb000\nvmexit({e})!\n" for e in (
    "00000072, 0000000000000000, 0000000000000000, 0000000000009327",
    "0000007b, 0000000001f70010, 000000000000ad20, 000000000000ad1f",
    "00000400, 0000000100000006, 00000000febf1038, ffffffff81234567"))
CONSOLE = "".join(f"@@ mark {k}-{n}-{way}\n@@ rate {k} {n} {way}: 48, 157.9/s\n"
                  f"@@ mark {k}-{n}-{way}-end\n"
                  for k in ("RSA-2048", "P-256") for n in (1, 64)
                  for way in ("program", "native", "cold")) + """@@ mark 1
@@ begin before
{"cpus":[{"total":5000}]}
@@ end-of before 0
@@ empty 9236 ns
@@ begin after
{"cpus":[{"total":7500}]}
@@ end-of after 0
@@ did 1 124
@@ did 4 3524
@@ rounds 0 bytes 1000 times 6584266 ticks 1000 calls 2000 exits
@@ rounds 65536 bytes 200 times 11768666 ticks 200 calls 200 exits
@@ mark 2
@@ end
"""
LOG = "shoji: Shoji 0.1, AMD-V, 1 CPU, 6 MiB of memory hidden at 0xbf800000"
PRINTED = (r"CPU-bound, .*\n",
           r"start to power-off, no volume +0 +<= 1,000  ok\n.*; besides 10 CP",
           r"read, encrypted disk, mean +2\.00 +<= 8  ok\n",
           r"read, median +2 +<= 8  ok\n +1.00 out 0x1f7, 1.00 NPF 0xfebf1000",
           r"8 MiB of 4 KiB reads, depth 32 +2\.93 +2\.93\n",
           r"guest, of 4 GiB +6 MiB +<= 16 MiB  ok\n",
           r"an empty one +6,584 instr.*\n +its exits +2\.00 +<= 2  ok\n",
           r"those of everything else +2\.50 +<= 2  MISSED\n",
           r"P-256, 64 per message +157\.9 / 157\.9, 1\.00 +>= 0\.9  ok\n") + \
    AES * (r"  4 KiB +[1-9][\d,]+ +[1-9][\d,]+\n",)


def script_disk(t, script, *_, name="disk", **_more):
    with open(t.path(f"{name}.img"), "w") as f:
        f.write(script)
    subprocess.run(["sh", "-n", f.name], check=True)
    return f.name


def no_disk(t, *_, name="disk", **_more):
    return script_disk(t, "", name=name)


class Guest(Watched):
    """After the script's n-th mark, n * 1000 commands of two exits each."""

    def run(self, until=None, limit=0, steps=()):
        with open(self.disks[0].path) as f:
            marks = re.findall('echo "(@@ mark .*)"', f.read())
        with open(self.com2, "w") as console, \
                open(self.trace or os.devnull, "w") as trace:
            for n, mark in enumerate(["@@ start"] + marks + [CONSOLE]):
                print(mark, file=console, flush=True)
                self.look(os.getpid())
                trace.write((OUT + NPF) * 1000 * n * (mark != CONSOLE))
                trace.write(CPUID * 10 * (n == 0))
                trace.flush()
        return SimpleNamespace(
            console=self.text(self.com2), shoji=LOG, status=0, seconds=1.0,
            ended="text" if until and re.search(until, LOG) else "off")


def test_all_of_the_table(directory):
    function = bench.function
    for where, name, value in (
            (case, "WORK", directory), (case, "Machine", Guest),
            (case.Test, "boot_disk", script_disk), (bench, "Watched", Guest),
            (bench, "kernel_disk", no_disk), (bench, "start_disk", no_disk),
            (bench, "test_kernel", str), (bench, "shoji_image", lambda _: IDE),
            (bench, "function", lambda *_: function(IDE, "main")),
            (bench, "ROUNDS", 1), (bench, "ACCEL", "tcg"),
            (instructions, "measure", lambda run, _, entry: run([]) or
             dict.fromkeys(("guest", "entry", "mbr"), entry)),
            (messages, "kernel_disk", no_disk), (messages, "config", str),
            (path_count, "FEW", 1), (path_count, "MANY", 3),
            (path_count, "SIZES", (4096,)), (sign, "boot_disk", script_disk)):
        setattr(where, name, value)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        bench.main()
    missing = [p for p in PRINTED if not re.search(p, out.getvalue())]
    if missing:
        print(out.getvalue(), *missing, sep="\n")
    return not missing


if __name__ == "__main__":
    scripted.main(globals(), "bench_")
