#!/usr/bin/python3
"""tools/mkconfig: each class of error with file, key and line; the blob.

Prints a line "PASS name" or "FAIL name" for each test.
"""

import hashlib
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
MKCONFIG = os.path.join(ROOT, "tools", "mkconfig")
GOOD_KEY = "5d0c6a3be17f92480a6e35c1f7489bd2e4f01b6c83a95d27b0cc417e2f68d935"
GOOD = f'''[console]
serial = "com2"

[[volume]]
name = "root"
bus = "ide"
channel = 1
unit = 0
first_lba = 2048
last_lba = "end"
cipher = "aes-xts-plain64"
key = "{GOOD_KEY}"
'''
# (name, text replaced in GOOD, by what, line, the rest of the message)
ERRORS = [
    ("unknown_key", "unit = 0", "units = 0", 8, "volume.units: unknown key"),
    ("unknown_table", "[console]", "[consoles]", 1, "consoles: unknown key"),
    ("wrong_type", "unit = 0", 'unit = "0"', 8,
     "volume.unit: wrong type: wants a number, not a string"),
    ("wrong_type_bool", "unit = 0", "unit = true", 8,
     "volume.unit: wrong type: wants a number, not a boolean"),
    ("wrong_type_table", "[[volume]]", "[volume]", 4,
     "volume: wrong type: wants tables [[volume]]"),
    ("wrong_type_root", '[console]\nserial = "com2"', "conceal = 5", 1,
     "conceal: wrong type: wants tables [[conceal]]"),
    ("out_of_range", "unit = 0", "unit = 256", 8,
     "volume.unit: 256 is out of range, 0 to 255"),
    ("missing_key_name", 'name = "root"\n', "", 4, "volume.name: missing key"),
    ("missing_key_first", "first_lba = 2048\n", "", 4,
     "volume.first_lba: missing key"),
    ("missing_key_last", 'last_lba = "end"\n', "", 4,
     "volume.last_lba: missing key: wants last_lba or sectors"),
    ("missing_key_cipher", 'cipher = "aes-xts-plain64"\n', "", 4,
     "volume.cipher: missing key"),
    ("missing_key_key", f'key = "{GOOD_KEY}"\n', "", 4,
     "volume.key: missing key: wants key or key_file"),
    ("missing_match", 'bus = "ide"\nchannel = 1\nunit = 0\n', "", 4,
     "volume.bus: missing key: wants at least one of"),
    ("match_without_bus", 'bus = "ide"\n', "", 6,
     "volume.channel: means nothing without bus"),
    ("both_ends", 'last_lba = "end"', 'last_lba = "end"\nsectors = 5', 10,
     "volume.last_lba: missing key: wants last_lba or sectors, one of"),
    ("bad_bus", '"ide"', '"scsi"', 6, 'volume.bus: "scsi" is not one of'),
    ("bad_cipher", "plain64", "plain", 11,
     'volume.cipher: "aes-xts-plain" is not one of aes-xts-plain64'),
    ("bad_serial", "com2", "com5", 2, 'console.serial: "com5" is not one of'),
    ("bad_trim", "[console]", "[ata]\ntrim = 1\n[console]", 2,
     "ata.trim: wrong type: wants true or false, not a number"),
    ("bad_bounce", "[console]", "[ata]\nbounce_kib = 66\n[console]", 2,
     "ata.bounce_kib: 66 is not a multiple of 4"),
    ("range_backwards", '"end"', "2047", 10,
     "volume.last_lba: lies before first_lba"),
    ("key_not_hex", GOOD_KEY, "x" + GOOD_KEY[1:], 12,
     "volume.key: has characters besides hex digits"),
    ("key_too_short", GOOD_KEY, GOOD_KEY[:62], 12,
     "volume.key: wrong length: 62 hex digits"),
    ("key_too_long", GOOD_KEY, GOOD_KEY + "00", 12,
     "volume.key: wrong length: 66 hex digits"),
    ("key_weak_equal", GOOD_KEY, "00" * 32, 12,
     "volume.key: weak key: all bytes are equal"),
    ("key_weak_halves", GOOD_KEY, GOOD_KEY[:32] * 2, 12,
     "volume.key: weak key: its halves are equal"),
    ("key_weak_half", GOOD_KEY, GOOD_KEY[:32] + "11" * 16, 12,
     "volume.key: weak key: all bytes of a half are equal"),
    ("key_weak_counting", GOOD_KEY, bytes(range(32)).hex(), 12,
     "volume.key: weak key: it is far from random"),
    ("key_weak_few", GOOD_KEY, "0123456789abcdef" * 3 + "fedcba9876543210", 12,
     "volume.key: weak key: it is far from random"),
    ("key_and_file", 'key = "', 'key_file = "k"\nkey = "', 13,
     "volume.key: missing key: wants key or key_file, one of them"),
    ("key_file_missing", f'key = "{GOOD_KEY}"', 'key_file = "none.key"', 12,
     "volume.key_file: cannot read it: No such file"),
    ("key_file_length", f'key = "{GOOD_KEY}"', 'key_file = "short.key"', 12,
     "volume.key_file: wrong length: 31 bytes"),
    ("syntax", "unit = 0", "unit 0", 8, "syntax: "),
    ("syntax_end", f'key = "{GOOD_KEY}"\n', 'key = """', 12, "syntax: "),
    ("duplicate", "unit = 0", "unit = 0\nunit = 0", 9, "syntax: Cannot overw"),
    ("overlap", "x", "x", 17, "volume.first_lba: overlapping ranges"),
    ("name_twice", "x", "x", 14, "volume.name: is the name of another"),
    ("too_many", "x", "x", 16 * 11 + 1, "volume: too many volumes: 17"),
    ("conceal_empty", "[console]", "[[conceal]]\n[console]", 1,
     "conceal: missing key"),
    ("conceal_class", "[console]", '[[conceal]]\nclass = "c03"\n[console]', 2,
     "conceal.class: wants 2, 4 or 6 hex digits"),
    ("conceal_address", "[console]", '[[conceal]]\naddress = "0:1.2"\n[console]',
     2, "conceal.address: wants [segment:]bus:device.function"),
    ("program_no_image", "[console]", '[[program]]\nname = "p"\n[console]', 1,
     "program.file: missing key: wants file (to embed) or sha256"),
    ("program_sha256", "[console]",
     '[[program]]\nname = "p"\nsha256 = "00"\n[console]', 3,
     "program.sha256: wants 64 hex digits"),
    ("program_file", "[console]",
     '[[program]]\nname = "p"\nfile = "short.key"\n[console]', 3,
     "program.file: is not an ELF file"),
    ("program_memory", "[console]", '[[program]]\nname = "p"\nmemory_kib = 512'
     f'\nsha256 = "{GOOD_KEY}"\n[console]', 3,
     "program.memory_kib: is too little for the stack and the messages"),
    ("program_pages", "[console]", '[[program]]\nname = "p"\nstack_kib = 5'
     f'\nsha256 = "{GOOD_KEY}"\n[console]', 3,
     "program.stack_kib: 5 is not a multiple of 4"),
    ("program_sends", "[console]", '[[program]]\nname = "p"\nsends = ["q"]'
     f'\nsha256 = "{GOOD_KEY}"\n[console]', 3,
     'program.sends: no program "q"'),
    ("region_unknown", "[console]", '[[program]]\nname = "p"\n'
     f'regions = ["q:ro"]\nsha256 = "{GOOD_KEY}"\n[console]', 3,
     'program.regions: no region "q"'),
    ("region_access", "[console]", '[[program]]\nname = "p"\n'
     'regions = ["q"]\n[console]', 3,
     'program.regions: wants "name:ro" or "name:rw", not "q"'),
    ("region_granted_twice", "[console]", '[[program]]\nname = "p"\n'
     'regions = ["q:ro", "q:rw"]\n[console]', 3,
     'program.regions: names "q" twice'),
    ("region_size", "[console]", '[[region]]\nname = "r"\n[console]', 1,
     "region.size_kib: missing key"),
    ("region_large", "[console]",
     '[[region]]\nname = "r"\nsize_kib = 8196\n[console]', 3,
     "region.size_kib: 8196 is out of range, 4 to 8192"),
    ("region_twice", "[console]", 2 * '[[region]]\nname = "r"\nsize_kib = 4\n'
     + "[console]", 5, "region.name: is the name of another region"),
    ("regions_many", "[console]", "".join(
        f'[[region]]\nname = "{i}"\nsize_kib = 4\n' for i in range(9))
     + "[console]", 25, "region: too many regions: 9"),
    ("hypercall", "[console]", '[hypercall]\nallow = "all"\n[console]', 2,
     'hypercall.allow: "all" is not one of none, kernel, user'),
    ("program_file_name", "[console]",
     '[[program]]\nname = "p"\nfile = "a\\u0000b"\n[console]', 3,
     "program.file: cannot read it: embedded null byte"),
    ("syntax_digits", "unit = 0", "unit = " + "9" * 5000, 13,
     "syntax: Exceeds the limit (4300 digits)"),
    ("syntax_deep", "unit = 0", "unit = " + "[" * 3000, 13, "syntax: maximum"),
    # The line finder must not be led astray by what only looks like a key.
    ("in_a_string", 'serial = "com2"', 'serial = """\nunit = 5\n"""', 2,
     "console.serial: "),
    ("after_other_line_ends", '[console]\nserial = "com2"',
     '# \u2028unit = 5\u0085\r\n[console]\r\nserial = "com9"', 3,
     'console.serial: "com9" is not one of'),
    ("after_an_array", 'serial = "com2"', 'serial = [\n"]", # ]\n]', 2,
     "console.serial: wrong type"),
]
SECOND = '''[[volume]]
name = "%s"
bus = "ide"
channel = %d
first_lba = %d
sectors = 100
cipher = "aes-xts-plain64"
key = "e4f01b6c83a95d27b0cc417e2f68d9355d0c6a3be17f92480a6e35c1f7489bd2"
'''
MANY = '''[[volume]]
name = "v%d"
bus = "ide"
channel = 0
unit = 0
first_lba = %d
sectors = 100
cipher = "aes-xts-plain64"
key = "e4f01b6c83a95d27b0cc417e2f68d9355d0c6a3be17f92480a6e35c1f7489bd2"

#
'''
SPECIAL = {
    "overlap": GOOD + SECOND % ("two", 1, 2047),
    "name_twice": GOOD + SECOND % ("root", 0, 0),
    "too_many": "".join(MANY % (i, i * 100) for i in range(17)),
}


