#!/usr/bin/python3
"""shojictl where there is no Shoji, for Linux and for Windows, and its manual
page."""

import os
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
B = os.path.abspath(os.environ.get("B") or os.path.join(TOP, "build"))
WINE = shutil.which("wine64") or "/usr/lib/wine/wine64"
WINESERVER = shutil.which("wineserver") or "/usr/lib/wine/wineserver64"
ABSENT = "shojictl: not running under Shoji\n"
# Arguments, exit status, standard error (None: anything)
CASES = [
    ("status", 3, ABSENT),
    ("log", 3, ABSENT),
    ("log -f", 3, ABSENT),
    ("stat", 3, ABSENT),
    ("stat --json", 3, ABSENT),
    ("ps", 3, ABSENT),
    ("send echo /dev/null", 3, ABSENT),
    ("sign /dev/null", 3, ABSENT),
    ("sign --public", 3, ABSENT),
    ("sign --key p256 --statement -o x", 3, ABSENT),
    ("--help", 0, ""),
    ("sign --help", 0, ""),
    ("", 1, None),
    ("nothing", 1, None),
    ("send echo", 1, None),
    ("send -x echo /dev/null", 1, None),
    ("send -t one echo /dev/null", 1, "shojictl: one: not a type\n"),
    ("send -t 4294967296 echo /dev/null", 1, None),
    ("send -t 0xffffffff echo /dev/null", 3, ABSENT),
    ("sign", 1, None),
    ("sign --key rsa4096 /dev/null", 1, None),
    ("sign --hash md5 /dev/null", 1, None),
    ("sign --key p256 --pss /dev/null", 1, None),
    ("sign --public /dev/null", 1, None),
    ("sign -o x /dev/null /dev/null", 1, None),
]


def run_case(command, env, args, status, err):
    run = subprocess.run(command + args.split(), env=env, capture_output=True,
                         text=True)
    good = run.returncode == status and err in (None, run.stderr)
    # help goes to standard output, everything else to standard error
    good = good and bool(run.stdout) == (status == 0)
    if not good:
        print(f"{run.returncode}, {run.stdout!r}, {run.stderr!r}")
    return good


def run_windows():
    """The cases in a Windows of its own, without a display."""
    env = {k: v for k, v in os.environ.items() if k != "DISPLAY"}
    env |= {"WINEPREFIX": f"{B}/wine", "WINEDEBUG": "-all"}
    subprocess.run([WINE, "wineboot", "-i"], env=env,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    command = [WINE, f"{B}/guest/shojictl.exe"]
    results = [("shojictl.exe " + c[0], run_case(command, env, *c))
               for c in CASES]
    subprocess.run([WINESERVER, "-k"], env=env)
    return results


def full(command):
    """What cannot be written is not called done."""
    with open("/dev/full", "w") as out:
        run = subprocess.run(command, stdout=out, stderr=subprocess.PIPE)
    return run.returncode == 2 and run.stderr.startswith(b"shojictl: ")


def lint():
    run = subprocess.run(["mandoc", "-T", "lint", "-W", "warning",
                          f"{TOP}/tools/guest/shojictl.1"],
                         stdout=subprocess.PIPE, text=True)
    print(run.stdout, end="")
    return run.returncode == 0


def documented():
    """Each command and option of the help is in the manual page."""
    with open(f"{TOP}/tools/guest/shojictl.1", encoding="ascii") as f:
        page = f.read().replace("Fl -", "--").replace("Fl ", "-")
    missing = []
    for args in ("--help", "sign --help"):
        text = subprocess.run([f"{B}/guest/shojictl"] + args.split(),
                              capture_output=True, text=True).stdout
        missing += [w.strip("[],|()") for w in text.split()
                    if w.startswith(("-", "[-")) and len(w) > 2 and
                    w.strip("[],|()") not in page]
    print(*missing)
    return not missing


def main():
    command = [f"{B}/guest/shojictl"]
    results = [("shojictl " + c[0], run_case(command, None, *c))
               for c in CASES]
    results += run_windows()
    results += [(f"{args} to a full disk", full(command + args.split()))
                for args in ("--help", "sign --help")]
    results += [("shojictl.1 lint", lint()),
                ("shojictl.1 is complete", documented())]
    for name, good in results:
        print("PASS" if good else "FAIL", name)
    return not all(good for _, good in results)


sys.exit(main())
