"""The official client of the Python SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from .waiting import PATIENCE_S

Work = Callable[[Client], Awaitable[None]]


@asynccontextmanager
async def connected(port: int, mode: str, http2: bool, token: str | None, **options: Any) -> AsyncIterator[Client]:
    """A client, signed in if there is a token."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    http = httpx2.AsyncClient(headers=headers, http2=http2, http1=not http2, timeout=PATIENCE_S)
    transport = streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
    async with http, Client(transport, mode=mode, read_timeout_seconds=PATIENCE_S, **options) as client:
        yield client


def with_client(opened: AbstractAsyncContextManager[Client], work: Work) -> None:
    """Do something with a client while it is connected."""

    async def connect_and_work() -> None:
        async with opened as client:
            await work(client)

    asyncio.run(asyncio.wait_for(connect_and_work(), PATIENCE_S))
