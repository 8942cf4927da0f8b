"""Waiting for something to happen: one limit for all tests, long enough for a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# The longest wait for anything that takes milliseconds on an idle machine.
PATIENCE_S = 60.0

# Between two looks: short at first, for what is over soon.
FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.2


def eventually(
    condition: Callable[[], T],
    expected: str,
    found: Callable[[], object] = lambda: "",
    limit_s: float = PATIENCE_S,
) -> T:
    """Wait until the condition holds, and return its value.

    The failure says what was expected, and what `found` returns then.
    """
    end, pause = time.monotonic() + limit_s, FIRST_PAUSE_S
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {limit_s:g} s: {expected} {found()}".rstrip()
        time.sleep(pause)
        pause = min(1.3 * pause, LONGEST_PAUSE_S)
    return value


def wait_until(moment_s: float) -> None:
    """Wait until the clock (Unix seconds) shows this time. Tokens, leases and caches end by it."""
    while (left := moment_s - time.time()) > 0:
        time.sleep(left)
