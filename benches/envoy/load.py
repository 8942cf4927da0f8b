"""A small HTTP client: few connections, kept open, one request on each at a time."""

import collections
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Answer:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """Connections to one listener. Requests go out on all of them, then the answers are read."""

    def __init__(self, port: int, connections: int = 8) -> None:
        self._sockets = [_connect(port) for _ in range(connections)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        __: BaseException | None,
        ___: TracebackType | None,
    ) -> None:
        for each in self._sockets:
            each.close()

    def once(self, request: bytes) -> Answer:
        """Sends one request."""
        self._sockets[0].sendall(request)
        return _answer(_receive(self._sockets[0]))

    def send(self, request: bytes, waves: int, expected: bytes) -> int:
        """Sends a request over and over. Every answer must be a 200 with the expected body."""
        for _ in range(waves):
            for each in self._sockets:
                each.sendall(request)
            for each in self._sockets:
                answer = _receive(each)
                if not (answer.startswith(b"HTTP/1.1 200") and answer.endswith(expected)):
                    raise SystemExit(f"unexpected answer under load: {answer!r}")
        return waves * len(self._sockets)

    def each(self, requests: list[bytes]) -> collections.Counter[int]:
        """Sends each request once, and counts the statuses of the answers."""
        statuses: collections.Counter[int] = collections.Counter()
        for start in range(0, len(requests), len(self._sockets)):
            used = list(zip(self._sockets, requests[start:], strict=False))
            for connection, request in used:
                connection.sendall(request)
            for connection, _ in used:
                statuses[_answer(_receive(connection)).status] += 1
        return statuses


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _receive(connection: socket.socket) -> bytes:
    received = b""
    while not _is_whole(received):
        part = connection.recv(65536)
        if not part:
            raise SystemExit(f"the connection was closed after {received!r}")
        received += part
    return received


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    _, found, rest = head.partition(b"content-length: ")
    return bool(found) and len(body) >= int(rest.partition(b"\r\n")[0])


def _answer(answer: bytes) -> Answer:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), headers, body)
