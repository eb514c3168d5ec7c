#!/usr/bin/python3
"""tools/install and the GRUB script, in a directory of their own.

Prints a line "PASS name" or "FAIL name" for each test.
"""

import os
import subprocess

import scripted

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
# Answers as for a /boot on the first DOS partition of the first disk.
GRUB_PROBE = """#!/bin/sh
for a; do case $a in
--target=device) echo /dev/sda1 ;;
--target=fs) echo ext2 ;;
--target=partmap) echo msdos ;;
--target=compatibility_hint) echo hd0,msdos1 ;;
--target=fs_uuid) echo 0b5a5bd5-1c2f-4b2c-9d3e-6a0b5d3c1e77 ;;
esac; done
"""


def run(directory, what, **env):
    return subprocess.run(
        [os.path.join(ROOT, "tools", "install"), what], check=False,
        capture_output=True, text=True,
        env={**os.environ, "DESTDIR": os.path.join(directory, "dest"), **env})


def install(directory, **env):
    image = os.path.join(directory, "image")
    with open(image, "wb") as f:
        f.write(b"an image")
    return run(directory, "install", IMAGE=image, **env)


def files(directory):
    dest = os.path.join(directory, "dest")
    found = []
    for top, _, names in os.walk(dest):
        for name in names:
            path = os.path.join(top, name)
            mode = os.stat(path).st_mode & 0o777
            found.append(f"{os.path.relpath(path, dest)} {mode:o}")
    return sorted(found)


def test_installs(directory):
    """The image, which holds keys, is for root only; twice is as once."""
    return all(install(directory).returncode == 0 and files(directory) == [
        "boot/shoji.elf 600", "etc/grub.d/09_shoji 755"] for _ in range(2))


def test_uninstalls(directory):
    """Also what an installation has left that broke off: it holds keys."""
    install(directory)
    for name in ("vmlinuz", "shoji.elf.new"):
        other = os.path.join(directory, "dest", "boot", name)
        with open(other, "wb"):
            os.chmod(other, 0o644)
    return all(run(directory, "uninstall").returncode == 0 and
               files(directory) == ["boot/vmlinuz 644"] for _ in range(2))


def test_refuses_without_image(directory):
    got = run(directory, "install", IMAGE=os.path.join(directory, "none"))
    return (got.returncode == 1 and "run make first" in got.stderr and
            files(directory) == [])


def test_refuses_another_configuration(directory):
    """An image without a volume must not be taken for one with."""
    with open(os.path.join(directory, "config.name"), "w") as f:
        f.write("tools/default.toml\n")
    got = install(directory, WANTED="my.toml")
    return (got.returncode == 1 and "run make CONFIG=my.toml" in got.stderr and
            files(directory) == [] and
            install(directory, WANTED="tools/default.toml").returncode == 0 and
            install(directory).stdout.endswith("from tools/default.toml\n"))


def test_refuses_what_is_not_made_anew(directory):
    """The last make of this configuration has failed, or it was not made
    since the configuration was changed."""
    image, toml, name = (os.path.join(directory, n)
                         for n in ("image", "my.toml", "config.name"))
    for path in (image, toml, name):
        with open(path, "w") as f:
            f.write(toml)
    for newer in (toml, name):
        for path in (image, toml, name):
            os.utime(path, (1, 9 if path == newer else 5))
        got = run(directory, "install", IMAGE=image, WANTED=toml)
        if got.returncode != 1 or f"run make CONFIG={toml}" not in got.stderr:
            return False
    os.utime(name, (1, 5))
    return files(directory) == [] and \
        run(directory, "install", IMAGE=image).returncode == 0


def test_refuses_other_words(directory):
    return run(directory, "remove").returncode == 2


def grub_script(directory, image):
    """What grub-mkconfig would get for an image of that path."""
    with open(os.path.join(ROOT, "tools", "grub", "09_shoji"),
              encoding="ascii") as f:
        script = f.read().replace("image=/boot/shoji.elf", "image=" + image)
    probe = os.path.join(directory, "grub-probe")
    with open(probe, "w", encoding="ascii") as f:
        f.write(GRUB_PROBE)
    os.chmod(probe, 0o755)
    return subprocess.run(["sh"], input=script, text=True, check=True,
                          capture_output=True,
                          env={**os.environ, "grub_probe": probe}).stdout


def test_grub_script(directory):
    """Syntax, and how the second pass is told from the first."""
    install(directory)
    image = os.path.join(directory, "dest", "boot", "shoji.elf")
    config = grub_script(directory, image)
    check = subprocess.run(["grub-script-check"], input=config, text=True,
                           check=False)
    lines = [line.strip() for line in config.splitlines()]
    return check.returncode == 0 and all(x in lines for x in (
        'if [ "$grub_platform" = pc ]; then',
        'if [ "$shoji_mark" != 4a4f4853 -o '
        '"$shoji_vector" != "$shoji_int15" ]; then',
        "set root='hd0,msdos1'",
        f'if multiboot2 "($shoji_root){image}"; then'))


# GRUB's own commands, for a shell that runs the script.
GRUB_COMMANDS = """
set() { eval "${1%%=*}='${1#*=}'"; }
insmod() { :; }
regexp() { :; }
search() { :; }
read_dword() { :; }
multiboot2() { return $refused; }
boot() { echo "$saved boot"; exit; }
save_env() { saved="$1=${!1}"; }
sleep() { :; }
grub_platform=pc feature_platform_search_hint=n
"""


def first_pass(config, **variables):
    values = "".join(f"{k}='{v}'\n" for k, v in variables.items())
    return subprocess.run(["bash"], input=GRUB_COMMANDS + values + config,
                          text=True, check=True,
                          capture_output=True).stdout.strip()


def test_grub_reboot(directory):
    """What grub-reboot asks for, and 00_header has taken, is left for the
    second pass."""
    install(directory)
    config = grub_script(directory,
                         os.path.join(directory, "dest", "boot", "shoji.elf"))
    once = {"boot_once": "true", "default": "3>1"}
    return (first_pass(config, refused=0, **once) == "next_entry=3>1 boot" and
            first_pass(config, refused=0, default="0") == "boot" and
            first_pass(config, refused=1, **once) ==
            "Shoji could not be started.")


def test_grub_script_without_image(directory):
    return grub_script(directory, directory + "/none") == ""


if __name__ == "__main__":
    scripted.main(globals(), "install_")
