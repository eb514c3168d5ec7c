"""The cases; importing a module registers its cases."""

from suite import boot                                  # noqa: F401
