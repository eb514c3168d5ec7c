"""The cases; importing a module registers its cases."""

from suite import boot, build, disk, hostile, refuse, secrets    # noqa: F401
