"""The cases; importing a module registers its cases."""

from suite import (atapi, boot, build, demo, disk, hostile, install,   # noqa: F401
                   invisible, power, refuse, secrets)
