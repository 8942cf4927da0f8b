"""A client of the official Python SDK, and the user who answers what it asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from mcp import Client
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult

from ..harness.background import EventLoop
from ..harness.sdk_client import connected
from ..harness.waiting import PATIENCE_S

# It finds out that the server speaks 2026-07-28.
MODERN = "auto"
# It speaks 2025-11-25.
LEGACY = "legacy"

# What the user answers to a question: `accept`, `decline` or `cancel`.
Answer = Callable[[ElicitRequestParams], str]


class Assistant:
    """Connected and signed in until it is closed. Without `answer` it does not declare elicitation."""

    def __init__(self, port: int, token: str, mode: str = MODERN, answer: Answer | None = None) -> None:
        self.asked: list[ElicitRequestParams] = []
        self.answer = answer
        self.loop = EventLoop()
        self.calls: asyncio.Queue[tuple[str, dict[str, Any], Future[CallToolResult]] | None] = asyncio.Queue()
        ready: Future[None] = Future()
        self.over = asyncio.run_coroutine_threadsafe(self._live(port, token, mode, ready), self.loop.loop)
        ready.result(PATIENCE_S)

    def call(self, name: str, **arguments: Any) -> CallToolResult:
        """The result of a tool, whatever had to be answered before."""
        called: Future[CallToolResult] = Future()
        self.loop.loop.call_soon_threadsafe(self.calls.put_nowait, (name, arguments, called))
        return called.result(PATIENCE_S)

    def notes(self) -> dict[str, Any]:
        """What the tool says of the account's notes."""
        result = self.call("notes.list")
        assert not result.is_error, result
        assert result.structured_content is not None
        return result.structured_content

    def close(self) -> None:
        """Leave."""
        self.loop.loop.call_soon_threadsafe(self.calls.put_nowait, None)
        self.over.result(PATIENCE_S)
        self.loop.close()

    async def _live(self, port: int, token: str, mode: str, ready: Future[None]) -> None:
        options = {"elicitation_callback": self._asks} if self.answer else {}
        try:
            async with connected(port, mode, False, token, **options) as client:
                ready.set_result(None)
                await self._serve(client)
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    async def _serve(self, client: Client) -> None:
        while (call := await self.calls.get()) is not None:
            name, arguments, called = call
            try:
                called.set_result(await client.call_tool(name, arguments))
            except Exception as error:  # noqa: BLE001
                called.set_exception(error)

    async def _asks(self, _: object, asked: ElicitRequestParams) -> ElicitResult:
        self.asked.append(asked)
        assert self.answer is not None
        return ElicitResult(action=await asyncio.to_thread(self.answer, asked))
