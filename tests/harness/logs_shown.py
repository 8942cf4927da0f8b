"""The logs that a failed test shows: those of every Envoy that ran during the test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

# The end of a log, in characters.
SHOWN = 8000

# For each log, whether its process still runs.
_watched: dict[Path, Callable[[], bool]] = {}


def watch(log: Path, runs: Callable[[], bool]) -> None:
    """Show this log with failures, as long as its process runs, and with the test during which it ends."""
    _watched[log] = runs


def forget_ended() -> None:
    """A new test begins: processes that ended before have no part in it."""
    for log in [log for log, runs in _watched.items() if not runs()]:
        del _watched[log]


def sections() -> list[tuple[str, str]]:
    """Title and text for a test report."""
    return [
        (f"Envoy log {log}", log.read_text(errors="replace")[-SHOWN:]) for log in _watched if log.exists()
    ]
