#!/usr/bin/python3
"""tools/volume: what it makes against python3-cryptography and IEEE 1619, power
cuts at any byte (simulated: what was not synced is lost in part and in any
order), kills of the real program, and what it refuses.

Prints a line "PASS name" or "FAIL name" for each test.
"""

import fcntl
import hashlib
import importlib.machinery
import importlib.util
import os
import random
import signal
import subprocess
import sys
import tempfile
import traceback

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
VOLUME = os.path.join(ROOT, "tools", "volume")
sys.path.insert(0, os.path.join(ROOT, "tools"))
sys.dont_write_bytecode = True

import image                                            # noqa: E402

loader = importlib.machinery.SourceFileLoader("volume", VOLUME)
volume = importlib.util.module_from_spec(
    importlib.util.spec_from_loader("volume", loader))
loader.exec_module(volume)

KEYS = {n: hashlib.sha512(b"%d" % n).digest()[:n // 8] for n in (256, 512)}
END = 2**64 - 1
# IEEE 1619-2018, vector 10: AES-256, data unit FFh, 00 01 .. ff twice.
IEEE_KEY = bytes.fromhex(
    "2718281828459045235360287471352662497757247093699959574966967627"
    "3141592653589793238462643383279502884197169399375105820974944592")
IEEE_HEAD = ("1c3b3a102f770386e4836c99e370cf9b"
             "ea00803f5e482357a4ae12d414a3e63b")


def config(folder, first, last, key, bits=512, name="x", file="c.toml"):
    path = os.path.join(folder, file)
    with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600),
              "w") as f:
        f.write(f'[[volume]]\nname = "{name}"\nbus = "ide"\n'
                f'first_lba = {first}\nlast_lba = {last}\n'
                f'cipher = "aes-xts-plain64"\nkey = "{key.hex()}"\n')
    return path


