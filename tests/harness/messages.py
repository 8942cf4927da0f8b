"""MCP requests of both protocol eras, as the SDKs send them."""

from __future__ import annotations

import base64
from typing import Any

from .answers import encoded
from .client import Request
from .http import Text, raw

LEGACY = "2025-11-25"
MODERN = "2026-07-28"

META = "io.modelcontextprotocol/"

# Where a request names what it is about (2026-07-28, "Mcp-Name").
NAMES = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

HeaderList = list[tuple[Text, Text]]


def modern_meta(**more: Any) -> dict[str, Any]:
    """The `_meta` every 2026-07-28 request has."""
    return {
        f"{META}protocolVersion": MODERN,
        f"{META}clientInfo": {"name": "tests", "version": "1"},
        f"{META}clientCapabilities": {},
        **more,
    }


def rpc(method: str, params: dict[str, Any] | None = None, id: Any = 1) -> dict[str, Any]:
    """A JSON-RPC request of the legacy era."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": id, "method": method}
    return message if params is None else {**message, "params": params}


def modern_rpc(method: str, params: dict[str, Any] | None = None, id: Any = 1) -> dict[str, Any]:
    """A JSON-RPC request of the modern era."""
    params = dict(params or {})
    params["_meta"] = {**modern_meta(), **params.get("_meta", {})}
    return rpc(method, params, id)


def message(era: str, method: str, params: dict[str, Any] | None = None, id: Any = 1) -> dict[str, Any]:
    """A JSON-RPC request of this era."""
    return (modern_rpc if era == MODERN else rpc)(method, params, id)


def call(era: str, name: str, arguments: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    """A tool call."""
    return message(era, "tools/call", {"name": name, "arguments": arguments or {}, **params})


def common_headers(token: str | None) -> HeaderList:
    """The headers of any MCP POST."""
    headers: HeaderList = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ]
    return headers if token is None else [*headers, ("authorization", f"Bearer {token}")]


def sentinel(text: str | bytes) -> str:
    """A mirrored header value in the protocol's base64 form."""
    return f"=?base64?{base64.b64encode(raw(text)).decode()}?="


def mirrored(text: str) -> str:
    """A value as a mirrored header carries it: plain where that survives."""
    plain = text == text.strip() and all(" " <= letter <= "~" for letter in text)
    return text if plain else sentinel(text)


def era_headers(era: str, body: dict[str, Any]) -> HeaderList:
    """The headers this era adds, taken from the body."""
    headers: HeaderList = [("mcp-protocol-version", era)]
    method = body.get("method")
    if era != MODERN or method is None:
        return headers
    headers.append(("mcp-method", mirrored(method)))
    if method in NAMES and NAMES[method] in body.get("params", {}):
        headers.append(("mcp-name", mirrored(body["params"][NAMES[method]])))
    return headers


def post(
    body: dict[str, Any] | bytes,
    token: str | None,
    era: str = LEGACY,
    headers: HeaderList | None = None,
    drop: tuple[str, ...] = (),
    like: dict[str, Any] | None = None,
    **request: Any,
) -> Request:
    """A POST as a well-behaved client of this era sends it, except for what is changed.

    Bytes need not be JSON: `like` is the message whose headers they get. `headers` are added to
    the usual ones, after those named in `drop` are left out.
    """
    described = body if isinstance(body, dict) else like or {}
    usual = common_headers(token) + era_headers(era, described)
    kept = [pair for pair in usual if pair[0] not in drop]
    return Request(headers=[*kept, *(headers or [])], body=encoded(body), **request)


def begins(era: str) -> dict[str, Any]:
    """What a client asks at first."""
    if era == MODERN:
        return message(era, "server/discover")
    info = {"name": "x", "version": "1"}
    return message(era, "initialize", {"protocolVersion": era, "capabilities": {}, "clientInfo": info})
