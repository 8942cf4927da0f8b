"""The MCP server: its tools use the token they are called with at the resource."""

from __future__ import annotations

from typing import Any

import httpx
from mcp.server.mcpserver import Context, MCPServer

from ..harness.app_server import AppServer, http_app
from ..harness.waiting import PATIENCE_S
from .notes_api import NotesApi

# The headers with which the resource can be asked.
CREDENTIALS = ("authorization", "x-api-key", "x-user", "x-password")


class NotesServer(AppServer):
    """With sessions, or without. With `guarded`, every request needs a credential that the resource accepts: a hosted
    server of another company.
    """

    def __init__(self, api: NotesApi, stateless: bool, guarded: bool = False) -> None:
        self.api = api
        app = http_app(self._server(), stateless_http=stateless)
        super().__init__(self._guarding(app) if guarded else app)

    def _guarding(self, app: Any) -> Any:
        async def guarding(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                sent = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
                headers = {name: sent[name] for name in CREDENTIALS if name in sent}
                async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
                    known = await client.get(f"{self.api.url}/me", headers=headers)
                if known.status_code != 200:
                    headers = [(b"content-type", b"text/plain"), (b"content-length", b"0")]
                    await send({"type": "http.response.start", "status": 401, "headers": headers})
                    await send({"type": "http.response.body", "body": b""})
                    return
            await app(scope, receive, send)

        return guarding

    def _server(self) -> MCPServer:
        server = MCPServer("notes")

        @server.tool("notes.list")
        async def list_notes(ctx: Context) -> dict[str, Any]:
            """The notes of an account."""
            return await self._ask(ctx, "GET")

        @server.tool("notes.add")
        async def add_note(text: str, ctx: Context) -> dict[str, Any]:
            """Add a note to an account's."""
            return await self._ask(ctx, "POST", {"text": text})

        @server.tool("notes.debug")
        async def debug(ctx: Context) -> dict[str, Any]:
            """The headers of the request: a mistake that real servers make."""
            return dict(ctx.headers or {})

        @server.tool("crm.get_customer")
        async def get_customer(customer: str) -> dict[str, Any]:
            """A customer: needs no account anywhere."""
            return {"customer": customer}

        return server

    async def _ask(self, ctx: Context, method: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        sent = ctx.headers or {}
        headers = {name: sent[name] for name in CREDENTIALS if name in sent}
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            answer = await client.request(method, f"{self.api.url}/notes", json=body, headers=headers)
        return {"status": answer.status_code, **answer.json()}
