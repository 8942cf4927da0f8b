"""No request makes the module panic: a panic would end all streams of a worker."""

from __future__ import annotations

from .harness import client, client_h2, tokens
from .harness.answers import default_answer, encoded, event, raw_stream, result
from .harness.client import Connection, Request
from .harness.envoy_config import Listener
from .harness.gateway import Gateway
from .harness.messages import LEGACY, call, post
from .harness.policy import policy
from .harness.upstream import Upstream

LISTENERS = {"crm": Listener(policy())}

ALLOWED = call(LEGACY, "crm.get_customer", {"query": "x"})

HOSTILE: list[bytes] = [
    b"",
    b"{",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\xff" * 1000,
    b"\x00" * 1000,
    b'"' * 999,
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"' + b"\\u0000" * 500 + b'"}}',
    b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1e999999999,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":-0,"method":"ping","params":{"_meta":{"a/":1,"/b":2,"/":3,"":4}}}',
    b'{"jsonrpc":"2.0","id":"\\ud83d\\ude00","method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get_customer","arguments":{"":{"":[]}}}}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"","arguments":{}}}',
    b'{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"{organization}%"}}',
    b'{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{},"argument":{}}}',
    encoded(call(LEGACY, "crm.get_customer", {f"user_id{'_' * n}": n for n in range(300)})),
    encoded(call(LEGACY, "crm.get_customer", {"q": "{" * 5000})),
    encoded(call(LEGACY, "crm.get_customer", {"q": "[{" * 5000})),
    encoded(call(LEGACY, "crm.get_customer", {"q": '"' * 2000 + "\\" * 2000})),
    encoded(call(LEGACY, "crm.refund", {"amount": -(2**63)})),
    encoded(call(LEGACY, "crm.refund", {"amount": [[[[[[]]]]]]})),
]

HOSTILE_HEADERS: list[tuple[bytes, bytes]] = [
    (b"authorization", b"\xff\xfe\x80"),
    (b"mcp-name", b"=?base64?\xff?="),
    (b"mcp-protocol-version", b"\xc3\x28"),
    (b"mcp-param-" + b"x" * 2000, b"\xff"),
    (b"content-type", b"application/json; charset=\xff"),
    (b"origin", b"\xff"),
    (b"accept", b"\xff" * 100),
    (b"last-event-id", b"\xff"),
    (b"mcp-session-id", b"\xe9" * 300),
    (b"x-mcp-user", b"\xff"),
]


def h04_hostile_requests_do_not_end_other_streams(gateway: Gateway, upstream: Upstream) -> None:
    """A panic would cut the open stream; the counters are checked when the module's tests end."""
    slow = raw_stream(*[b": wait\n\n"] * 30, event(result({"n": 1}))).with_(pause=0.1)
    upstream.answer = lambda request: slow if request.method == "GET" else default_answer(request)
    token = tokens.token("support", "manager")
    with Connection(gateway.port) as stream:
        stream.start(Request("GET", "/mcp", [("authorization", f"Bearer {token}")]))
        assert stream.response_head().status == 200
        for body in HOSTILE:
            for send in (client.send, client_h2.send):
                assert 200 <= send(gateway.port, post(body, token)).status < 500
        for header in HOSTILE_HEADERS:
            for send in (client.send, client_h2.send):
                answered = send(gateway.port, post(ALLOWED, token, headers=[header]))
                assert 200 <= answered.status < 500
        rest = stream.read_until(b'"n":1')
    assert rest.endswith(b'"n":1')
    gateway.settle()
    gateway.post(ALLOWED, token).forwarded()
