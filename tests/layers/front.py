"""One address for all replicas: the load balancer of the tests. It forwards what arrives, without its TLS if it came
with some.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from itertools import count

from ..harness.background import EventLoop
from .certificate import server_context

# What a TLS connection begins with: a handshake (RFC 8446 section 5.1).
HANDSHAKE = b"\x16"
# With TLS, the other side has to agree to the end.
END_S = 1.0


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
        self.tls = server_context()
        self.arriving: set[asyncio.Task[None]] = set()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port: int = self.socket.getsockname()[1]
        self.accepting = asyncio.run_coroutine_threadsafe(self._accept(), self.loop.loop)

    def use(self, *names: str) -> None:
        """From now on these replicas take turns (none: all); connections there are end."""
        self.chosen = names
        self.loop.run(self._end_connections())

    def close(self) -> None:
        """Stop listening, and end every connection."""
        self.loop.run(self._stop())
        self.loop.close()

    async def _stop(self) -> None:
        self.accepting.cancel()
        self.socket.close()
        await self._end_connections()

    async def _end_connections(self) -> None:
        ending = [asyncio.create_task(_end(writer)) for writer in self.open]
        # A client that goes on at once must not use a connection that is about to end.
        if ending:
            await asyncio.wait(ending, timeout=END_S)

    async def _accept(self) -> None:
        while True:
            accepted, _ = await asyncio.get_running_loop().sock_accept(self.socket)
            task = asyncio.create_task(self._arrive(accepted))
            self.arriving.add(task)
            task.add_done_callback(self.arriving.discard)

    async def _arrive(self, accepted: socket.socket) -> None:
        """Take a connection once it says whether it is TLS."""
        loop = asyncio.get_running_loop()
        first = loop.create_future()
        loop.add_reader(accepted, lambda: first.done() or first.set_result(None))
        try:
            await first
        finally:
            loop.remove_reader(accepted)
        with contextlib.suppress(OSError):
            is_tls = accepted.recv(1, socket.MSG_PEEK) == HANDSHAKE
            reader = asyncio.StreamReader()
            await loop.connect_accepted_socket(
                lambda: asyncio.StreamReaderProtocol(reader, self._serve),
                accepted,
                ssl=self.tls if is_tls else None,
            )

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


async def _end(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side says no more or goes away, then the other is told."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()
    except OSError:
        writer.close()
