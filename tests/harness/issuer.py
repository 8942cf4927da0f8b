"""A key set server that counts its visitors and misbehaves on request."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from .http_server import Asked, HttpServer, KeyAnswer
from .keys import SigningKey, key_set
from .waiting import eventually


def keys_answer(*keys: SigningKey, **changes: Any) -> KeyAnswer:
    """A key set, well formed."""
    return KeyAnswer(body=json.dumps(key_set(*keys)).encode(), **changes)


class Issuer(HttpServer):
    """Key sets by path. Anything else is 404; every request is counted."""

    method = "GET"

    def __init__(self) -> None:
        self.paths: dict[str, KeyAnswer | Callable[[], KeyAnswer]] = {}
        self.fetches: Counter[str] = Counter()
        self.fetched_at: dict[str, float] = {}
        super().__init__()

    def wait_for_fetches(self, path: str, count: int = 1) -> None:
        """Wait until a key set was asked for this often."""
        fetches = lambda: self.fetches[path]  # noqa: E731
        eventually(lambda: fetches() >= count, f"{count} fetches of {path}, but there are", fetches)

    def answer(self, asked: Asked) -> KeyAnswer:
        """Count a fetch and choose its answer."""
        self.fetches[asked.path] += 1
        self.fetched_at[asked.path] = time.monotonic()
        answer = self.paths.get(asked.path, KeyAnswer(404, b"not found", "text/plain"))
        return answer() if callable(answer) else answer
