"""The cases; importing a module registers its cases."""

from suite import (boot, build, demo, disk, hostile, install,   # noqa: F401
                   invisible, power, program, refuse, secrets,
                   sign)
