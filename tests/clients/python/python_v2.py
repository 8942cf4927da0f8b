"""A program on the second line of the official Python SDK, PyPI `mcp` 2."""

from __future__ import annotations

import httpx2
from dialogue import options, run, say, serve_tools
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult
from mcp.client.streamable_http import streamable_http_client
from sign_in import provider


async def main() -> None:
    """Connect, then do as told."""
    auth = provider("scope", lambda parameters: AuthorizationCodeResult(**parameters))
    http = httpx2.AsyncClient(auth=auth, timeout=60)
    transport = streamable_http_client(options["url"], http_client=http)
    async with http, Client(transport, mode=options["mode"], read_timeout_seconds=60) as client:
        say({"reply": {"protocol": client.protocol_version}})
        await serve_tools(client, lambda result: result.is_error)


run(main)