def write(folder, name, data):
    path = os.path.join(folder, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def read(path):
    with open(path, "rb") as f:
        return f.read()


def tool(*args, **more):
    return subprocess.run([VOLUME, *map(str, args)], capture_output=True,
                          text=True, check=False, **more)


def wanted(data, first, last, key, encrypt=True, start=0):
    """By the reference: the sectors first to last of the disk."""
    a, b = (first - start) * 512, (last + 1 - start) * 512
    return data[:a] + image.xts(key, first, data[a:b], encrypt) + data[b:]


# ---- what it makes ------------------------------------------------------

def test_ieee_vector(folder):
    data = bytes(range(256)) * 2
    path = write(folder, "ieee", bytes(512 * 255) + data + bytes(512))
    toml = config(folder, 255, 255, IEEE_KEY)
    run = tool("encrypt", path, "--config", toml, "--volume", "x")
    got = read(path)
    return run.returncode == 0 and not run.stderr and \
        got[255 * 512:256 * 512 - 480].hex() == IEEE_HEAD and \
        got[:255 * 512] == bytes(512 * 255) and got[-512:] == bytes(512)


def test_both_ways(folder):
    """In place and to a file, of several batches, both key lengths."""
    data = random.Random(1).randbytes(300 * 512)
    for bits, first, last, start in ((256, 3, 250, 0), (512, 0, '"end"', 0),
                                     (512, 1000, 1299, 1000)):
        end = first + 299 if last == '"end"' else last
        want = wanted(data, first, end, KEYS[bits], start=start)
        path = write(folder, "both", data)
        out = path + ".out"
        toml = config(folder, first, last, KEYS[bits])
        args = ("--config", toml, "--volume", "x", "--batch", 16,
                "--start", start)
        for direction, source, result in (("encrypt", data, want),
                                          ("decrypt", want, data)):
            if read(path) != source or \
                    tool(direction, path, *args, "-o", out).returncode or \
                    read(out) != result or read(path) != source or \
                    tool(direction, path, *args).returncode or \
                    read(path) != result:
                return False
            os.unlink(out)
        if {n for n in os.listdir(folder) if n.startswith("both")} != {"both"}:
            return False                # a journal is left
    return True


def test_iso(folder):
    """A disc's sector has 2,048 bytes, its tweaks count 512: LBA * 4."""
    data = bytearray(random.Random(2).randbytes(20 * 2048))
    data[32769:32774] = b"CD001"
    path = write(folder, "disc", data)
    toml = config(folder, 0, '"end"', KEYS[256])
    if tool("encrypt", path, "--config", toml, "--volume", "x").returncode:
        return False
    got = read(path)
    for lba in (0, 7, 19):
        for part in range(4):
            at = lba * 2048 + part * 512
            if got[at:at + 512] != image.xts(KEYS[256], lba * 4 + part,
                                             data[at:at + 512], True):
                return False
    odd = write(folder, "odd.iso", data[:-512])
    run = tool("encrypt", odd, "--config", toml, "--volume", "x")
    return run.returncode == 1 and "whole sectors of 2048" in run.stderr and \
        read(odd) == data[:-512]


# ---- power cuts ---------------------------------------------------------

class PowerCut(Exception):
    pass


class Power:
    """Fails at a random access."""

    def __init__(self, rng):
        self.rng, self.left = rng, None

    def on(self, most):
        self.left = self.rng.randrange(most)

    def tick(self):
        self.left -= 1
        if self.left < 0:
            raise PowerCut


class LossyFile:
    """A volume.File with a cache: of what was written since the last sync any
    bytes may have reached the disk when the power fails."""

    def __init__(self, data, power):
        self.disk, self.cache = bytearray(data), bytearray(data)
        self.power, self.pending = power, []

    def read_into(self, data, offset):
        data[:] = self.cache[offset:offset + len(data)]

    def read(self, size, offset):
        return bytes(self.cache[offset:offset + size])

    @staticmethod
    def put(where, data, offset):
        if len(where) < offset + len(data):
            where.extend(bytes(offset + len(data) - len(where)))
        where[offset:offset + len(data)] = data

    def write(self, data, offset):
        self.pending.append((bytes(data), offset))
        self.put(self.cache, data, offset)
        self.power.tick()

    def sync(self):
        self.power.tick()
        self.disk[:], self.pending = self.cache, []

    def lose(self):
        rng = self.power.rng
        rng.shuffle(self.pending)
        for data, offset in self.pending:
            for _ in range(rng.randrange(4)):
                a = rng.randrange(len(data) + 1)
                b = rng.choice((len(data), rng.randrange(len(data) + 1)))
                if a < b:
                    self.put(self.disk, data[a:b], offset + a)
        self.cache[:], self.pending = self.disk, []


def job_of(encrypt, size, first, last):
    return volume.Job({"first": first, "last": last, "raw": KEYS[512]},
                      encrypt, 0, size, 4096, 512)


def nothing(*_):
    pass


def survive(rng, encrypt, to_file):
    """One job with power cuts until it has ended. True if all is right."""
    sectors = rng.randrange(1, 45)
    first = rng.randrange(sectors)
    last = rng.choice((END, rng.randrange(first, sectors)))
    data = rng.randbytes(sectors * 512)
    want = wanted(data, first, min(last, sectors - 1), KEYS[512], encrypt)
    power = Power(rng)
    disk, out = LossyFile(data, power), LossyFile(b"", power)
    journal = LossyFile(b"", power)
    cipher = volume.Cipher(KEYS[512], encrypt)
    for _ in range(1000):
        power.on(rng.choice((3, 10, 40, 400)))
        job = job_of(encrypt, len(data), first, last)
        log = volume.Journal(journal, job.batch)
        try:
            if to_file:
                job.to_file(disk, out, log, cipher, nothing)
            else:
                job.in_place(disk, log, cipher, nothing)
            break
        except PowerCut:
            for file in (disk, out, journal):
                file.lose()
    return (out if to_file else disk).disk == want and \
        (not to_file or disk.disk == data)


def in_the_clear(journal, data):
    return any(data[i:i + 64] in journal for i in range(0, len(data), 64))


def test_power_cuts(_):
    rng = random.Random(3)
    return all(survive(rng, i % 2 == 0, i % 4 == 3) for i in range(800))


def test_journal_is_ciphertext(_):
    power = Power(random.Random(4))
    data = random.Random(4).randbytes(30 * 512)
    for encrypt in (True, False):
        power.on(10**6)
        start = data if encrypt else image.xts(KEYS[512], 0, data, True)
        disk, journal = LossyFile(start, power), LossyFile(b"", power)
        job = job_of(encrypt, len(data), 0, END)
        job.in_place(disk, volume.Journal(journal, job.batch),
                     volume.Cipher(KEYS[512], encrypt), nothing)
        if in_the_clear(bytes(journal.disk), data):
            return False
    return True


def test_damaged_journal(_):
    """Both slots spoilt: it must not start again from the first batch."""
    power = Power(random.Random(5))
    power.on(10**6)
    data = random.Random(5).randbytes(30 * 512)
    disk, journal = LossyFile(data, power), LossyFile(b"", power)
    job = job_of(True, len(data), 0, END)
    cipher = volume.Cipher(KEYS[512], True)
    job.in_place(disk, volume.Journal(journal, job.batch), cipher, nothing)
    done = bytes(disk.disk)
    for at in (0, 1):
        where = volume.Journal(journal, job.batch).slot(at)
        journal.cache[where + 20] ^= 1
    try:
        job.in_place(disk, volume.Journal(journal, job.batch), cipher, nothing)
    except volume.Refused:
        return bytes(disk.disk) == done
    return False


# ---- the program, killed ------------------------------------------------

# The program, which stops itself when it has synced a file that many times.
STOPS = """
import importlib.machinery, importlib.util, os, signal, sys
left = int(sys.argv.pop(1))
loader = importlib.machinery.SourceFileLoader("volume", sys.argv.pop(1))
volume = importlib.util.module_from_spec(
    importlib.util.spec_from_loader("volume", loader))
loader.exec_module(volume)
sync = volume.File.sync

def counted(file):
    global left
    sync(file)
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGSTOP)

volume.File.sync = counted
volume.main()
"""


def stopped(args, syncs=5):
    """The program in the midst of its job, until SIGCONT: no wait is too long
    for it, or too short."""
    p = subprocess.Popen([sys.executable, "-c", STOPS, str(syncs), VOLUME,
                          *args], stderr=subprocess.PIPE, text=True)
    how = os.waitid(os.P_PID, p.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert how.si_code == os.CLD_STOPPED, p.communicate()
    return p


def terminated(p):
    """What it says to a SIGTERM."""
    p.send_signal(signal.SIGTERM)
    p.send_signal(signal.SIGCONT)
    return p.communicate()[1]


def test_kill_and_go_on(folder):
    """At known places, and then wherever it is."""
    rng = random.Random()
    data = random.Random(6).randbytes(6 << 20)
    path = write(folder, "killed", data)
    toml = config(folder, 5, '"end"', KEYS[512])
    args = ["encrypt", path, "--config", toml, "--volume", "x", "--batch", "64"]
    for syncs in (1, 2, 3, 4, 30):
        with stopped(args, syncs) as p:
            p.kill()
    kills, done = 1, False
    while not done:
        with subprocess.Popen([VOLUME, *args], stderr=subprocess.DEVNULL) as p:
            try:
                if p.wait(rng.uniform(0, 0.05) * kills if kills < 6 else 600):
                    return False
                done = True
            except subprocess.TimeoutExpired:
                p.kill()
                kills += 1
        # killed between its last step and its end: it must not run again
        done = done or not os.path.exists(path + ".journal")
    return read(path) == wanted(data, 5, len(data) // 512 - 1, KEYS[512]) and \
        not os.path.exists(path + ".journal")


def test_stop_and_go_on(folder):
    data = random.Random(7).randbytes(2 << 20)
    path = write(folder, "stopped", data)
    out = path + ".out"
    toml = config(folder, 0, '"end"', KEYS[256])
    args = ["encrypt", path, "--config", toml, "--volume", "x", "--batch",
            "16", "-o", out]
    with stopped(args) as p:
        text = terminated(p)
    # another direction must not touch what this one has begun
    other = tool("decrypt", *args[1:])
    if p.returncode != 3 or "run the same command again" not in text or \
            other.returncode != 1 or "of another job" not in other.stderr:
        return False
    run = tool(*args)
    return run.returncode == 0 and "going on" in run.stderr and \
        read(out) == wanted(data, 0, len(data) // 512 - 1, KEYS[256]) and \
        not os.path.exists(out + ".journal")


def test_goes_on_by_another_name(folder):
    """What was begun through a link is not begun anew without it."""
    os.mkdir(f"{folder}/there")
    data = random.Random(8).randbytes(2 << 20)
    path = write(f"{folder}/there", "disk", data)
    os.symlink(path, f"{folder}/link")
    toml = config(folder, 0, '"end"', KEYS[256])
    args = ["--config", toml, "--volume", "x", "--batch", "16"]
    with stopped(["encrypt", f"{folder}/link", *args]) as p:
        terminated(p)
    if p.returncode != 3:
        return False
    run = tool("encrypt", path, *args)
    return run.returncode == 0 and "going on" in run.stderr and \
        read(path) == wanted(data, 0, len(data) // 512 - 1, KEYS[256]) and \
        os.listdir(f"{folder}/there") == ["disk"]


def test_goes_on_with_what_it_began(folder):
    """Not with another image, nor with one that was put back meanwhile: the
    journal says which batch is next, but those before are not there."""
    data = random.Random(10).randbytes(1 << 20)
    other = random.Random(11).randbytes(1 << 20)
    path = write(folder, "begun", data)
    log = os.path.join(folder, "log_of_begun")
    args = ["--config", config(folder, 0, '"end"', KEYS[512]), "--volume", "x",
            "--batch", "16", "--journal", log]
    secret = image.xts(KEYS[512], 0, data, True)
    for direction, before, after in (("encrypt", data, secret),
                                     ("decrypt", secret, data)):
        for syncs in (1, 4, 5, 6):
            write(folder, "begun", before)
            with stopped([direction, path, *args], syncs) as p:
                p.kill()
            left = read(path)
            # 1: nothing of the image was changed yet
            for wrong in (other, before) if syncs > 1 else (other,):
                write(folder, "begun", wrong)
                run = tool(direction, path, *args)
                if run.returncode != 1 or read(path) != wrong or \
                        "not as the job has left it" not in run.stderr:
                    print(direction, syncs, run)
                    return False
            write(folder, "begun", left)
            if tool(direction, path, *args).returncode or read(path) != after:
                return False
    return not os.path.exists(log)


def test_one_output_of_one_image(folder):
    """What was begun with one image is not ended with another, of the same
    size, or with what has been changed since."""
    data = random.Random(12).randbytes(1 << 20)
    path = write(folder, "right", data)
    os.utime(path, (5, 5))
    out = os.path.join(folder, "of_one")
    args = ["--config", config(folder, 0, '"end"', KEYS[256]), "--volume", "x",
            "--batch", "16", "-o", out]
    with stopped(["encrypt", path, *args]) as p:
        p.kill()
    wrong = write(folder, "wrong", data[:100] + bytes(1) + data[101:])
    os.utime(wrong, (5, 5))
    same = write(folder, "same_but_later", data)
    for name in (wrong, same):
        run = tool("encrypt", name, *args)
        if run.returncode != 1 or "of another job" not in run.stderr:
            print(run)
            return False
    return tool("encrypt", path, *args).returncode == 0 and \
        read(out) == wanted(data, 0, len(data) // 512 - 1, KEYS[256])


def test_one_journal_for_two(folder):
    """The same file is made of two images at once: the second is refused."""
    data = random.Random(9).randbytes(2 << 20)
    first = write(folder, "first", data)
    second = write(folder, "second", bytes(len(data)))
    out = os.path.join(folder, "of_two")
    args = ["--config", config(folder, 0, '"end"', KEYS[256]), "--volume", "x",
            "--batch", "16", "-o", out]
    with stopped(["encrypt", first, *args]) as p:
        run = tool("encrypt", second, *args)
        p.send_signal(signal.SIGCONT)
    return run.returncode == 1 and "has locked" in run.stderr and \
        p.returncode == 0 and \
        read(out) == wanted(data, 0, len(data) // 512 - 1, KEYS[256])


# ---- refusals -----------------------------------------------------------

def refused(folder, what, args, status=1):
    """Says so, and nothing has been changed or left behind."""
    before = {n: read(os.path.join(folder, n)) for n in os.listdir(folder)}
    run = tool("encrypt", *args)
    after = {n: read(os.path.join(folder, n)) for n in os.listdir(folder)}
    if run.returncode != status or what not in run.stderr or before != after:
        print(run.returncode, run.stderr)
        return False
    return True


def test_refusals(folder):
    folder = os.path.join(folder, "refusals")
    os.mkdir(folder)
    path = write(folder, "disk", bytes(100 * 512))
    part = write(folder, "odd", bytes(1000))
    out = write(folder, "out", b"")
    os.link(path, folder + "/link")
    new = write(folder, "j.new", bytes(100 * 512))
    as_part = write(folder, "o.part", bytes(100 * 512))
    for name in ("p.part", "k.new"):
        write(folder, name, b"somebody else's")
    good = ["--config", config(folder, 10, 99, KEYS[512]), "--volume", "x"]
    far = ["--config", config(folder, 10, 100, KEYS[512], file="far"),
           "--volume", "x"]
    ends = ["--config", config(folder, 10, 20, KEYS[512], file="ends"),
            "--volume", "x", "--sector-size", "2048"]
    return all((
        refused(folder, "no volume y; there is: x",
                [path, *good[:2], "--volume", "y"]),
        refused(folder, "cannot read it", [path, "--config", folder + "/none",
                                           "--volume", "x"]),
        refused(folder, "not all there", [path, *far]),
        refused(folder, "not all there", [path, *good, "--start", "11"]),
        refused(folder, "does not begin and end with sectors of 2048",
                [path, *ends]),
        refused(folder, "not of whole sectors", [part, *good]),
        refused(folder, "is there already", [path, *good, "-o", out]),
        refused(folder, "one file", [path, *good, "--journal",
                                     folder + "/link"]),
        refused(folder, "one file", [new, *good, "--journal",
                                     folder + "/j"]),
        refused(folder, "one file", [as_part, *good, "-o", folder + "/o"]),
        refused(folder, "one file", [path, *good, "-o", folder + "/q",
                                     "--journal", folder + "/q.part"]),
        refused(folder, "p.part is there already",
                [path, *good, "-o", folder + "/p"]),
        refused(folder, "k.new is there already",
                [path, *good, "--journal", folder + "/k"]),
        refused(folder, "usage", [path, *good, "-o", ""], 2),
        refused(folder, "No such file", [folder + "/none", *good]),
        refused(folder, "neither a file nor", ["/dev/null", *good]),
        refused(folder, "usage", [path, *good, "--batch", "3"], 2),
        refused(folder, "usage", [path, *good, "--batch", "4" + "0" * 20], 2),
        refused(folder, "usage", [path], 2)))


def test_locked(folder):
    path = write(folder, "locked", bytes(100 * 512))
    toml = config(folder, 0, '"end"', KEYS[512])
    with open(path, "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        run = tool("encrypt", path, "--config", toml, "--volume", "x")
    return run.returncode == 1 and "has locked it" in run.stderr and \
        read(path) == bytes(100 * 512)


def test_closed_standard_error(folder):
    """What it would have said is not written to the image."""
    def closed():
        os.close(2)

    data = bytes(100 * 512)
    path = write(folder, "closed", data)
    args = [VOLUME, "encrypt", path, "--config",
            config(folder, 0, '"end"', KEYS[512]), "--volume", "x"]
    return subprocess.run(args + ["--start", "1"],
                          preexec_fn=closed).returncode == 1 and \
        read(path) == data and \
        subprocess.run(args, preexec_fn=closed).returncode == 0 and \
        read(path) == wanted(data, 0, 99, KEYS[512])


def says(what, function, *args):
    try:
        function(*args)
    except volume.Refused as e:
        return what in str(e)
    return False


def fake(folder, name, text=""):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    return path


def test_devices_in_use(folder):
    """With /proc and /sys of our own: 8:0 has the partitions 8:1 to 8:3."""
    folder = os.path.join(folder, "fake")
    volume.PROC, volume.SYS = folder + "/proc", folder + "/sys"
    sda = "sys/dev/block/8:0"
    for n in (1, 2, 3):
        fake(folder, f"{sda}/sda{n}/partition", f"{n}\n")
        fake(folder, f"{sda}/sda{n}/dev", f"8:{n}\n")
        os.makedirs(f"{folder}/{sda}/sda{n}/holders")
    mounts = ("22 1 8:{n} / /mnt\\040two rw,relatime shared:1 - ext4 "
              "/dev/sda{n} rw\n23 1 0:5 / /dev rw - devtmpfs udev rw\n")
    fake(folder, "proc/self/mountinfo", mounts.format(n=17))
    fake(folder, "proc/swaps", "Filename Type\n/dev/nothing partition\n")
    disk, third = os.makedev(8, 0), os.makedev(8, 3)
    volume.check_device(disk)
    fake(folder, "proc/self/mountinfo", mounts.format(n=2))
    good = says("mounted, at /mnt two", volume.check_device, disk)
    volume.check_device(third)
    fake(folder, "proc/self/mountinfo", mounts.format(n=3))
    good &= says("mounted", volume.check_device, third)
    fake(folder, "proc/self/mountinfo", "")
    fake(folder, f"{sda}/sda1/holders/dm-0")
    good &= says("in use by dm-0", volume.check_device, disk)
    image_file, other = fake(folder, "image"), fake(folder, "other")
    os.link(image_file, folder + "/same")
    fake(folder, "sys/block/loop3/loop/backing_file", folder + "/same\n")
    good &= says("in use by loop3", volume.check_file, image_file)
    volume.check_file(other)
    number = os.stat("/").st_dev
    fake(folder, "proc/self/mountinfo",
         f"1 1 {os.major(number)}:{os.minor(number)} / / rw - tmpfs x rw\n")
    good &= volume.file_system("/journal") == "tmpfs"
    volume.PROC, volume.SYS = "/proc", "/sys"
    return good


def main():
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, fn in list(globals().items()):
            if not name.startswith("test_"):
                continue
            try:
                good = fn(folder)
            except Exception:           # a fault of the test itself
                traceback.print_exc()
                good = False
            failed += not good
            print("PASS" if good else "FAIL", "volume_" + name[5:], flush=True)
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
