"""CRMs on official SDKs with sessions and streams that can be resumed, and what they were asked for."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore

from .mcp_server import McpServer
from .process import NODE, ServerProcess
from .waiting import eventually

PROGRAM = Path(__file__).with_suffix(".cjs")


@dataclass
class Named:
    """The handles a request named."""

    method: str
    session: str | None = None
    event: str | None = None
    task: str | None = None


class Events(EventStore):
    """Every event of every stream."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        """Keep an event; its id is its place."""
        self.events.append((stream_id, message))
        return f"{stream_id}/{len(self.events)}"

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """Send what came later on the same stream."""
        stream, _, place = last_event_id.rpartition("/")
        for number, (other, message) in enumerate(self.events, 1):
            if other == stream and number > int(place) and message is not None:
                await send_callback(EventMessage(message, f"{stream}/{number}"))
        return stream


class PythonServer(McpServer):
    """On the Python SDK."""

    def __init__(self) -> None:
        super().__init__(json_response=False, event_store=Events(), retry_interval=50)

    @property
    def named(self) -> list[Named]:
        """What the requests named."""
        return [
            Named(each[":method"], each.get("mcp-session-id"), each.get("last-event-id"))
            for each in self.headers
        ]

    def wait_for(self, count: int) -> None:
        """A request is noted before it is answered."""
        assert len(self.named) >= count

    def _add_tools(self, crm: MCPServer) -> None:
        super()._add_tools(crm)

        @crm.tool("crm.import")
        async def import_(ctx: Context) -> str:
            """Takes longer than its stream."""
            await ctx.close_sse_stream()
            await asyncio.sleep(0.2)
            return "imported"


class TypeScriptServer(ServerProcess):
    """On the first line of the TypeScript SDK, which knows the tasks of 2025-11-25."""

    def __init__(self) -> None:
        super().__init__(NODE, PROGRAM)
        self.named: list[Named] = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def close(self) -> None:
        """Stop serving."""
        super().close()
        self.thread.join(5)

    def reset(self) -> None:
        """Forget what was noted."""
        self.named.clear()

    def wait_for(self, count: int) -> None:
        """Wait until this many requests are noted: the program's output takes its time."""
        eventually(lambda: len(self.named) >= count, f"{count} requests are noted, but there are", lambda: self.named)

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.named.append(Named(**json.loads(line)))
