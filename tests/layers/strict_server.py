"""An MCP server that checks the token of each call itself, as hosted servers do: it answers 401 to a call whose token
the resource refuses."""

from __future__ import annotations

import asyncio
import json
from email.message import Message
from typing import Any

from ..harness.app_server import AppServer, http_app
from .notes_api import NotesApi
from .notes_server import NotesServer

CHALLENGE = (b"www-authenticate", b'Bearer error="invalid_token"')

# How it says 401: the content type and the body.
FORMS: dict[str, tuple[str | None, bytes]] = {
    "json": ("application/json", b'{"error": "invalid_token"}'),
    "stream": ("text/event-stream", b"event: message\ndata: {}\n\n"),
    "words": ("text/plain", b"Unauthorized"),
    "large": ("text/html", b"<p>Unauthorized</p>" * 50_000),
    "nothing": (None, b""),
}


class StrictServer(NotesServer):
    """The server with sessions, behind a check of its own."""

    def __init__(self, api: NotesApi) -> None:
        self.api = api
        self.reset()
        AppServer.__init__(self, self._checking(http_app(self._server(), stateless_http=False)))

    def reset(self) -> None:
        """Check tokens as usual, and forget what was noted."""
        self.form = "json"
        # Whether it refuses every token.
        self.refuses_all = False
        self.refused = 0
        if hasattr(self, "headers"):
            super().reset()

    def _checking(self, app: Any) -> Any:
        async def check(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["method"] != "POST":
                return await app(scope, receive, send)
            messages = [message := await receive()]
            while message.get("more_body"):
                messages.append(message := await receive())
            token = dict(scope["headers"]).get(b"authorization", b"").decode()
            method = json.loads(b"".join(each.get("body", b"") for each in messages)).get("method")
            if method == "tools/call" and token and await self._refuses(token):
                return await self._refuse(send)

            async def again() -> Any:
                return messages.pop(0) if messages else await receive()

            await app(scope, again, send)

        return check

    async def _refuses(self, token: str) -> bool:
        if self.refuses_all:
            return True
        headers = Message()
        headers["authorization"] = token
        status, _ = await asyncio.to_thread(self.api.answer, "GET", "/me", headers, "")
        return status == 401

    async def _refuse(self, send: Any) -> None:
        self.refused += 1
        media, body = FORMS[self.form]
        headers = [CHALLENGE, (b"content-length", str(len(body)).encode())]
        if media:
            headers.append((b"content-type", media.encode()))
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": body})
