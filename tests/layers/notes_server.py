"""The MCP server: its tools use the token they are called with at the resource."""

from __future__ import annotations

from typing import Any

import httpx
from mcp.server.mcpserver import Context, MCPServer

from ..harness.app_server import AppServer, http_app
from ..harness.waiting import PATIENCE_S
from .notes_api import NotesApi


class NotesServer(AppServer):
    """With sessions, or without."""

    def __init__(self, api: NotesApi, stateless: bool) -> None:
        self.api = api
        super().__init__(http_app(self._server(), stateless_http=stateless))

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

        @server.tool("crm.get_customer")
        async def get_customer(customer: str) -> dict[str, Any]:
            """A customer: needs no account anywhere."""
            return {"customer": customer}

        return server

    async def _ask(self, ctx: Context, method: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        authorization = (ctx.headers or {}).get("authorization")
        headers = {"authorization": authorization} if authorization else {}
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            answer = await client.request(method, f"{self.api.url}/notes", json=body, headers=headers)
        return {"status": answer.status_code, **answer.json()}
