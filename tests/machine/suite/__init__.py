"""The cases; importing a module registers its cases."""

from suite import boot, build, demo, disk, hostile, power, refuse, secrets    # noqa: F401