def run(directory, text, *args):
    path = os.path.join(directory, "t.toml")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as f:
        f.write(text)
    return subprocess.run([MKCONFIG, "t.toml", *args], cwd=directory,
                          capture_output=True, text=True, check=False)


def test_error(directory, name, old, new, line, message):
    text = SPECIAL.get(name, GOOD.replace(old, new, 1))
    got = run(directory, text, "--check")
    want = f"t.toml:{line}: {message}"
    ok = got.returncode == 1 and any(
        x.startswith(want) for x in got.stderr.splitlines())
    if not ok:
        print(f"wanted {want!r}, got {got.returncode} {got.stderr!r}")
    return ok and GOOD_KEY not in got.stderr


def blob_of(directory, text):
    got = run(directory, text, "-o", "blob")
    if got.returncode:
        print(got.stderr)
        return b"", got.stderr
    path = os.path.join(directory, "blob")
    with open(path, "rb") as f:
        blob = f.read()
    if os.stat(path).st_mode & 0o077:
        print("others may read the blob")
        return b"", ""
    os.remove(path)
    return blob, got.stderr


def test_blob(directory):
    """Offsets written out from core/config.h, version 1."""
    blob, err = blob_of(directory, GOOD)
    want = b"SHOJICFG" + struct.pack("<IIIHBBB7x", 1, 32 + 188,
                                     zlib.crc32(blob[20:]), 0x2F8, 0, 1, 0)
    v = blob[32:]
    return (not err and blob[:32] == want and len(blob) == 32 + 188
            and v[:32] == b"root".ljust(32, b"\0")
            and v[32:40] == b"ide".ljust(8, b"\0") and v[40:102] == bytes(62)
            and v[102] == 0b1101 and v[103:106] == b"\0\1\0"
            and v[106:108] == b"\x20\1"
            and v[108:124] == struct.pack("<QQ", 2048, 2**64 - 1)
            and v[124:] == bytes.fromhex(GOOD_KEY) + bytes(32))


