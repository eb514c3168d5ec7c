"""QEMU from outside: its monitor (QMP) and its gdb stub, over Unix sockets; and
any emulator's memory.

A case passes extra=monitor.options(path) to the machine and connects in a
step; connecting waits for the socket. Its name is short wherever the build
folder lies (sun_path takes 107 bytes): the emulator runs in its folder.
"""

import contextlib
import json
import os
import re
import socket
import struct
import time

PATIENCE = 600                  # seconds: far more than any answer takes


class MonitorError(Exception):
    pass


def options(qmp, gdb=None):
    found = ["-qmp", listen(qmp)]
    if gdb:
        found += ["-gdb", listen(gdb)]
    return found


def listen(path):
    return f"unix:{os.path.basename(path)},server=on,wait=off"


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE)
    folder = os.open(os.path.dirname(path), os.O_PATH)
    end = time.monotonic() + 60
    try:
        while True:
            try:
                s.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
                return s
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
    finally:
        os.close(folder)


class Monitor:
    """QMP; one connection at a time."""

    def __init__(self, path):
        self.socket = connect(path)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.do("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def do(self, command, **arguments):
        json.dump({"execute": command, "arguments": arguments}, self.file)
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline())
            if "error" in answer:
                raise MonitorError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def human(self, line):
        return self.do("human-monitor-command", **{"command-line": line})

    def memory(self, start, size, path):
        """Physical memory; @path: a file that may be made, and is removed."""
        self.do("pmemsave", val=start, size=size, filename=path)
        with open(path, "rb") as f:
            data = f.read()
        os.unlink(path)
        return data


def process_memory(pid, size):
    """What a process has mapped in pieces of at least @size: a machine's RAM
    is in there, though not always in its order."""
    found = b""
    with open(f"/proc/{pid}/maps") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for place in re.findall(r"^(\w+)-(\w+) rw", maps.read(), re.M):
            start, end = (int(x, 16) for x in place)
            if end - start >= size:
                memory.seek(start)
                found += memory.read(end - start)
    return found


class Gdb:
    """The remote protocol of gdb, what little of it is wanted: registers of
    the thread that stopped, breakpoints, one stop at a time. Connecting
    stops the machine."""

    REGISTERS = {"rdi": 5, "rip": 16}

    def __init__(self, path):
        self.socket = connect(path)
        self.file = self.socket.makefile("rb")
        # QEMU takes single registers only after it was asked for their names
        self.do("qXfer:features:read:target.xml:0,1000")

    def send(self, text):
        body = text.encode()
        self.socket.sendall(b"$%s#%02x" % (body, sum(body) & 255))

    def do(self, text):
        """Sends a packet; returns the answer. The stop that came of
        connecting may be told first."""
        self.send(text)
        while True:
            answer = self.answer()
            if not re.match(r"T[0-9a-f]{2}thread:", answer):
                return answer

    def resume(self, how):
        """Returns the number of the thread that stopped."""
        self.send(how)
        return int(re.search(r"^T..thread:(\w+)", self.answer())[1], 16)

    def answer(self):
        while True:
            c = self.file.read(1)
            if not c:
                raise MonitorError("gdb: the machine has gone")
            if c == b"$":
                break
        body = b""
        while not body.endswith(b"#"):
            body += self.file.read(1)
        self.file.read(2)
        # what it was told to do may have ended it by now
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(b"+")
        return body[:-1].decode("latin-1")

    def ok(self, text):
        answer = self.do(text)
        if answer != "OK":
            raise MonitorError(f"gdb: {text}: {answer}")

    def run_to(self, address, thread=None):
        """Goes on until a CPU (@thread: that one, from 1) comes to @address,
        and selects it."""
        self.ok(f"Z1,{address:x},1")
        while True:
            found = self.resume("vCont;c")
            if thread in (None, found):
                break
            self.step_over(address, found)
        self.ok(f"z1,{address:x},1")
        self.ok(f"Hg{found:x}")

    def step_over(self, address, thread):
        self.ok(f"z1,{address:x},1")
        self.resume(f"vCont;s:{thread:x}")
        self.ok(f"Z1,{address:x},1")

    def set(self, name, value):
        number = self.REGISTERS[name]
        self.ok(f"P{number:x}={struct.pack('<Q', value).hex()}")

    def detach(self):
        """The machine goes on."""
        self.ok("D")
        self.socket.close()
