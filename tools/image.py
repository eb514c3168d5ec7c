#!/usr/bin/python3
"""Guest disk images, made without root and without loop devices.

A disk is an MBR partition table, GRUB (i386-pc) in the gap before the first
partition, and partitions whose contents are files. Ranges can be encrypted
and decrypted as Shoji does it (AES-XTS, the tweak is the LBA of the sector on
the disk: Linux' aes-xts-plain64), with an implementation that is not Shoji's.

As a program:
  image.py crypt|decrypt IMAGE FIRST LAST KEYHEX [OUTPUT]
"""

import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

SECTOR = 512
FIRST_PART = 2048               # sectors: GRUB's core.img lies before it
GRUB_DIR = "/usr/lib/grub/i386-pc"
GRUB_MODULES = """biosdisk part_msdos ext2 multiboot multiboot2 linux memrw
	normal test echo serial terminal boot configfile ls cat halt
	reboot sleep search iorw""".split()


# ---- encryption ---------------------------------------------------------

def xts(key, lba, data, encrypt):
    """Encrypts or decrypts whole sectors, of which the first is @lba."""
    aes = algorithms.AES(key)
    out = bytearray(len(data))
    for off in range(0, len(data), SECTOR):
        tweak = (lba + off // SECTOR).to_bytes(16, "little")
        c = Cipher(aes, modes.XTS(tweak))
        c = c.encryptor() if encrypt else c.decryptor()
        out[off:off + SECTOR] = c.update(data[off:off + SECTOR])
    return bytes(out)


def read_sectors(path, first, count):
    with open(path, "rb") as f:
        f.seek(first * SECTOR)
        return f.read(count * SECTOR)


def write_sectors(path, first, data):
    with open(path, "r+b") as f:
        f.seek(first * SECTOR)
        f.write(data)


def decrypted(path, first, last, key):
    """The plaintext of the sectors @first to @last of an image."""
    return xts(key, first, read_sectors(path, first, last - first + 1), False)


def encrypt_range(path, first, last, key):
    data = read_sectors(path, first, last - first + 1)
    write_sectors(path, first, xts(key, first, data, True))


# ---- file systems -------------------------------------------------------

def make_fs(path, tree, mib, kind="ext2"):
    """A file system of @mib MiB that holds the files of the folder @tree."""
    if os.path.exists(path):
        os.unlink(path)
    subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", kind, "-b", "1024",
                    "-O", "^resize_inode",
                    "-E", "root_owner=0:0", "-d", tree, path, f"{mib}M"],
                   check=True, stdout=subprocess.DEVNULL)


def check_fs(path):
    """None if e2fsck finds the file system clean, else what it says."""
    r = subprocess.run(["/sbin/e2fsck", "-f", "-n", path],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return None if r.returncode == 0 else r.stdout.decode(errors="replace")


def fs_file(fs, name):
    """The contents of the file @name in the file system image @fs."""
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["/sbin/debugfs", "-R", f"dump {name} {out.name}", fs],
                       check=True, stderr=subprocess.DEVNULL)
        return out.read()


# ---- disks --------------------------------------------------------------

def partition_table(parts):
    """The 64 bytes at 446, and the mark; @parts: (first, count) or None."""
    table = b""
    for i in range(4):
        if i >= len(parts):
            table += bytes(16)
            continue
        first, count = parts[i]
        chs = b"\xfe\xff\xff"
        table += struct.pack("<B3sB3sII", 0x80 if i == 0 else 0, chs, 0x83,
                             chs, first, count)
    return table + b"\x55\xaa"


def disk_id(path):
    """The signature in the MBR of a disk that is made at @path: Linux finds
    its second partition as root=PARTUUID=(this)-02."""
    return hashlib.sha256(os.path.realpath(path).encode()).digest()[:4].hex()


def make_disk(path, contents, sectors=0):
    """A disk with one partition for each of the files @contents.

    It is sparse and has at least @sectors sectors. Returns the partitions
    as a list of (first, last)."""
    parts, next_lba = [], FIRST_PART
    for name in contents:
        count = -(-os.path.getsize(name) // SECTOR)
        parts.append((next_lba, count))
        next_lba += -(-count // FIRST_PART) * FIRST_PART
    with open(path, "wb") as f:
        f.truncate(max(next_lba, sectors) * SECTOR)
        f.seek(440)
        f.write(bytes.fromhex(disk_id(path))[::-1] + bytes(2))
        f.write(partition_table(parts))
        for name, (first, _) in zip(contents, parts):
            f.seek(first * SECTOR)
            with open(name, "rb") as g:
                shutil.copyfileobj(g, f)
    return [(first, first + count - 1) for first, count in parts]


def install_grub(path, disk="hd0"):
    """boot.img in the MBR, core.img from LBA 1; reads /boot/grub/grub.cfg
    of the first partition of @disk, as GRUB calls it."""
    with tempfile.TemporaryDirectory() as tmp:
        core = os.path.join(tmp, "core.img")
        subprocess.run(["grub-mkimage", "-O", "i386-pc", "-o", core, "-p",
                        f"({disk},msdos1)/boot/grub"] + GRUB_MODULES,
                       check=True)
        with open(core, "rb") as f:
            data = f.read()
    assert len(data) <= (FIRST_PART - 1) * SECTOR
    with open(os.path.join(GRUB_DIR, "boot.img"), "rb") as f:
        boot = f.read(440)
    with open(path, "r+b") as f:
        f.write(boot)
        f.seek(SECTOR)
        f.write(data)


def grub_cfg(shoji, linux, serial=1):
    """The two passes: Shoji first, the guest's kernel when Shoji runs, as
    tools/grub/09_shoji does it for an installed system.

    @shoji, @linux: GRUB commands, @shoji "" for a disk without Shoji."""
    text = f"""serial --unit={serial} --speed=115200
terminal_output console serial
"""
    if shoji:
        text += f"""read_dword -v mark 0x4f0
read_dword -v vector 0x4f4
read_dword -v int15 0x54
if [ "$mark" != 4a4f4853 -o "$vector" != "$int15" ]; then
	echo "GRUB: first pass, loading Shoji"
	{shoji}
	boot
	sleep 5
	halt
fi
echo "GRUB: second pass, under Shoji"
"""
    return text + linux + "\nboot\n"


def boot_tree(folder, files, cfg):
    """The contents of a boot partition: @files maps names in /boot to paths."""
    grub = os.path.join(folder, "boot", "grub")
    os.makedirs(grub)
    for name, src in files.items():
        shutil.copyfile(src, os.path.join(folder, "boot", name))
    with open(os.path.join(grub, "grub.cfg"), "w") as f:
        f.write(cfg)


def main(argv):
    if len(argv) < 6 or argv[1] not in ("crypt", "decrypt"):
        sys.exit(__doc__)
    first, last, key = int(argv[3]), int(argv[4]), bytes.fromhex(argv[5])
    data = read_sectors(argv[2], first, last - first + 1)
    data = xts(key, first, data, argv[1] == "crypt")
    if len(argv) > 6:
        with open(argv[6], "wb") as f:
            f.write(data)
    else:
        write_sectors(argv[2], first, data)


if __name__ == "__main__":
    main(sys.argv)
