"""What `make run` shows, without a terminal."""

import os
import re
import signal
import subprocess

from case import TOP, case

SEEN = ("with a random demo key", "AES-256-XTS", "second pass, under Shoji",
        "What the guest reads in sector", "as it lies in the disk image",
        "/secret: a secret, written at", '"a secret" not found')


def dump_after(text, words):
    """The four lines of the dump that follows @words."""
    return re.findall(r"^0000.*$", text.split(words)[1].replace("\r", ""),
                      re.M)[:4]


@case(weight=20)
def demo(t):
    if t.bare:
        return
    log = t.path("demo.log")
    with open(log, "w") as f, subprocess.Popen(
            [os.path.join(TOP, "tools", "run"), t.path("demo.toml")],
            stdin=subprocess.DEVNULL, stdout=f, stderr=f,
            start_new_session=True,
            env=dict(os.environ, B=t.path("build"))) as child:
        try:
            t.equal("status", child.wait(1200), 0)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)        # its PC, too
            raise
    with open(log, errors="replace") as f:
        text = f.read()
    for words in SEEN:
        t.true(f"not shown: {words}", words in text)
    t.equal("the sector in the image, decrypted",
            dump_after(text, "the same, decrypted"),
            dump_after(text, "What the guest reads"))
