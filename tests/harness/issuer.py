"""A key set server that counts its visitors and misbehaves on request."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .keys import SigningKey, key_set


@dataclass(frozen=True)
class KeyAnswer:
    """What a key set endpoint answers."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    location: str | None = None
    delay: float = 0.0


def keys_answer(*keys: SigningKey, **changes: Any) -> KeyAnswer:
    """A key set, well formed."""
    return KeyAnswer(body=json.dumps(key_set(*keys)).encode(), **changes)


class Issuer:
    """Key sets by path. Anything else is 404; every request is counted."""

    def __init__(self) -> None:
        self.paths: dict[str, KeyAnswer | Callable[[], KeyAnswer]] = {}
        self.fetches: Counter[str] = Counter()
        self.fetched_at: dict[str, float] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()

    def wait_for_fetches(self, path: str, count: int = 1, timeout: float = 5.0) -> None:
        """Wait until a key set was asked for this often."""
        end = time.monotonic() + timeout
        while self.fetches[path] < count and time.monotonic() < end:
            time.sleep(0.01)
        assert self.fetches[path] >= count, f"{path} was fetched {self.fetches[path]} times"

    def answer(self, path: str) -> KeyAnswer:
        """Count a fetch and choose its answer."""
        self.fetches[path] += 1
        self.fetched_at[path] = time.monotonic()
        answer = self.paths.get(path, KeyAnswer(404, b"not found", "text/plain"))
        return answer() if callable(answer) else answer

    def _handler(issuer) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # noqa: N802
                answer = issuer.answer(self.path)
                time.sleep(answer.delay)
                self.send_response(answer.status)
                if answer.location:
                    self.send_header("location", answer.location)
                self.send_header("content-type", answer.content_type)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler
