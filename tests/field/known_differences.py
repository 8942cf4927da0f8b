"""What is known to differ behind the filter. Each entry is expected to fail.

It fails the run once the difference is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from .plan import CLIENTS, PYTHON
from .policies import ALLOW_ALL, STRICT


@dataclass(frozen=True)
class Difference:
    """A step of a server that goes differently behind the filter."""

    id: str
    server: str
    step: str
    reason: str
    policies: tuple[str, ...]
    clients: tuple[str, ...] = CLIENTS


UNKNOWN_METHOD = "this version of the protocol does not have the method, so that the filter itself refuses it"
NO_LISTS_OF_TASKS = "the filter refuses `tasks/list` (docs/limits.md)"

KNOWN_DIFFERENCES = [
    Difference("limits", "everything", "tasks of the caller", NO_LISTS_OF_TASKS, (ALLOW_ALL,)),
    Difference("B17", "openapi", "ping", UNKNOWN_METHOD, (ALLOW_ALL, STRICT), (PYTHON,)),
    Difference("B17", "duckdb", "ping", UNKNOWN_METHOD, (ALLOW_ALL, STRICT), (PYTHON,)),
]