def test_blob_conceal(directory):
    blob, _ = blob_of(directory, '[[conceal]]\nclass = "0c03"\n[[conceal]]\n'
                      'vendor = 0x8086\naddress = "0001:02:1f.7"\n')
    return blob[32:] == (
        bytes.fromhex("04020000000000000000000000030c00")
        + bytes.fromhex("0900868000000100021f070000000000"))


def test_programs(directory):
    """What is embedded comes once, and its hash is the manifest's."""
    elf = b"\x7fELF" + bytes(range(33))
    write_file(directory, "p", elf, 0o644)
    text = '[[program]]\nname = "a"\nfile = "p"\n[[program]]\nname = "b"\n' \
        'file = "p"\n'
    got = run(directory, text, "-o", "blob", "--programs", "images")
    with open(os.path.join(directory, "images"), "rb") as f:
        images = f.read()
    with open(os.path.join(directory, "blob"), "rb") as f:
        blob = f.read()
    digest = hashlib.sha256(elf).digest()
    return (not got.returncode and blob[64:96] == digest
            and blob[160:192] == digest and len(blob) == 32 + 2 * 96
            and images == struct.pack("<Q", 37) + elf + bytes(3))


def test_no_blob_alone(directory):
    """make would take what goes with it to be new as well."""
    got = [run(directory, "", "-o", "alone", what, "no/such")
           for what in ("--programs", "--deps")]
    return all(r.returncode == 1 and "no/such" in r.stderr for r in got) and \
        not os.path.exists(os.path.join(directory, "alone"))


