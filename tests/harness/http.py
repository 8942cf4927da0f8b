"""HTTP messages as both ends of the tests see them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

Headers = list[tuple[str, str]]
Text = str | bytes


def raw(text: Text) -> bytes:
    """Bytes of a header name or value; text is UTF-8."""
    return text if isinstance(text, bytes) else text.encode()


@dataclass
class Message:
    """Headers and body, with the questions tests ask of them."""

    headers: Headers = field(default_factory=list)
    body: bytes = b""
    trailers: Headers = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The one value of a header; more than one is an error."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} occurs {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Response(Message):
    """What the client got."""

    status: int = 0
    # False when the connection ended before the message did.
    complete: bool = True

    def events(self) -> list[str]:
        """The `data` of each event of an event stream."""
        return [data for data in map(_event_data, event_blocks(self.body)) if data]

    def rpc(self) -> dict[str, Any]:
        """The JSON-RPC answer, from a JSON body or from an event stream."""
        if (self.header("content-type") or "").startswith("text/event-stream"):
            messages = [json.loads(data) for data in self.events()]
            return next(each for each in messages if "result" in each or "error" in each)
        return self.json

    def error_code(self) -> int | None:
        """The JSON-RPC error code, if the body is an error."""
        try:
            return self.rpc()["error"]["code"]
        except (ValueError, KeyError, TypeError, StopIteration):
            return None


@dataclass
class Received(Message):
    """A request as the server received it."""

    method: str = ""
    path: str = ""
    raw: bytes = b""
    protocol: str = "HTTP/1.1"
    connection: int = 0

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of a call or prompt."""
        return self.json["params"].get("arguments", {})


def event_blocks(stream: bytes) -> list[bytes]:
    """The blocks between blank lines; an unfinished last one is not an event."""
    text = re.sub(rb"\r\n|\r|\n", b"\n", stream.removeprefix(b"\xef\xbb\xbf"))
    return text.split(b"\n\n")[:-1]


def _event_data(block: bytes) -> str:
    lines = [line for line in block.split(b"\n") if line.startswith(b"data")]
    values = [line.partition(b":")[2].removeprefix(b" ") for line in lines]
    return b"\n".join(values).decode()
