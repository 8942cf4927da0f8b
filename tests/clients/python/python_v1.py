"""A program on the first line of the official Python SDK, PyPI `mcp` 1."""

from __future__ import annotations

import httpx
from dialogue import options, run, say, serve_tools
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from sign_in import provider


async def main() -> None:
    """Connect, then do as told."""
    auth = provider("scopes", lambda parameters: (parameters["code"], parameters.get("state")))
    async with (
        httpx.AsyncClient(auth=auth, timeout=60, follow_redirects=True) as http,
        streamable_http_client(options["url"], http_client=http) as (reading, writing, _),
        ClientSession(reading, writing) as session,
    ):
        opened = await session.initialize()
        say({"reply": {"protocol": opened.protocolVersion}})
        await serve_tools(session, lambda result: result.isError)


run(main)
