"""Guests: a root file system around one test script.

The script is run by init with these shell functions:
  check NAME COMMAND...   prints "@@ ok NAME" or "@@ FAIL NAME" and the output
  sum NAME DEVICE FIRST COUNT   prints "@@ sum NAME MD5" of sectors, read with
                          O_DIRECT
  again                   reboots instead of going on
Busybox comes first for a bare name; /bin/dd is the real one, with O_DIRECT.
When it returns, init prints "@@ end", makes the root read-only and powers off.
"""

import glob
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or
                     os.path.expanduser("~/.cache"), "shoji")
BUSYBOX = "/bin/busybox"
cache_lock = threading.Lock()   # for what is made in CACHE

INIT = """#!/bin/sh
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
dmesg -n 1

# Linux probes ports in parallel and names a disk when it answers. Here each has
# the name of its place.
in_order() {
	for path in /sys/class/scsi_disk/*/device/block/sd?; do
		[ ! -e $path ] || [ ${path##*/} = sd$1 ] || return 1
		shift
	done
}
name_disks() {
	for path in /sys/class/scsi_disk/*/device/block/sd?; do
		old=/dev/${path##*/}
		for node in $old*; do
			mv $node /dev/new.sd$1${node#$old}
		done
		shift
	done
	for node in /dev/new.*; do
		mv $node /dev/${node#/dev/new.}
	done
}
in_order a b c d e f || name_disks a b c d e f

check() {
	name=$1
	shift
	if "$@" >/tmp/out 2>&1; then
		echo "@@ ok $name"
	else
		echo "@@ FAIL $name"
		cat /tmp/out
	fi
}

sum() {
	echo "@@ sum $1 $(/bin/dd if=$2 bs=64k skip=$(($3 * 512)) \\
		count=$(($4 * 512)) iflag=direct,skip_bytes,count_bytes \\
		2>/dev/null | md5sum | cut -d' ' -f1)"
}

halt_now() {
	sync
	mount -o remount,ro /
	"$@" -f
	while :; do sleep 1; done
}

again() {
	halt_now reboot
}

echo "@@ start"
. /etc/test
echo "@@ end"
halt_now poweroff
"""


def busybox_tree(folder):
    for name in ("bin", "sbin", "proc", "sys", "dev", "tmp", "run", "etc",
                 "mnt", "lib", "lib64"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    shutil.copy(BUSYBOX, os.path.join(folder, "bin", "busybox"))
    names = subprocess.run([BUSYBOX, "--list"], check=True,
                           stdout=subprocess.PIPE).stdout.decode().split()
    for name in names:
        path = os.path.join(folder, "bin", name)
        if not os.path.lexists(path):
            os.symlink("busybox", path)


def write(folder, name, text, mode=0o755):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    os.chmod(path, mode)


def root_tree(folder, script, tools=(), files=None):
    """@tools: names of the host's programs to take along with their
    libraries; @files: further files, name -> contents."""
    busybox_tree(folder)
    write(folder, "sbin/init", INIT)
    write(folder, "etc/test", script)
    # busybox' dd gives up O_DIRECT where its buffer is not aligned
    for tool in ("dd",) + tuple(tools):
        add_program(folder, shutil.which(
            tool, path="/usr/sbin:/usr/bin:/sbin:/bin"))
    for name, text in (files or {}).items():
        write(folder, name, text)


# ---- the host's programs ------------------------------------------------

# fio is linked with storage libraries of 100 MB which it does not call in a
# guest; the guest gets empty ones in their place.
UNUSED = ("libgfapi", "libnbd", "libibverbs", "librdmacm", "librados",
          "librbd", "libpmemblk", "libpmem")


def add_program(folder, path):
    target = os.path.join(folder, "bin", os.path.basename(path))
    if os.path.lexists(target):
        os.unlink(target)
    shutil.copy(path, target)
    add_libraries(folder, path)


def add_libraries(folder, path):
    for name in needed(path):
        if os.path.exists(os.path.join(folder, "lib", name)):
            continue
        if name.split(".")[0] in UNUSED:
            shutil.copy(stub(path, name), os.path.join(folder, "lib", name))
            continue
        real = os.path.realpath(library(name))
        where = "lib64" if name.startswith("ld-linux") else "lib"
        target = os.path.join(folder, where, name)
        if not os.path.exists(target):
            shutil.copy(real, target)
            add_libraries(folder, real)


def needed(path):
    out = subprocess.run(["readelf", "-d", path], check=True,
                         stdout=subprocess.PIPE).stdout.decode()
    return re.findall(r"\(NEEDED\).*\[(.*)\]", out)


def library(name):
    for folder in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
                   "/lib64"):
        if os.path.exists(os.path.join(folder, name)):
            return os.path.join(folder, name)
    raise FileNotFoundError(name)


def stub(program, name):
    """A library @name that has the symbols which @program wants from it,
    and whose functions must not be called."""
    wanted = symbols(program, "--undefined-only") & \
        symbols(library(name), "--defined-only")
    key = hashlib.sha256(" ".join(sorted(wanted)).encode())
    path = os.path.join(CACHE, f"stub-{key.hexdigest()[:16]}-{name}")
    with cache_lock:
        if not os.path.exists(path):
            os.makedirs(CACHE, exist_ok=True)
            build_stub(wanted, name, f"{path}.{os.getpid()}")
            os.rename(f"{path}.{os.getpid()}", path)
    return path


