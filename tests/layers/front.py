"""One address for all replicas: the load balancer of the tests. It forwards connections as they are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from itertools import count

from ..harness.background import EventLoop


class Front:
    """A TCP port in front of the replicas, which take turns unless told otherwise."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.chosen: tuple[str, ...] = ()
        # The replica of each connection so far.
        self.taken: list[str] = []
        self.turns = count()
        self.open: set[asyncio.StreamWriter] = set()
        self.loop = EventLoop()
        self.server = self.loop.run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self.server.sockets[0].getsockname()[1]

    def use(self, *names: str) -> None:
        """From now on these replicas take turns (none: all); connections there are end."""
        self.chosen = names
        self.loop.run(self._end_connections())

    def close(self) -> None:
        """Stop listening, and end every connection."""
        self.loop.run(self._stop())
        self.loop.close()

    async def _stop(self) -> None:
        self.server.close()
        await self._end_connections()

    async def _end_connections(self) -> None:
        for writer in self.open:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await self._connect()
            with self._noted(writer), self._noted(there[1]):
                await asyncio.gather(_forward(reader, there[1]), _forward(there[0], writer))
        except OSError:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to whose turn it is; one that is gone is passed over."""
        names = self.chosen or tuple(self.ports)
        start = next(self.turns)
        for name in (names[(start + each) % len(names)] for each in range(len(names))):
            with contextlib.suppress(ConnectionRefusedError):
                connected = await asyncio.open_connection("127.0.0.1", self.ports[name])
                self.taken.append(name)
                return connected
        raise ConnectionRefusedError

    @contextlib.contextmanager
    def _noted(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self.open.add(writer)
        try:
            yield
        finally:
            self.open.discard(writer)
            writer.close()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side says no more or goes away, then the other is told."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()
