"""An introspection endpoint (RFC 7662) that counts its visitors and misbehaves on request."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from . import tokens
from .issuer import KeyAnswer
from .policy import CLIENT_ID

# Marks that credentials have to be form-encoded before they are base64 (RFC 6749 section 2.3.1).
CLIENT_SECRET = tokens.remember("introspection s3cret+/%:&=")

INACTIVE: dict[str, Any] = {"active": False}

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Question:
    """A call as it arrived."""

    path: str
    headers: dict[str, str]
    form: dict[str, list[str]]


def active(**changes: Any) -> dict[str, Any]:
    """An answer about a good token, with changes."""
    good = {"active": True, "token_type": "Bearer", **changes}
    return tokens.claims(**good)


class Introspection:
    """Answers about the tokens it handed out. A path can be given another answer for all."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}
        self.paths: dict[str, KeyAnswer | Callable[[], KeyAnswer]] = {}
        self.delays: dict[str, float] = {}
        self.calls: Counter[str] = Counter()
        self.questions: list[Question] = []
        self.at_once: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), self._handler())
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()

    def token(self, **claims: Any) -> str:
        """A token nobody but this endpoint can read."""
        return self.know(tokens.remember(f"opaque-{secrets.token_urlsafe(24)}~+/=="), **claims)

    def know(self, token: str, **claims: Any) -> str:
        """Vouch for a token from elsewhere."""
        self.known[token] = active(**claims)
        return token

    def revoke(self, token: str) -> None:
        """From now on the token is not active."""
        self.known[token] = INACTIVE

    def answer(self, question: Question) -> KeyAnswer:
        """What is said about a token."""
        token = question.form.get("token", [""])[0]
        self.calls[token] += 1
        self.questions.append(question)
        time.sleep(self.delays.get(question.path, 0))
        if (fixed := self.paths.get(question.path)) is not None:
            return fixed() if callable(fixed) else fixed
        if not _is_client(question.headers) or question.headers.get("content-type") != FORM:
            return KeyAnswer(401, b'{"error":"invalid_client"}')
        said = self.known.get(token, INACTIVE)
        return KeyAnswer(body=json.dumps(said).encode())

    def _enter(self, path: str) -> None:
        with self.lock:
            self.at_once[path] += 1
            self.most_at_once[path] = max(self.most_at_once[path], self.at_once[path])

    def _leave(self, path: str) -> None:
        with self.lock:
            self.at_once[path] -= 1

    def _handler(endpoint) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # noqa: N802
                endpoint._enter(self.path)
                body = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = endpoint.answer(Question(self.path, headers, parse_qs(body)))
                endpoint._leave(self.path)
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def _is_client(headers: dict[str, str]) -> bool:
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    name, _, secret = base64.b64decode(encoded).decode().partition(":")
    return scheme == "Basic" and [unquote_plus(name), unquote_plus(secret)] == [CLIENT_ID, CLIENT_SECRET]
