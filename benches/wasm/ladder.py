"""What one request costs in the module, callback by callback."""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from benches.envoy import messages
from benches.wasm.host import (
    CALL_BODY,
    CALL_HEADERS,
    NOW_NS,
    REQUEST_BODY,
    REQUEST_HEADERS,
    RESPONSE_BODY,
    RESPONSE_HEADERS,
    SERVER,
    Cost,
    Host,
)

ANSWER = (
    b'{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"done"}],"isError":false}}'
)
# What the server says about the record of a call.
RECORD = (
    b'{"jsonrpc":"2.0","id":%s,"result":{"structuredContent":{"id":"T-100","organization_id":"acme",'
    b'"subject":"Invoice 100 was charged twice","status":"open"},"content":[{"type":"text","text":'
    b'"{\\"id\\":\\"T-100\\",\\"organization_id\\":\\"acme\\"}"}]}}'
)
LIST = b'{"jsonrpc":"2.0","id":42,"method":"tools/list","params":{}}'
_KEY = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "k1"}, auto_kid=False)


@dataclass(frozen=True)
class Request:
    """A kind of request. Its cost is counted."""

    name: str
    size: int
    policy: str = "plain"
    claims_user: bool = False
    # What the caller may use. Without it the request is a call.
    lists: str | None = None


REQUESTS = [
    Request("a call of 524 B", 524),
    Request("a call of 524 B, an argument replaced", 524, claims_user=True),
    Request("a call of 524 B, rules for results", 524, policy="results"),
    Request("a call of 524 B, a condition", 524, policy="condition"),
    Request("a call of 64 KiB", 64 * 1024),
    Request("a list of 200 tools that the worker filtered before", 200, lists="crm.*"),
    Request("a call of 524 B, the owner of its record looked up", 524, policy="lookup"),
    Request("a call of 64 KiB, a condition", 64 * 1024, policy="condition"),
    Request("a call of 64 KiB, a condition on every ticket", 64 * 1024, policy="each"),
]
CONDITIONS = {
    "condition": "args.limit <= 100",
    "each": "args.tickets.all(ticket, ticket.amount < 1000)",
}


def policy(kind: str) -> dict[str, Any]:
    """The policy of the benchmark in Envoy; `results`: with rules for results, as in the README; `lookup`: with an
    owner that is looked up before the call; or with a condition."""
    keys = KeySet([_KEY]).as_dict(private=False)
    issuer = {
        "issuer": messages.ISSUER,
        "jwks": {"inline": keys},
        "algorithms": ["RS256"],
        "identity": {"organization": "org_id", "roles": "realm_access.roles"},
    }
    found: dict[str, Any] = {
        "resource": messages.RESOURCE,
        "issuers": [issuer],
        "roles": {messages.ROLE: {"tools": [messages.ALLOWED]}},
    }
    if kind == "results":
        owner = {"field": "organization_id", "is": "organization"}
        rule = {"tools": ["crm.*"], "owner": owner, "redact": ["ssn", "card.*"], "text": "keep"}
        found["results"] = [rule]
    if kind == "lookup":
        lookup = {"tool": "crm.get_ticket", "arguments": {"ticket_id": "args.limit"}}
        owner = {"lookup": lookup, "field": "organization_id", "is": "organization"}
        found["tools"] = {messages.ALLOWED: {"owner": owner}}
        found["upstream"] = {"cluster": SERVER.decode()}
    if kind in CONDITIONS:
        found["tools"] = {messages.ALLOWED: {"when": CONDITIONS[kind]}}
    return found


def token(number: int = 0) -> str:
    """A token that is valid at the host's time. Each number makes another one."""
    now = NOW_NS // 10**9
    claims = messages.claims() | {"iat": now - 10, "exp": now + 290, "jti": f"t-{number}"}
    return jwt.encode({"alg": "RS256", "typ": "JWT", "kid": _KEY.kid}, claims, _KEY)


def measure(module: Path) -> Iterator[tuple[str, dict[str, Cost]]]:
    """The cost of each callback, for each kind of request, with a token that was seen before."""
    for kind in ("plain", "results", "lookup", *CONDITIONS):
        host = Host(module, policy(kind))
        bearer = token()
        for request in (each for each in REQUESTS if each.policy == kind):
            body, answer = messages.call(request.size, claims_user=request.claims_user), ANSWER
            if request.lists is not None:
                host = Host(module, policy(kind) | {"roles": {messages.ROLE: {"tools": [request.lists]}}})
                body, answer = LIST, tools(request.size)
            # The first request verifies the token, and the second one remembers its digest.
            for _ in range(2):
                send(host, body, bearer, answer)
            yield request.name, send(host, body, bearer, answer)


def totals(costs: dict[str, Cost]) -> dict[str, int]:
    """The cost of one request: of all its callbacks together."""
    return {
        "instructions": sum(cost.instructions for cost in costs.values()),
        "host_calls": sum(cost.host_calls.total() for cost in costs.values()),
    }


