#!/usr/bin/python3
"""tools/setup, on a machine whose packages are a list, and when make calls it.

Prints a line "PASS name" or "FAIL name" for each test.
"""

import os
import re
import subprocess

import scripted

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FAKES = {
    "dpkg-query": """#!/bin/sh
while [ "$1" != -f ]; do shift; done
shift 2
for p; do
	if grep -qx "$p" "$FAKES/installed"; then echo "$p installed"
	elif grep -qx "$p" "$FAKES/removed"; then echo "$p config-files"
	else echo "no packages found matching $p" >&2; fi
done
""",
    "apt-get": """#!/bin/sh
echo "$*" >>"$FAKES/apt-get.log"
case " $* " in
*' update '*) ;;
*) [ ! -e "$FAKES/fails" ] || { rm "$FAKES/fails"; exit 100; } ;;
esac
""",
    "sudo": "#!/bin/sh\nexec \"$@\"\n",
}


def setup(directory, *args, installed=(), removed=()):
    """Its result, and the calls of apt-get."""
    for name, text in FAKES.items():
        with open(os.path.join(directory, name), "w") as f:
            os.fchmod(f.fileno(), 0o755)
            f.write(text)
    for name, packages in (("installed", installed), ("removed", removed)):
        with open(os.path.join(directory, name), "w") as f:
            f.writelines(p + "\n" for p in packages)
    got = subprocess.run(
        [os.path.join(ROOT, "tools", "setup"), *args], check=False,
        capture_output=True, text=True,
        env={**os.environ, "FAKES": directory,
             "PATH": directory + ":" + os.environ["PATH"]})
    try:
        with open(os.path.join(directory, "apt-get.log")) as f:
            return got, f.read().splitlines()
    except FileNotFoundError:
        return got, []


def wanted(directory, *args):
    return setup(directory, "--list", *args)[0].stdout.split()


def test_installs_what_is_missing(directory):
    """And nothing else; a package that was removed is missing."""
    all_ = wanted(directory)
    got, calls = setup(directory, installed=all_[2:], removed=all_[1:2])
    return (len(all_) > 40 and got.returncode == 0 and len(calls) == 1 and
            calls[0].split()[-2:] == all_[:2])


def test_has_nothing_to_do(directory):
    got, calls = setup(directory, installed=wanted(directory))
    return (got.returncode, got.stdout, got.stderr, calls) == (0, "", "", [])


def test_installs_less_for_the_image(directory):
    image = wanted(directory, "image")
    got, calls = setup(directory, "image", installed=image[1:])
    return (2 < len(image) < 8 and set(image) < set(wanted(directory)) and
            got.returncode == 0 and calls[0].split()[-1] == image[0] and
            setup(directory, "image", installed=image)[1] == calls)


def test_gets_new_lists_when_packages_are_gone(directory):
    with open(os.path.join(directory, "fails"), "w"):
        got, calls = setup(directory)
    return got.returncode == 0 and len(calls) == 3 and "update" in calls[1]


def test_refuses_other_arguments(directory):
    got, calls = setup(directory, "everything")
    return got.returncode == 2 and "usage: " in got.stderr and not calls


def test_comes_before_all_that_make_makes(directory):
    """On a machine that has make only."""
    got = subprocess.run(
        ["make", "-n", "-C", ROOT, f"B={directory}/b",
         f"LIBCRYPTO={directory}/libcrypto.a"], check=False,
        capture_output=True, text=True).stdout
    made = re.search(r"^(gcc|/usr/bin/python3|ld) |is missing", got, re.M)
    return made and -1 < got.find("tools/setup image") < made.start()


scripted.main(globals(), "setup_")
