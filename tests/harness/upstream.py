"""A server that records every byte it receives and answers what it was told to."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from . import upstream_h2
from .answers import Answer, default_answer
from .background import EventLoop
from .http import Received
from .waiting import eventually

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
Answers = Answer | Callable[[Received], Answer]


@dataclass
class Peer:
    """A connection, and the bytes on it that are not part of a whole request (yet)."""

    number: int
    unread: bytes = b""
    closed: bool = False


@dataclass
class Recording:
    """What arrived since the last reset."""

    requests: list[Received] = field(default_factory=list)
    # Bytes that are no HTTP request: what is left over when a body and its length disagree.
    garbage: list[bytes] = field(default_factory=list)
    bytes: int = 0


class Upstream:
    """HTTP/1.1 with keep-alive, and HTTP/2 by prior knowledge, on one port."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.recording = Recording()
        self.peers: list[Peer] = []
        self.answer: Answers = default_answer
        self.loop = EventLoop()
        self.server = self.loop.run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self.server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self.server.close()
        self.loop.close()

    def reset(self) -> None:
        """Forget what arrived, and answer as a plain server does."""
        with self.lock:
            self.recording = Recording()
            self.answer = default_answer

    def take(self) -> Recording:
        """What arrived since the last call."""
        with self.lock:
            taken, self.recording = self.recording, Recording()
            return taken

    def unread(self) -> bytes:
        """Bytes of requests that have begun and not ended."""
        return b"".join(peer.unread for peer in self.peers if not peer.closed)

    def wait_for(self, count: int) -> None:
        """Wait until this many requests are recorded."""
        requests = lambda: len(self.recording.requests)  # noqa: E731
        eventually(lambda: requests() >= count, f"the server receives {count} requests, but there are", requests)

    def record(self, request: Received) -> Answer:
        """Note a request and choose its answer."""
        with self.lock:
            self.recording.requests.append(request)
            return self.answer(request) if callable(self.answer) else self.answer

    def note_bytes(self, size: int) -> None:
        """Count what arrives, whatever it turns out to be."""
        with self.lock:
            self.recording.bytes += size

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(len(self.peers))
        self.peers.append(peer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                await self._serve_connection(peer, reader, writer)
            finally:
                peer.closed = True
                writer.close()

    async def _serve_connection(
        self, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while await self._more(peer, reader):
            if PREFACE.startswith(peer.unread[: len(PREFACE)]):
                if len(peer.unread) < len(PREFACE):
                    continue
                await upstream_h2.serve(self, peer, reader, writer)
                return
            while (request := self._parse(peer)) is not None:
                answer = self.record(request)
                await write_answer(writer, answer, request.method == "HEAD")
                if answer.endless:
                    await reader.read()
                if answer.cut or answer.endless:
                    return

    async def _more(self, peer: Peer, reader: asyncio.StreamReader) -> bool:
        data = await reader.read(65536)
        self.note_bytes(len(data))
        peer.unread += data
        return bool(data)

    def _parse(self, peer: Peer) -> Received | None:
        head, found, rest = peer.unread.partition(b"\r\n\r\n")
        if not found:
            if b"\r\n" in head and not _is_request_line(head.split(b"\r\n")[0]):
                self._garbage(peer)
            return None
        if not _is_request_line(head.split(b"\r\n")[0]):
            self._garbage(peer)
            return None
        request = _request(head, peer.number)
        size = _read_body(request, rest)
        if size is None:
            return None
        request.raw = head + found + rest[:size]
        peer.unread = rest[size:]
        return request

    def _garbage(self, peer: Peer) -> None:
        with self.lock:
            self.recording.garbage.append(peer.unread)
        peer.unread = b""


def _is_request_line(line: bytes) -> bool:
    parts = line.split(b" ")
    return len(parts) == 3 and parts[0].isalpha() and parts[0].isupper() and parts[2] == b"HTTP/1.1"


def _request(head: bytes, connection: int) -> Received:
    line, *fields = head.decode("latin-1").split("\r\n")
    method, path, protocol = line.split(" ")
    pairs = [text.partition(":")[::2] for text in fields]
    headers = [(name, value.strip()) for name, value in pairs]
    return Received(headers, method=method, path=path, protocol=protocol, connection=connection)


def _read_body(request: Received, data: bytes) -> int | None:
    """Fill in the body; the number of bytes it took, or None when more are needed."""
    if (request.header("transfer-encoding") or "") == "chunked":
        return _read_chunks(request, data)
    length = int(request.header("content-length") or 0)
    if len(data) < length:
        return None
    request.body = data[:length]
    return length


def _read_chunks(request: Received, data: bytes) -> int | None:
    body, position = b"", 0
    while True:
        end = data.find(b"\r\n", position)
        if end < 0:
            return None
        size = int(data[position:end], 16)
        position = end + 2
        if size == 0:
            break
        if len(data) < position + size + 2:
            return None
        body += data[position : position + size]
        position += size + 2
    end = position if data.startswith(b"\r\n", position) else data.find(b"\r\n\r\n", position) + 2
    if end < position or len(data) < end + 2:
        return None
    for line in filter(None, data[position:end].decode("latin-1").split("\r\n")):
        name, _, value = line.partition(":")
        request.trailers.append((name, value.strip()))
    request.body = body
    return end + 2


async def write_answer(writer: asyncio.StreamWriter, answer: Answer, bodyless: bool) -> None:
    """Write an answer in HTTP/1.1, chunk by chunk."""
    await asyncio.sleep(answer.delay)
    lines = [f"HTTP/1.1 {answer.status} Status", *(f"{n}: {v}" for n, v in answer.headers)]
    bodyless = bodyless or answer.status in (204, 304)
    sized = answer.sized and not answer.trailers
    if not bodyless:
        size = f"content-length: {sum(map(len, answer.chunks))}"
        lines.append(size if sized else "transfer-encoding: chunked")
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    for chunk in () if bodyless else filter(None, answer.chunks):
        writer.write(chunk if sized else b"%x\r\n%s\r\n" % (len(chunk), chunk))
        await writer.drain()
        await asyncio.sleep(answer.pause)
    if not (bodyless or sized or answer.cut or answer.endless):
        trailers = "".join(f"{name}: {value}\r\n" for name, value in answer.trailers)
        writer.write(f"0\r\n{trailers}\r\n".encode("latin-1"))
    await writer.drain()