def begin(host: Host, body: bytes, bearer: str) -> tuple[int, dict[str, Cost]]:
    """Sends the headers of a request: its stream, and the cost of each callback."""
    stream = host.stream()
    host.maps[REQUEST_HEADERS] = headers(bearer, len(body))
    host.properties = {
        b"source.address": b"192.0.2.7:40000",
        b"response.code": struct.pack("<Q", 200),
        b"response.code_details": b"via_upstream",
        b"response.flags": struct.pack("<Q", 0),
    }
    costs: dict[str, Cost] = {}
    _, costs["context_create"] = host.callback("proxy_on_context_create", stream, 1)
    arguments = (stream, len(host.maps[REQUEST_HEADERS]), 0)
    held, costs["request_headers"] = host.callback("proxy_on_request_headers", *arguments)
    if held == 0 or host.replied is not None:
        raise AssertionError(f"the headers were not held: {host.replied}, {host.logs}")
    return stream, costs


def tools(count: int, description: str = "Searches.") -> bytes:
    """A list of tools. The filter removes some."""
    text = {"type": "string", "description": "Text to search for"}
    properties = {"query": text, "user_id": text, "limit": {"type": "integer"}}
    schema = {"type": "object", "properties": properties}
    listed = [
        {"name": f"{'hr' if number % 10 == 7 else 'crm'}.tool_{number}", "description": description, "inputSchema": schema}
        for number in range(count)
    ]
    return answered({"tools": listed})


def answered(result: dict[str, Any]) -> bytes:
    """An answer of the server, with a place for the id."""
    return b'{"jsonrpc":"2.0","id":%s,"result":' + json.dumps(result, separators=(",", ":")).encode() + b"}"


def send(
    host: Host,
    body: bytes,
    bearer: str,
    answer: bytes = ANSWER,
    events: list[bytes] | None = None,
) -> dict[str, Cost]:
    """Sends one request through the module: the cost of each callback. `events`: the answer is a stream, with these
    messages before the last one. Each arrives alone."""
    stream, costs = begin(host, body, bearer)

    def call(name: str, *arguments: int) -> Any:
        returned, cost = host.callback(name, *arguments)
        name = name.removeprefix("proxy_on_")
        before = costs.get(name, Cost(0))
        costs[name] = Cost(
            before.instructions + cost.instructions, before.host_calls + cost.host_calls
        )
        return returned

    host.buffers[REQUEST_BODY] = body
    before = len(host.calls)
    passed = call("proxy_on_request_body", stream, len(body), 1)
    for number, asked in enumerate(host.calls[before:], before + 1):
        host.maps[CALL_HEADERS] = [(b":status", b"200"), (b"content-type", b"application/json")]
        host.buffers[CALL_BODY] = RECORD % id_of(asked)
        size = len(host.buffers[CALL_BODY])
        call("proxy_on_http_call_response", stream, number, 2, size, 0)
        passed = 0
    if passed != 0 or host.replied is not None:
        raise AssertionError(f"the request did not pass: {host.replied}, {host.logs}")
    media = b"application/json" if events is None else b"text/event-stream"
    host.maps[RESPONSE_HEADERS] = [
        (b":status", b"200"),
        (b"content-type", media),
        (b"server", b"envoy"),
        (b"date", b"Sun, 29 Nov 2026 10:00:00 GMT"),
    ]
    last = answer % id_of(host.buffers[REQUEST_BODY])
    parts = [last] if events is None else [b"data: %s\n\n" % event for event in [*events, last]]
    call("proxy_on_response_headers", stream, len(host.maps[RESPONSE_HEADERS]), 0)
    for number, part in enumerate(parts, 1):
        host.buffers[RESPONSE_BODY] = part
        call("proxy_on_response_body", stream, len(part), int(number == len(parts)))
    call("proxy_on_done", stream)
    call("proxy_on_log", stream)
    call("proxy_on_delete", stream)
    record = host.properties[b"mcp_auth"]
    if b'"decision":"approved"' not in record:
        raise AssertionError(record)
    return costs


def id_of(message: bytes) -> bytes:
    """The id of a request."""
    return message.split(b'"id":', 1)[1].split(b",", 1)[0]


def headers(bearer: str, length: int) -> list[tuple[bytes, bytes]]:
    """The headers of a client's request, as Envoy hands them over."""
    texts = {
        ":authority": "crm.example.com",
        ":path": "/mcp",
        ":method": "POST",
        ":scheme": "https",
        "accept": "application/json, text/event-stream",
        "accept-encoding": "gzip, deflate",
        "content-type": "application/json",
        "content-length": str(length),
        "mcp-protocol-version": "2025-11-25",
        "user-agent": "python-httpx/0.28.1",
        "authorization": f"Bearer {bearer}",
        "x-forwarded-proto": "https",
        "x-request-id": "8c1e3f0a-7d57-4a4e-9c7e-0c2f9c2b7f11",
    }
    return [(name.encode(), value.encode()) for name, value in texts.items()]
