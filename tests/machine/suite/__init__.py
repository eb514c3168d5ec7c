"""The cases; importing a module registers its cases."""

from suite import (ahci, atapi, boot, build, demo, disk, hostile,       # noqa: F401
                   install, invisible, power, program, refuse, secrets,
                   sign)