def build_stub(wanted, name, path):
    """@wanted: symbols as NAME or NAME@VERSION."""
    code, versions = "", {}
    for symbol in sorted(wanted):
        plain, _, version = symbol.partition("@")
        code += f"void {plain}(void) {{ __builtin_trap(); }}\n"
        versions.setdefault(version, []).append(plain)
    versions.pop("", None)
    with tempfile.NamedTemporaryFile("w") as script:
        for version, names in versions.items():
            script.write(f"{version} {{ {'; '.join(names)}; }};\n")
        script.flush()
        flag = [f"-Wl,--version-script,{script.name}"] if versions else []
        subprocess.run(["gcc", "-w", "-shared", "-fPIC", "-nostdlib",
                        f"-Wl,-soname,{name}", *flag,
                        "-x", "c", "-", "-o", path],
                       input=code.encode(), check=True)


def symbols(path, which):
    """NAME@VERSION of the dynamic symbols; @@ marks a default version."""
    out = subprocess.run(["nm", "-D", which, path], check=True,
                         stdout=subprocess.PIPE).stdout.decode()
    return {line.split()[-1].replace("@@", "@")
            for line in out.splitlines()}


# ---- kernels ------------------------------------------------------------

def tiny_kernel():
    """The path of the tests' own kernel; builds it when it is not there."""
    return subprocess.run([os.path.join(HERE, "build-kernel")], check=True,
                          stdout=subprocess.PIPE).stdout.decode().strip()


DEBIAN_INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for m in {modules}; do
	insmod /lib/$m.ko
done
n=0
until [ -b /dev/{root} ]; do
	n=$((n + 1))
	[ $n = 600 ] && exec sh
	usleep 100000
done
mount -t ext4 /dev/{root} /mnt
mount -t devtmpfs dev /mnt/dev
umount /proc
exec switch_root /mnt /sbin/init
"""
DEBIAN_MODULES = ("crc32c_generic", "crct10dif_common", "crct10dif_generic",
                  "ata_piix", "sd_mod", "ext4")


def debian_kernel():
    """(vmlinuz, initrd) of Debian's kernel, out of its package; the kernel is
    not installed. The initrd loads the disk driver and goes on to sda2."""
    package = debian_package()
    folder = os.path.join(CACHE, package)
    with cache_lock:
        if not os.path.exists(os.path.join(folder, "initrd")):
            fetch_debian(package, folder)
    return (os.path.join(folder, "vmlinuz"), os.path.join(folder, "initrd"))


def xen(folder):
    """The path of Debian's Xen, unpacked in the new folder @folder."""
    package = newest("xen-system-amd64", "xen-hypervisor-")
    packed = glob.glob(os.path.join(unpacked(package, folder),
                                    "boot/xen-*.gz"))[0]
    subprocess.run(["gunzip", packed], check=True)
    return packed[:-len(".gz")]


def debian_package():
    return newest("linux-image-amd64", "linux-image-")


def newest(package, prefix):
    """The package with a version in its name that @package stands for."""
    out = subprocess.run(["apt-cache", "depends", package],
                         check=True, stdout=subprocess.PIPE).stdout.decode()
    return re.search(rf"Depends: ({prefix}\S+)", out).group(1)


def fetch_debian(package, folder):
    tmp = f"{folder}.{os.getpid()}"
    tree = unpacked(package, tmp)
    shutil.copy(glob.glob(os.path.join(tree, "boot/vmlinuz-*"))[0],
                os.path.join(tmp, "vmlinuz"))
    debian_initrd(tree, tmp)
    shutil.rmtree(tree)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(tmp, folder)


def unpacked(package, folder):
    """The files of a Debian package, in a tree in the new folder @folder."""
    tree = os.path.join(folder, "tree")
    shutil.rmtree(folder, ignore_errors=True)   # of one that broke off
    os.makedirs(tree)
    subprocess.run(["apt-get", "-q", "download", package], cwd=folder,
                   check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    deb = glob.glob(os.path.join(folder, "*.deb"))[0]
    subprocess.run(["dpkg-deb", "-x", deb, tree], check=True)
    os.unlink(deb)
    return tree


def debian_initrd(tree, folder):
    root = os.path.join(folder, "initramfs")
    busybox_tree(root)
    order = []
    for name in DEBIAN_MODULES:
        add_module(tree, root, name, order)
    write(root, "init", DEBIAN_INIT.format(modules=" ".join(order),
                                           root="sda2"))
    names = subprocess.run(["find", "."], cwd=root, check=True,
                           stdout=subprocess.PIPE).stdout
    with open(os.path.join(folder, "initrd"), "wb") as f:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"],
                       cwd=root, input=names, stdout=f, check=True)
    shutil.rmtree(root)


def add_module(tree, root, name, order):
    found = [p for p in glob.glob(f"{tree}/lib/modules/*/kernel/**/*.ko",
                                  recursive=True)
             if os.path.basename(p).replace("-", "_") ==
             name.replace("-", "_") + ".ko"]
    if not found or name in order:
        return                  # built in, or there already
    with open(found[0], "rb") as f:
        data = f.read()
    depends = re.search(rb"\0depends=([^\0]*)\0", data).group(1).decode()
    for other in filter(None, depends.split(",")):
        add_module(tree, root, other, order)
    shutil.copy(found[0], os.path.join(root, "lib", name + ".ko"))
    order.append(name)
