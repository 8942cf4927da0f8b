"""The recording server's HTTP/2 side."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from .answers import Answer
from .http import Received

if TYPE_CHECKING:
    from .upstream import Peer, Upstream


async def serve(
    upstream: Upstream, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Serve a connection whose first bytes are in `peer.unread`."""
    await Session(upstream, peer, reader, writer).run()


class Session:
    """One HTTP/2 connection."""

    def __init__(
        self,
        upstream: Upstream,
        peer: Peer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.upstream, self.peer, self.reader, self.writer = upstream, peer, reader, writer
        config = h2.config.H2Configuration(client_side=False, header_encoding=None)
        self.h2 = h2.connection.H2Connection(config)
        self.open: dict[int, Received] = {}
        self.window = asyncio.Event()
        self.answers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Read until the peer closes."""
        self.h2.initiate_connection()
        # The connection's own frames come at any time; only those of a request count.
        data, self.peer.unread = self.peer.unread, b""
        while data:
            for event in self.h2.receive_data(data):
                self._on(event)
            await self._flush()
            data = await self.reader.read(65536)

    def _on(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self.upstream.note_bytes(len(event.headers))
                self.open[event.stream_id] = self._request(event.headers)
            case h2.events.DataReceived():
                self.upstream.note_bytes(len(event.data))
                self.open[event.stream_id].body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived():
                self.open[event.stream_id].trailers = _decoded(event.headers)
            case h2.events.StreamEnded():
                request = self.open.pop(event.stream_id)
                answer = self.upstream.record(request)
                task = asyncio.create_task(self._answer(event.stream_id, answer))
                self.answers.add(task)
                task.add_done_callback(self.answers.discard)
            case h2.events.WindowUpdated():
                self.window.set()

    def _request(self, headers: list[tuple[bytes, bytes]]) -> Received:
        pairs = _decoded(headers)
        pseudo = {name: value for name, value in pairs if name.startswith(":")}
        plain = [pair for pair in pairs if not pair[0].startswith(":")]
        return Received(
            plain,
            method=pseudo[":method"],
            path=pseudo[":path"],
            protocol="HTTP/2",
            connection=self.peer.number,
        )

    async def _answer(self, stream: int, answer: Answer) -> None:
        await asyncio.sleep(answer.delay)
        try:
            headers = [(":status", str(answer.status)), *answer.headers]
            if answer.sized and not answer.trailers:
                headers.append(("content-length", str(sum(map(len, answer.chunks)))))
            ends = not answer.chunks and not answer.trailers and not answer.endless
            self.h2.send_headers(stream, headers, end_stream=ends)
            await self._flush()
            for chunk in answer.chunks:
                await self._data(stream, chunk)
                await asyncio.sleep(answer.pause)
            if answer.cut:
                self.h2.reset_stream(stream)
            elif answer.trailers:
                self.h2.send_headers(stream, answer.trailers, end_stream=True)
            elif answer.chunks and not answer.endless:
                self.h2.end_stream(stream)
            await self._flush()
        except (h2.exceptions.ProtocolError, ConnectionError):
            # The peer reset the stream: there is no stream to answer on.
            return

    async def _data(self, stream: int, chunk: bytes) -> None:
        while chunk:
            size = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if size == 0:
                self.window.clear()
                await self.window.wait()
                continue
            self.h2.send_data(stream, chunk[:size])
            chunk = chunk[size:]
            await self._flush()

    async def _flush(self) -> None:
        self.writer.write(self.h2.data_to_send())
        await self.writer.drain()


def _decoded(headers: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
