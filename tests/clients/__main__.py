"""Writes what the tests say of the clients into the documentation."""

from .matrix import write

write()
