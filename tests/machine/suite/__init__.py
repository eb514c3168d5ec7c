"""The cases; importing a module registers its cases."""

from suite import boot, build, demo, disk, hostile, install, power, refuse, secrets    # noqa: F401
