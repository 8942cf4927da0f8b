"""What is known to differ behind the filter. Each entry is expected to fail.

It fails the run once the difference is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from .plan import CLIENTS, PYTHON, TYPESCRIPT
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
NULL = "`null` is refused as a value of a wrong type"
OTHER_NAME = "the argument is added under another name than the schema's"
NO_LISTS_OF_TASKS = "the filter refuses `tasks/list` (docs/limits.md)"
OWN_REQUEST_ID = "the filter gives the request an id of its own, so that the client's cancellation names no request"

KNOWN_DIFFERENCES = [
    Difference("R4", "pydantic", "was_cancelled", OWN_REQUEST_ID, (STRICT,)),
    # In 2026-07-28 the Python client cancels a call by closing its stream.
    Difference("R4", "openapi", "was_cancelled", OWN_REQUEST_ID, (STRICT,), (TYPESCRIPT,)),
    Difference("R5", "pydantic", "approve", "the answer is refused, and the call does not end", (STRICT,)),
    Difference("R6", "pydantic", "null in place of arguments", NULL, (ALLOW_ALL, STRICT), (TYPESCRIPT,)),
    Difference("R6", "pydantic", "null in place of _meta", NULL, (ALLOW_ALL, STRICT), (TYPESCRIPT,)),
    Difference("R12", "openapi", "listOwners", OTHER_NAME, (STRICT,)),
    Difference("limits", "everything", "tasks of the caller", NO_LISTS_OF_TASKS, (ALLOW_ALL,)),
    Difference("B17", "openapi", "ping", UNKNOWN_METHOD, (ALLOW_ALL, STRICT), (PYTHON,)),
    Difference("B17", "duckdb", "ping", UNKNOWN_METHOD, (ALLOW_ALL, STRICT), (PYTHON,)),
]
