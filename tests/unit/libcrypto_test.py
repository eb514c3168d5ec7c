#!/usr/bin/python3
"""crypto/libcrypto.mk: when what is taken of libcrypto is taken anew.

Prints a line "PASS name" or "FAIL name" for each test.
"""

import os
import shutil
import subprocess

import scripted

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LIBRARY = "/usr/lib/x86_64-linux-gnu/libcrypto.a"


def made(directory, library):
    """The result's time, after make has seen to it."""
    result = os.path.join(directory, "libcrypto.o")
    subprocess.run(["make", "-s", "-C", ROOT, "B=" + directory,
                    "LIBCRYPTO=" + library, result], check=True,
                   env={k: v for k, v in os.environ.items()
                        if not k.startswith("MAKE")})
    return os.stat(result).st_mtime_ns


def test_follows_an_upgrade(directory):
    """A newer package's files can be older than the last build."""
    library = os.path.join(directory, "libcrypto.a")
    shutil.copy(LIBRARY, library)
    first = made(directory, library)
    same = made(directory, library)
    os.utime(library, (10**9, 10**9))
    return first == same < made(directory, library)


if __name__ == "__main__":
    scripted.main(globals(), "libcrypto_")
