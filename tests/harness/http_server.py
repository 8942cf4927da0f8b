"""A server in this process that says what it is told to, and goes on."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """A request as it arrived; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class KeyAnswer:
    """What an issuer's endpoint answers."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    location: str | None = None
    delay: float = 0.0


class HttpServer:
    """Every request of its one method gets what `answer` says."""

    method: str

    def __init__(self) -> None:
        # Answers on these paths wait for the event.
        self.holds: dict[str, threading.Event] = {}
        self.server = _Server(("127.0.0.1", 0), self._handler())
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()

    @contextlib.contextmanager
    def held(self, path: str) -> Iterator[None]:
        """Inside, requests to this path arrive and get no answer; afterwards they do."""
        self.holds[path] = threading.Event()
        try:
            yield
        finally:
            self.holds.pop(path).set()

    def answer(self, asked: Asked) -> KeyAnswer:
        """What is said to a request."""
        raise NotImplementedError

    def _handler(answering) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                hold = answering.holds.get(self.path)
                answer = answering.answer(Asked(self.path, headers, body))
                if hold is not None:
                    hold.wait()
                time.sleep(answer.delay)
                # The filter may have given up waiting.
                with contextlib.suppress(ConnectionError):
                    self._write(answer)

            def _write(self, answer: KeyAnswer) -> None:
                self.send_response(answer.status)
                if answer.location:
                    self.send_header("location", answer.location)
                self.send_header("content-type", answer.content_type)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        setattr(Handler, f"do_{answering.method}", Handler._do)
        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
