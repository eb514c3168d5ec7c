"""A system with Shoji installed into it by tools/install: the grub.cfg that
grub-mkconfig makes of it boots both passes."""

import glob
import os
import shutil
import subprocess

import guest
import image
from case import (BOOT_MIB, ROOT, ROOT_MIB, TOP, Fail, Volume, case,
                  shoji_image)

UUID = "0b5a5bd5-1c2f-4b2c-9d3e-6a0b5d3c1e77"
# What grub-probe would say there of /boot.
PROBE = f"""#!/bin/sh
for a; do case $a in
--target=device) echo /dev/sda1 ;;
--target=fs) echo ext2 ;;
--target=partmap) echo msdos ;;
--target=compatibility_hint) echo hd0,msdos1 ;;
--target=hints_string) echo --hint-bios=hd0,msdos1 ;;
--target=fs_uuid) echo {UUID} ;;
esac; done
"""
DEFAULTS = """GRUB_TIMEOUT=0
GRUB_DEFAULT=linux
GRUB_TERMINAL=serial
GRUB_SERIAL_COMMAND="serial --unit=1 --speed=115200"
"""
MENU = """#!/bin/sh
cat <<'END'
menuentry 'Linux' --id linux {{
	echo 'Now comes Linux'
	linux /boot/vmlinuz root=PARTUUID={disk_id}-02 rw init=/sbin/init \\
		console=ttyS1,115200 panic=-1
}}
END
"""
MKCONFIG = "/usr/sbin/grub-mkconfig"


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o755)


def edited(path, *changes):
    with open(path) as f:
        text = f.read()
    for old, new in changes:
        if old not in text:
            raise Fail(f"{path} has no {old!r}")
        text = text.replace(old, new)
    return text


def run(command, **env):
    r = subprocess.run(command, env={**os.environ, **env},
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if r.returncode:
        raise Fail(f"{command[0]}: {r.stderr.decode(errors='replace')}")
    return r.stdout.decode()


def make_config(t, tree, elf, disk):
    """Installs into @tree; returns what the real grub-mkconfig, with its
    folders there, makes of the real script."""
    etc, image_file = tree + "/etc", tree + "/boot/shoji.elf"
    run([TOP + "/tools/install", "install"], DESTDIR=tree, IMAGE=elf)
    shutil.copy("/etc/grub.d/00_header", etc + "/grub.d")
    script = etc + "/grub.d/09_shoji"
    put(script, edited(script, ("image=/boot/shoji.elf",
                                "image=" + image_file)))
    put(etc + "/grub.d/40_custom", MENU.format(disk_id=image.disk_id(disk)))
    put(etc + "/default/grub", DEFAULTS)
    probe = t.path("grub-probe")
    put(probe, PROBE)
    mkconfig = t.path("grub-mkconfig")
    put(mkconfig, edited(
        MKCONFIG, ('sysconfdir="/etc"', f'sysconfdir="{etc}"'),
        # there it writes nothing that is root's
        ('if [ "$EUID" != 0 ]', "if false"),
        ('grub_probe="${sbindir}/grub-probe"', f'grub_probe="{probe}"')))
    config = run([mkconfig], grub_probe=probe)
    return config.replace(tree, "")


def make_boot(t, elf, disk):
    tree, boot = t.path("installed"), t.path("boot")
    config = make_config(t, tree, elf, disk)
    put(t.path("grub.cfg"), config)
    image.boot_tree(t.path("boot.tree"),
                    {"shoji.elf": tree + "/boot/shoji.elf",
                     "vmlinuz": guest.tiny_kernel()}, config)
    modules = t.path("boot.tree/boot/grub/i386-pc")
    os.mkdir(modules)
    for kind in ("mod", "lst"):
        for name in glob.glob(f"{image.GRUB_DIR}/*.{kind}"):
            shutil.copy(name, modules)
    image.make_fs(boot, t.path("boot.tree"), BOOT_MIB)
    run(["/sbin/tune2fs", "-U", UUID, boot])
    return boot


def make_system(t, volume):
    """A disk with /boot and a root in @volume, without GRUB."""
    root, disk = t.path("root"), t.path("disk.img")
    guest.root_tree(t.path("root.tree"), "check root true")
    image.make_fs(root, t.path("root.tree"), ROOT_MIB)
    boot = make_boot(t, shoji_image(volume.toml()), disk)
    image.make_disk(disk, [boot, root])
    volume.encrypt(disk)
    for name in ("installed", "boot.tree", "root.tree"):
        shutil.rmtree(t.path(name))
    for name in (root, boot):
        os.unlink(name)
    return disk


def starts(t, disks):
    result = t.linux(disks)
    t.equal("banners", result.shoji.count("memory hidden at"), 1)
    t.equal("starts of Linux", result.console.count("Now comes Linux"), 1)


@case(weight=15)
def install(t):
    if t.bare:
        return
    disk = make_system(t, ROOT)
    image.install_grub(disk)
    starts(t, [disk])


@case(weight=15)
def install_elsewhere(t):
    """The BIOS starts a disk that has GRUB and nothing else: the second pass
    begins there, too, not on the disk with /boot."""
    if t.bare:
        return
    first = t.path("grub.img")
    image.make_disk(first, [], image.FIRST_PART)
    image.install_grub(first, "hd1")
    starts(t, [first, make_system(t, Volume(ROOT.name, ROOT.first, ROOT.last,
                                            unit=1))])
