#!/usr/bin/python3
"""Signatures per second of the sign program on the host, against `openssl
speed` with the same libcrypto: what the SDK's own C library costs. CPU time of
the processes, one request of 200 items at a time, and single ones."""

import os
import re
import resource
import struct
import subprocess
import sys
import time

B = os.environ.get("B") or "build"
RSA, P256 = 0, 1
PKCS1, ECDSA = 0, 2
SHA256 = 1
DIGEST = 1


def request(key, scheme, count):
    head = struct.pack("<HHBBBBHHI", 1, 3, key, scheme, SHA256, DIGEST, 0,
                       count, 0)
    return head + (struct.pack("<I", 32) + bytes(32)) * count


class Program:
    def __init__(self):
        self.child = subprocess.Popen(
            [f"{B}/sdk/run", "--pipe", f"{B}/programs/sign.elf"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)

    def send(self, data):
        self.child.stdin.write(struct.pack("<II", 0, len(data)) + data)
        self.child.stdin.flush()
        status, size = struct.unpack("<II", self.child.stdout.read(8))
        reply = self.child.stdout.read(size)
        assert status == 0 and struct.unpack_from("<I", reply, 4)[0] == 0
        return reply

    def cpu(self):
        with open(f"/proc/{self.child.pid}/schedstat") as f:
            return int(f.read().split()[0]) / 1e9

    def rate(self, key, scheme, count, seconds):
        data, done = request(key, scheme, count), 0
        self.send(data)
        start = self.cpu()
        while self.cpu() - start < seconds:
            self.send(data)
            done += count
        return done / (self.cpu() - start)


def native(name, seconds=2):
    out = subprocess.run(["openssl", "speed", "-seconds", str(seconds), name],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         check=True).stdout.decode()
    line = out.strip().splitlines()[-1].split()
    return float(line[-2])


def main():
    p = Program()
    for name, key, scheme, speed in (("RSA-2048", RSA, PKCS1, "rsa2048"),
                                     ("P-256", P256, ECDSA, "ecdsap256")):
        base = native(speed)
        for count in (200, 1):
            rate = p.rate(key, scheme, count, 2)
            print(f"{name}, {count} per message: {rate:.0f}/s, openssl speed "
                  f"{base:.0f}/s, ratio {rate / base:.2f}")


if __name__ == "__main__":
    main()
