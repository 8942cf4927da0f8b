"""A client that sends exactly the bytes it is told to, over HTTP/1.1."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .http import Response, Text, raw
from .waiting import PATIENCE_S


@dataclass
class Request:
    """A request, as bytes and in pieces."""

    method: str = "POST"
    path: Text = "/mcp"
    headers: list[tuple[Text, Text]] = field(default_factory=list)
    body: bytes | None = None
    # Sent one after the other with a short pause, so that Envoy sees them apart.
    chunks: Sequence[bytes] | None = None
    # None: content-length, unless there are trailers.
    chunked: bool | None = None
    trailers: list[tuple[Text, Text]] = field(default_factory=list)
    pause: float = 0.002

    def pieces(self) -> list[bytes]:
        """The body as it is cut up."""
        if self.chunks is not None:
            return list(self.chunks)
        return [self.body] if self.body else []


class Connection:
    """One TCP connection to Envoy."""

    def __init__(self, port: int, timeout: float = PATIENCE_S, host: str = "127.0.0.1") -> None:
        if host.startswith(("/", "@")):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(host.replace("@", "\0"))
        else:
            self.socket = socket.create_connection((host, port), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes; an answer may already wait while the peer stops reading."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def request(self, request: Request) -> Response:
        """Send a request and read its answer."""
        self.start(request)
        for piece in encoded_pieces(request):
            self.send(piece)
            time.sleep(request.pause)
        return self.response(request.method)

    def start(self, request: Request) -> None:
        """Send the request line and headers only."""
        self.send(head(request))

    def abort(self) -> None:
        """Go away as a crashed client does: with a reset."""
        linger = b"\x01\0\0\0\0\0\0\0"
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    def response(self, method: str = "POST") -> Response:
        """Read one response to its end; 1xx responses are skipped."""
        while True:
            response = self.response_head()
            if response.status == 0 or response.status >= 200:
                break
        self._read_body(response, method)
        return response

    def response_head(self) -> Response:
        """Read status line and headers."""
        text = self._until(b"\r\n\r\n")
        if not text:
            return Response(complete=False)
        lines = text.decode("latin-1").split("\r\n")
        pairs = [line.partition(":")[::2] for line in lines[1:] if line]
        headers = [(name.lower(), value.strip()) for name, value in pairs]
        return Response(headers=headers, status=int(lines[0].split(" ")[1]))

    def read_until(self, end: bytes) -> bytes:
        """Read a body that goes on, up to and including `end`."""
        while end not in self.buffer:
            if not self._more():
                break
        head_, found, self.buffer = self.buffer.partition(end)
        return head_ + found

    def _read_body(self, response: Response, method: str) -> None:
        if method == "HEAD" or response.status in (204, 304):
            return
        if "chunked" in response.all("transfer-encoding"):
            self._read_chunks(response)
        elif (length := response.header("content-length")) is not None:
            response.body = self._exactly(int(length))
            response.complete = len(response.body) == int(length)
        else:
            while self._more():
                pass
            response.body, self.buffer = self.buffer, b""

    def _read_chunks(self, response: Response) -> None:
        while True:
            line = self._until(b"\r\n")
            if not line:
                response.complete = False
                return
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            response.body += self._exactly(size)
            self._exactly(2)
        while (line := self._until(b"\r\n")) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            response.trailers.append((name.lower(), value.strip()))

    def _until(self, end: bytes) -> bytes:
        while end not in self.buffer:
            if not self._more():
                return b""
        text, found, self.buffer = self.buffer.partition(end)
        return text + found

    def _exactly(self, size: int) -> bytes:
        while len(self.buffer) < size and self._more():
            pass
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)


def head(request: Request) -> bytes:
    """Request line and headers. What the caller names is sent as it is, nothing is merged."""
    names = {raw(name).lower() for name, _ in request.headers}
    headers: list[tuple[Text, Text]] = list(request.headers)
    if b"host" not in names:
        headers.insert(0, ("host", "crm.example.com"))
    if not names & {b"content-length", b"transfer-encoding"}:
        headers += list(_framing(request))
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), raw(request.path))]
    lines += [b"%s: %s" % (raw(name), raw(value)) for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _framing(request: Request) -> Iterator[tuple[Text, Text]]:
    if _is_chunked(request):
        yield "transfer-encoding", "chunked"
    elif request.pieces() or request.method in ("POST", "PUT", "PATCH"):
        yield "content-length", str(sum(map(len, request.pieces())))


def _is_chunked(request: Request) -> bool:
    return bool(request.trailers) if request.chunked is None else request.chunked


def encoded_pieces(request: Request) -> Iterator[bytes]:
    """The body in the request's framing."""
    if not _is_chunked(request):
        yield from request.pieces()
        return
    for piece in filter(None, request.pieces()):
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    trailers = [b"%s: %s\r\n" % (raw(name), raw(value)) for name, value in request.trailers]
    yield b"0\r\n" + b"".join(trailers) + b"\r\n"


def send(port: int, request: Request) -> Response:
    """One request on a connection of its own."""
    with Connection(port) as connection:
        return connection.request(request)


def together(port: int, requests: Sequence[Request]) -> list[Response]:
    """All of these at once, each on a connection of its own; answers as they come."""
    responses: list[Response] = []

    def run(request: Request) -> None:
        responses.append(send(port, request))

    threads = [threading.Thread(target=run, args=(each,)) for each in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return responses