def test_blob_default(directory):
    blob, _ = blob_of(directory, "")
    return blob[20:] == struct.pack("<HBBB7x", 0x3F8, 0, 0, 0)


def test_blob_repeats(directory):
    return blob_of(directory, GOOD) == blob_of(directory, GOOD)


def write_file(directory, name, data, mode):
    path = os.path.join(directory, name)
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)


def test_key_files(directory):
    """Bare bytes and hex digits give the same blob as the inline key."""
    raw = bytes.fromhex(GOOD_KEY)
    inline, _ = blob_of(directory, GOOD)
    text = GOOD.replace(f'key = "{GOOD_KEY}"', 'key_file = "k"')
    for data in (raw, GOOD_KEY.encode() + b"\n"):
        write_file(directory, "k", data, 0o600)
        if blob_of(directory, text) != (inline, ""):
            return False
    write_file(directory, "k", raw, 0o644)
    blob, err = blob_of(directory, text)
    return blob == inline and err == (
        "t.toml:12: volume.key_file: warning: others may read the key in k\n")


def test_several_errors(directory):
    """All are reported, by line."""
    text = GOOD.replace("com2", "com9").replace("unit = 0", "unit = -1")
    got = run(directory, text, "--check").stderr.splitlines()
    return [x.split(": ")[0] for x in got] == ["t.toml:2", "t.toml:8"]


def test_same_key_warns(directory):
    text = GOOD + SECOND % ("two", 0, 0)
    text = text.replace("e4f01b6c83a95d27b0cc417e2f68d9355d0c6a3be17f92480a6e"
                        "35c1f7489bd2", GOOD_KEY)
    got = run(directory, text, "--check")
    return got.returncode == 0 and "volume root has the same key" in got.stderr


def test_other_device_no_overlap(directory):
    text = GOOD + SECOND % ("two", 0, 2048)
    return run(directory, text, "--check").returncode == 0


