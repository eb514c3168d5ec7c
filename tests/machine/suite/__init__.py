"""The cases; importing a module registers its cases."""

from suite import (ahci, atapi, boot, build, calls, demo, disk,         # noqa: F401
                   hostile, install, invisible, latency, power, program,
                   refuse, sdk, secrets, sign, xen)
