"""The frame of a test script: each of its functions "test_..." gets an empty
folder and returns whether all was well."""

import sys
import tempfile


def main(names, prefix):
    """Runs what is in @names, a module's globals(), and ends the process.
    Prints a line "PASS name" or "FAIL name" for each."""
    failed = 0
    for name, fn in list(names.items()):
        if not name.startswith("test_"):
            continue
        with tempfile.TemporaryDirectory() as directory:
            ok = fn(directory)
        failed += not ok
        print("PASS" if ok else "FAIL", prefix + name[5:])
    sys.exit(failed != 0)
