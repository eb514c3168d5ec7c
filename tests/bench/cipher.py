"""What the cipher alone costs in the emulator: CPU seconds of libcrypto's
AES-256-XTS for 32 MiB in a bare guest, in pieces of 64 KiB; sectors need a
tenth more. A volume cannot be cheaper than the bare machine and this
together."""

import re

SIZE, PIECE = 32 << 20, 64 << 10
SPEED = """
echo "@@ mark {first}"
openssl speed -seconds {time} -bytes {piece} -decrypt -evp aes-256-xts 2>&1 |
	sed -n "s/.*: \\([0-9]*\\) AES.*/@@ did {time} \\1/p"
echo "@@ mark {last}"
"""
SHORT, LONG = 1, 4
# The first run also pays for reading the tool from the disk.
SCRIPT = (SPEED.format(time=SHORT, piece=PIECE, first="x", last="y") +
          SPEED.format(time=SHORT, piece=PIECE, first="a", last="b") +
          SPEED.format(time=LONG, piece=PIECE, first="c", last="d"))


def seconds(t):
    """By the difference of two runs, so that the tool's start is not in it."""
    disk = t.boot_disk(SCRIPT, (), bare=True, name="cipher", root_mib=40,
                       tools=("openssl",))
    machine, result = t.watch(disk, "cipher")
    marks = machine.marks
    did = {int(k): int(n) for k, n in
           re.findall(r"@@ did (\d) (\d+)", result.console)}
    took = marks["d"] - marks["c"] - (marks["b"] - marks["a"])
    return took / ((did[LONG] - did[SHORT]) * PIECE) * SIZE
