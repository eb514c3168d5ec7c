"""Instructions of Shoji for one read from a protected disk, without those of
the cipher: the shipped drivers of tests/bench/ahci.c and ide.c under callgrind,
which counts by source file. What is not Shoji's own source (libcrypto, libc,
the harness) is left out; the difference of two counts leaves out the start."""

import os
import re
import subprocess
import tempfile

OWN = re.compile(r"^ *([\d,]+) .*[ /](?:core|crypto|drivers)/\S+\.[ch]:")
FEW, MANY = 50, 250
SIZES = (4096, 131072)


def count(binary, size, times):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        subprocess.run(["valgrind", "-q", "--tool=callgrind",
                        f"--callgrind-out-file={out}", binary, str(size),
                        str(times)], check=True)
        text = subprocess.run(
            ["callgrind_annotate", "--threshold=100", "--auto=no", out], check=True,
            stdout=subprocess.PIPE).stdout.decode()
    return sum(int(m[1].replace(",", "")) for m in
               map(OWN.match, text.splitlines()) if m)


def measure(table, build):
    table.head("Instructions of Shoji for a read, no cipher",
               "AHCI         IDE")
    for size in SIZES:
        few, many = ([count(os.path.join(build, "bench", b), size, n)
                      for b in ("ahci", "ide")] for n in (FEW, MANY))
        ahci, ide = ((m - f) // (MANY - FEW) for f, m in zip(few, many))
        table.row(f"{size // 1024} KiB", f"{ahci:,}       {ide:,}")
