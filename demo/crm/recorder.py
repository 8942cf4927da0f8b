"""Writes down every request as it arrives, so that tests and the demo can show it."""

import base64
import json
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Recorder:
    """An ASGI middleware that appends each request under `path` to a file of JSON lines.

    A line holds `method`, `path`, `headers` (a list of pairs, repeats kept), `body` (text) and
    `body_base64` (the exact bytes).
    """

    def __init__(self, app: ASGIApp, file: Path, path: str = "/mcp") -> None:
        self._app = app
        self._file = file
        self._path = path
        self._file.touch()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self._path):
            await self._app(scope, receive, send)
            return
        body = await whole_body(receive)
        self._write(scope, body)
        await self._app(scope, replay(body, receive), send)

    def _write(self, scope: Scope, body: bytes) -> None:
        record: dict[str, Any] = {
            "method": scope["method"],
            "path": scope["path"],
            "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in scope["headers"]],
            "body": body.decode("utf-8", errors="backslashreplace"),
            "body_base64": base64.b64encode(body).decode(),
        }
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


async def whole_body(receive: Receive) -> bytes:
    """Reads the request to its end, or to the client's hanging up."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return body


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out `body` once, then what the client does next."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return pending.pop() if pending else await receive()

    return next_message
