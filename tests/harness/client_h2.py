"""The same requests over HTTP/2 with prior knowledge, trailers included."""

from __future__ import annotations

import socket
import time

import h2.config
import h2.connection
import h2.events

from .client import Request
from .http import Response, Text, raw
from .waiting import PATIENCE_S

# Names HTTP/2 does not have.
CONNECTION_HEADERS = {b"host", b"connection", b"transfer-encoding", b"upgrade"}


class Connection:
    """One HTTP/2 connection to Envoy; streams may overlap."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        config = h2.config.H2Configuration(
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            header_encoding=None,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.responses: dict[int, Response] = {}
        self.ended: set[int] = set()
        self.h2.initiate_connection()
        self._flush()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def request(self, request: Request) -> Response:
        """Send a request and read its answer."""
        return self.response(self.start(request))

    def start(self, request: Request, end: bool = True) -> int:
        """Send a request; without `end` it is left half sent."""
        stream = self.h2.get_next_available_stream_id()
        self.responses[stream] = Response()
        pieces = request.pieces()
        ends_here = end and not pieces and not request.trailers
        self.h2.send_headers(stream, _headers(request), end_stream=ends_here)
        self._flush()
        for position, piece in enumerate(pieces):
            last = end and position == len(pieces) - 1 and not request.trailers
            self._send_piece(stream, piece, last)
            time.sleep(request.pause)
        if end and request.trailers:
            trailers = [(raw(name).lower(), raw(value)) for name, value in request.trailers]
            self.h2.send_headers(stream, trailers, end_stream=True)
        self._flush()
        return stream

    def reset(self, stream: int) -> None:
        """Cancel a stream."""
        self.h2.reset_stream(stream)
        self._flush()

    def response(self, stream: int) -> Response:
        """Read until the stream ends."""
        while stream not in self.ended and self._receive():
            pass
        response = self.responses[stream]
        response.complete = stream in self.ended and response.complete
        return response

    def _send_piece(self, stream: int, piece: bytes, last: bool) -> None:
        while piece and stream not in self.ended:
            window = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if window == 0:
                self._receive()
                continue
            part, piece = piece[:window], piece[window:]
            self.h2.send_data(stream, part, end_stream=last and not piece)
            self._flush()

    def _flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def _receive(self) -> bool:
        data = self.socket.recv(65536)
        if not data:
            return False
        for event in self.h2.receive_data(data):
            self._note(event)
        self._flush()
        return True

    def _note(self, event: h2.events.Event) -> None:
        stream = getattr(event, "stream_id", None)
        response = self.responses.get(stream or 0)
        if response is None or stream is None:
            return
        match event:
            case h2.events.ResponseReceived():
                pairs = _decoded(event.headers)
                response.status = int(dict(pairs)[":status"])
                response.headers = [pair for pair in pairs if not pair[0].startswith(":")]
            case h2.events.DataReceived():
                response.body += event.data or b""
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, stream)
            case h2.events.TrailersReceived():
                response.trailers = _decoded(event.headers)
            case h2.events.StreamEnded():
                self.ended.add(stream)
            case h2.events.StreamReset():
                response.complete = False
                self.ended.add(stream)


def _decoded(headers: object) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]  # type: ignore[attr-defined]


def _headers(request: Request) -> list[tuple[bytes, bytes]]:
    given: list[tuple[Text, Text]] = list(request.headers)
    hosts = [value for name, value in given if raw(name).lower() == b"host"]
    headers = [
        (b":method", request.method.encode()),
        (b":scheme", b"http"),
        (b":authority", raw(hosts[0]) if hosts else b"crm.example.com"),
        (b":path", raw(request.path)),
    ]
    pairs = [(raw(name).lower(), raw(value)) for name, value in given]
    return headers + [pair for pair in pairs if pair[0] not in CONNECTION_HEADERS]


def send(port: int, request: Request) -> Response:
    """One request on a connection of its own."""
    with Connection(port) as connection:
        return connection.request(request)
