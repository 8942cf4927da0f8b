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
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from . import tokens
from .http_server import Asked, HttpServer, KeyAnswer
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


class Introspection(HttpServer):
    """Answers about the tokens it handed out. A path can be given another answer for all."""

    method = "POST"

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}
        self.paths: dict[str, KeyAnswer | Callable[[], KeyAnswer]] = {}
        self.delays: dict[str, float] = {}
        self.calls: Counter[str] = Counter()
        self.questions: list[Question] = []
        self.at_once: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()
        self.lock = threading.Lock()
        super().__init__()

    def token(self, **claims: Any) -> str:
        """A token that only this endpoint can read."""
        return self.know(tokens.remember(f"opaque-{secrets.token_urlsafe(24)}~+/=="), **claims)

    def know(self, token: str, **claims: Any) -> str:
        """Vouch for a token from elsewhere."""
        self.known[token] = active(**claims)
        return token

    def revoke(self, token: str) -> None:
        """From now on the token is not active."""
        self.known[token] = INACTIVE

    def answer(self, asked: Asked) -> KeyAnswer:
        """What is said about a token."""
        self._enter(asked.path)
        answer = self._about(Question(asked.path, asked.headers, parse_qs(asked.body)))
        if (hold := self.holds.get(asked.path)) is not None:
            hold.wait()
        self._leave(asked.path)
        return answer

    def _about(self, question: Question) -> KeyAnswer:
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


def _is_client(headers: dict[str, str]) -> bool:
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    name, _, secret = base64.b64decode(encoded).decode().partition(":")
    return scheme == "Basic" and [unquote_plus(name), unquote_plus(secret)] == [CLIENT_ID, CLIENT_SECRET]