def test_new_key(directory):
    def make(*args):
        return subprocess.run([MKCONFIG, "--new-key", *args], cwd=directory,
                              capture_output=True, text=True, check=True).stdout
    first, second = make().strip(), make().strip()
    make("256", "-o", "n.key")
    made = os.stat(os.path.join(directory, "n.key"))
    text = GOOD.replace(f'key = "{GOOD_KEY}"', 'key_file = "n.key"')
    return (len(first) == 128 and first != second and made.st_size == 32
            and made.st_mode & 0o077 == 0
            and run(directory, GOOD.replace(GOOD_KEY, first), "--check")
            .returncode == 0 and run(directory, text, "--check")
            .returncode == 0)


def test_no_key_is_overwritten(directory):
    write_file(directory, "old.key", b"in use", 0o600)
    got = subprocess.run([MKCONFIG, "--new-key", "-o", "old.key"],
                         cwd=directory, capture_output=True, text=True)
    with open(os.path.join(directory, "old.key"), "rb") as f:
        return (got.returncode == 1 and "is there already" in got.stderr
                and f.read() == b"in use")


def test_random_keys_pass(_):
    """No random key is ever called weak."""
    names = {"__name__": "mkconfig"}
    with open(MKCONFIG, encoding="utf-8") as f:
        exec(compile(f.read(), MKCONFIG, "exec"), names)
    return all(names["weakness"](os.urandom(32 + n % 2 * 32)) is None
               for n in range(5000))


def test_deps(directory):
    write_file(directory, "k", bytes.fromhex(GOOD_KEY), 0o600)
    text = GOOD.replace(f'key = "{GOOD_KEY}"', 'key_file = "k"')
    run(directory, text, "-o", "b", "--deps", "b.d")
    with open(os.path.join(directory, "b.d"), encoding="utf-8") as f:
        return f.read() == "b: k\nk:\n"


def test_deps_of_any_name(directory):
    """A changed key is taken, however its file is called; where make has no
    way to write the name an unchanged one is, too."""
    names = [(name, 0) for name in ("my key", "k#1", "k$x", "k:1")] + \
        [(name, 1) for name in ("k=1", "k;1", "k%", "k*", "k|1", "~k", "k\\1")]
    for name, unchanged in names:
        write_file(directory, name, bytes.fromhex(GOOD_KEY), 0o600)
        write_file(directory, "makefile", b"b: ; :\ninclude b.d\n", 0o600)
        run(directory, GOOD.replace(f'key = "{GOOD_KEY}"',
                                    f"key_file = '{name}'"),
            "-o", "b", "--deps", "b.d")
        for age, status in ((9, unchanged), (-9, 1)):
            when = time.time() - age
            os.utime(os.path.join(directory, name), (when, when))
            os.utime(os.path.join(directory, "b"), (when + age,) * 2)
            got = subprocess.run(["make", "-q", "b"], cwd=directory,
                                 stderr=subprocess.DEVNULL).returncode
            if got != status:
                print(name, age, got)
                return False
    return True


def test_shipped_files(_):
    got = subprocess.run([MKCONFIG, "--check", "tools/default.toml"], cwd=ROOT,
                         capture_output=True, text=True, check=False)
    example = subprocess.run([MKCONFIG, "--check", "tools/example.toml"],
                             cwd=ROOT, capture_output=True, text=True,
                             check=False).stderr.splitlines()
    errors = [x for x in example if ": warning: " not in x]
    return got.returncode == 0 and not got.stderr and [
        x.split(":", 2)[2] for x in errors] == [
        " volume.key_file: cannot read it: No such file or directory"]


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        write_file(directory, "short.key", bytes(range(31)), 0o600)
        cases = [("mkconfig_error_" + e[0],
                  lambda d, e=e: test_error(d, *e)) for e in ERRORS]
        cases += [("mkconfig_" + n[5:], f) for n, f in globals().items()
                  if n.startswith("test_") and n != "test_error"]
        for name, fn in cases:
            ok = fn(directory)
            failed += not ok
            print("PASS" if ok else "FAIL", name)
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
