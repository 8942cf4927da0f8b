"""What the recording server answers."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field, replace
from typing import Any

from .http import Headers, Received

JSON = "application/json"
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Answer:
    """A response, as bytes and in pieces."""

    status: int = 200
    headers: Headers = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    trailers: Headers = field(default_factory=list)
    # With a content-length instead of chunked transfer coding.
    sized: bool = False
    # Seconds before the headers, and between the chunks.
    delay: float = 0.0
    pause: float = 0.002
    # The connection is cut where the end should be.
    cut: bool = False
    # The stream stays open after the last chunk until the peer closes it.
    endless: bool = False

    def with_(self, **changes: Any) -> Answer:
        """The same answer with something different."""
        return replace(self, **changes)

    def split(self, *sizes: int) -> Answer:
        """The same body in chunks of these sizes, the last size repeated."""
        body, chunks, position = b"".join(self.chunks), [], 0
        for size in sizes[:-1]:
            chunks.append(body[position : position + size])
            position += size
        last = sizes[-1]
        chunks += [body[at : at + last] for at in range(position, len(body), last)]
        return replace(self, chunks=chunks)


def encoded(value: Any) -> bytes:
    """JSON as servers write it: no spaces, no escapes beyond need."""
    if isinstance(value, bytes):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def json_answer(value: Any, status: int = 200, content_type: str = JSON) -> Answer:
    """One JSON document."""
    return Answer(status, [("content-type", content_type)], [encoded(value)], sized=True)


def event_stream(*messages: Any, newline: bytes = b"\n", content_type: str = EVENT_STREAM) -> Answer:
    """One event for each message; bytes are a message's text."""
    return raw_stream(*[event(message, newline) for message in messages], content_type=content_type)


def raw_stream(*chunks: bytes, content_type: str = EVENT_STREAM) -> Answer:
    """An event stream written by hand."""
    return Answer(200, [("content-type", content_type)], list(chunks))


def event(message: Any, newline: bytes = b"\n") -> bytes:
    """A message as an event."""
    return b"event: message" + newline + b"data: " + encoded(message) + newline * 2


def gzipped(answer: Answer) -> Answer:
    """The same answer, compressed."""
    body = gzip.compress(b"".join(answer.chunks))
    headers = [*answer.headers, ("content-encoding", "gzip")]
    return answer.with_(headers=headers, chunks=[body])


def result(value: dict[str, Any], id: Any = 1) -> dict[str, Any]:
    """A JSON-RPC result."""
    return {"jsonrpc": "2.0", "id": id, "result": value}


def listing(kind: str, items: list[dict[str, Any]], id: Any = 1, **more: Any) -> dict[str, Any]:
    """A list answer: kind is tools, prompts, resources or resourceTemplates."""
    return result({kind: items, **more}, id)


PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}}


def answer(message: Any, style: str, status: int = 200) -> Answer:
    """The same message in either response style."""
    return json_answer(message, status) if style == "json" else event_stream(PROGRESS, message)


def default_answer(request: Received) -> Answer:
    """What a plain MCP server says."""
    if request.method != "POST":
        return Answer(405, sized=True)
    try:
        message = request.json
    except ValueError:
        return json_answer({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "?"}}, 400)
    if not isinstance(message, dict) or "id" not in message or "method" not in message:
        return Answer(202, sized=True)
    text = {"content": [{"type": "text", "text": "ok"}]}
    return json_answer(result(text, message["id"]))


def presents(era: str, **more: Any) -> dict[str, Any]:
    """What a server answers at first."""
    return result({"capabilities": {}, "serverInfo": {"name": "x", "version": "1"}, "protocolVersion": era, **more})
