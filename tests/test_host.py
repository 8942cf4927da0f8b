"""Envoy's callbacks, buffers and protocols, in unusual orders and pieces."""

from __future__ import annotations

import json
import time

import pytest

from .harness import client, client_h2, tokens
from .harness.answers import (
    Answer,
    encoded,
    event_stream,
    json_answer,
    listing,
)
from .harness.client import Connection, Request, head
from .harness.envoy_config import Listener
from .harness.gateway import Gateway, Through
from .harness.http import Received
from .harness.messages import LEGACY, call, message, post
from .harness.policy import policy
from .harness.upstream import Upstream
from .harness.variants import CLIENTS, ERAS

SPOOFED_ROUTE = {
    "match": {
        "prefix": "/",
        "headers": [{"name": "x-mcp-roles", "string_match": {"contains": "manager"}}],
    },
    "direct_response": {"status": 418},
}

LISTENERS = {
    "crm": Listener(policy()),
    "http2_server": Listener(policy(), cluster="upstream_h2"),
    "small_buffer": Listener(policy(), buffer_limit=16 * 1024),
    "routed": Listener(policy(), routes=(SPOOFED_ROUTE,)),
}

SERVERS = pytest.mark.parametrize("listener", ["crm", "http2_server"])

ALLOWED = call(LEGACY, "crm.get_customer", {"query": "x"})
DENIED = call(LEGACY, "crm.purge", {"query": "x"})
EDITED = call(LEGACY, "crm.get_customer", {"user_id": "user-bob", "text": "gr\u00fc\u00df dich \U0001f600"})
AFTER_EDIT = encoded(EDITED).replace(b"user-bob", tokens.USER.encode())
TRAILERS = [("x-checksum", "1")]


# === H01: trailers end a body too ===


@SERVERS
@CLIENTS
@pytest.mark.parametrize("parts", [1, 3])
def h01_a_denied_call_followed_by_trailers(through: Through, listener: str, http2: bool, parts: int) -> None:
    body = encoded(DENIED)
    size = len(body) // parts + 1
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    request = post(DENIED, tokens.support(), trailers=TRAILERS, chunks=chunks)
    through(listener).send(request, http2).refused(200, -32602, "blocked")


@SERVERS
@CLIENTS
def h01_an_edited_call_followed_by_trailers(through: Through, listener: str, http2: bool) -> None:
    exchange = through(listener).post(EDITED, tokens.support(), trailers=TRAILERS, http2=http2)
    assert exchange.forwarded(AFTER_EDIT).header("authorization") is None


@CLIENTS
@pytest.mark.parametrize("body", [b"{", b"not json", b""])
def h01_trailers_do_not_complete_a_message(gateway: Gateway, http2: bool, body: bytes) -> None:
    exchange = gateway.post(body, tokens.support(), trailers=TRAILERS, http2=http2)
    exchange.refused(400, {-32700, -32600}, "blocked")


@CLIENTS
def h01_trailers_behind_a_body_that_is_too_large(gateway: Gateway, http2: bool) -> None:
    body = call(LEGACY, "crm.import", {"text": "x" * 300_000})
    gateway.post(body, tokens.support(), trailers=TRAILERS, http2=http2).refused(413, None, "blocked")


# === H02: nothing leaves before the verdict ===


@SERVERS
@CLIENTS
def h02_headers_wait_for_the_body(through: Through, upstream: Upstream, listener: str, http2: bool) -> None:
    """Also with an open connection to the server, over which they could go at once."""
    gateway = through(listener)
    gateway.post(ALLOWED, tokens.support()).forwarded()
    upstream.take()
    body = encoded(DENIED)
    request = post(DENIED, tokens.support())
    request.headers.append(("content-length", str(len(body))))
    with (client_h2 if http2 else client).Connection(gateway.port) as connection:
        if isinstance(connection, Connection):
            connection.send(head(request) + body[:20])
        else:
            request.chunks = [body[:20]]
            stream = connection.start(request, end=False)
        time.sleep(0.15)
        assert upstream.take().bytes == 0
        if isinstance(connection, Connection):
            connection.send(body[20:])
            response = connection.response()
        else:
            connection.h2.send_data(stream, body[20:], end_stream=True)
            connection._flush()
            response = connection.response(stream)
        gateway.exchange(response).refused(200, -32602, "blocked")


def h02_a_slow_body_arrives_whole(gateway: Gateway) -> None:
    body = encoded(EDITED)
    chunks = [body[:10], body[10:40], body[40:]]
    request = post(EDITED, tokens.support(), chunks=chunks, pause=0.1)
    gateway.send(request).forwarded(AFTER_EDIT)


# === H03: a body and its length agree ===


@ERAS
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def h03_edited_bodies_on_a_reused_connection(
    gateway: Gateway, upstream: Upstream, era: str, chunked: bool
) -> None:
    """Longer, shorter and untouched bodies in turn; surplus bytes would become a request."""
    bodies = [
        call(era, "crm.get_customer", {"user_id": 1, "a": "x"}),
        call(era, "crm.get_customer", {"user_id": "u" * 300}),
        call(era, "crm.get_customer", {"role": "POST /mcp HTTP/1.1\r\n", "n": 1}),
        call(era, "crm.get_customer", {"query": "x"}),
        call(era, "crm.get_customer", {"organization_id": None, "user_id": None}),
    ]
    connections = set()
    with Connection(gateway.port) as connection:
        for body in bodies * 2:
            request = post(body, tokens.support(), era, chunked=chunked)
            received = gateway.exchange(connection.request(request)).forwarded()
            arguments = json.dumps(received.arguments)
            assert "uuuu" not in arguments and "POST" not in arguments
            if received.header("content-length") is not None:
                assert received.header("content-length") == str(len(received.body))
            connections.add(received.connection)
    assert len(connections) == 1, "Envoy opened a new connection: the reuse was not tested"
    assert upstream.unread() == b""


SMUGGLED = b"POST /mcp HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    "headers",
    [
        [("content-length", "5"), ("transfer-encoding", "chunked")],
        [("transfer-encoding", "chunked"), ("transfer-encoding", "identity")],
        [("content-length", "5"), ("content-length", "6")],
        [("content-length", "+5")],
    ],
)
def h03_two_lengths(gateway: Gateway, upstream: Upstream, headers: list[tuple[str, str]]) -> None:
    """Envoy refuses these itself; were that to change, no second request may come out of them."""
    request = Request("POST", "/mcp", [*post(ALLOWED, tokens.support()).headers, *headers])
    with Connection(gateway.port) as connection:
        connection.send(head(request) + b"0\r\n\r\n" + SMUGGLED)
        assert connection.response().status in (400, 501)
    assert upstream.take().bytes == 0
    gateway.settle()


# === H06: no body, no wait ===


@CLIENTS
def h06_a_post_without_a_body(gateway: Gateway, http2: bool) -> None:
    headers = post(ALLOWED, tokens.support()).headers
    gateway.send(Request("POST", "/mcp", headers), http2).refused(400, None, "blocked")
    sized = Request("POST", "/mcp", [*headers, ("content-length", "0")])
    gateway.send(sized, http2).refused(400, None, "blocked")
    chunked = Request("POST", "/mcp", headers, chunks=[], chunked=True)
    gateway.send(chunked, http2).refused(400, None, "blocked")


@SERVERS
@CLIENTS
@pytest.mark.parametrize("status", [200, 202, 204, 304, 404, 405])
def h06_answers_without_a_body(
    through: Through, upstream: Upstream, listener: str, http2: bool, status: int
) -> None:
    upstream.answer = Answer(status, sized=True)
    gateway = through(listener)
    exchange = gateway.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, tokens.support(), http2=http2)
    assert exchange.status == status and exchange.response.complete
    headers = [("authorization", f"Bearer {tokens.support()}")]
    for method in ("GET", "DELETE"):
        exchange = gateway.send(Request(method, "/mcp", headers), http2)
        assert exchange.status == status and exchange.response.complete
        assert exchange.logged_status == status


@SERVERS
def h06_a_list_without_a_body(through: Through, upstream: Upstream, listener: str) -> None:
    upstream.answer = Answer(200, [("content-type", "application/json")], sized=True)
    exchange = through(listener).post(message(LEGACY, "tools/list"), tokens.support())
    assert exchange.status in (200, 502) and exchange.response.complete
    assert exchange.logged_status == exchange.status


# === H07: one answer ===


@CLIENTS
def h07_a_refusal_is_not_judged_as_an_answer(gateway: Gateway, http2: bool) -> None:
    exchange = gateway.post(message(LEGACY, "tools/list"), None, http2=http2).refused(401)
    assert exchange.response.header("content-type") == "application/json"
    assert exchange.response.header("content-length") in (None, str(len(exchange.response.body)))
    assert "error" in exchange.response.json


@CLIENTS
def h07_an_early_refusal_while_the_body_still_comes(gateway: Gateway, http2: bool) -> None:
    body = encoded(call(LEGACY, "crm.import", {"text": "x" * 200_000}))
    chunks = [body[at : at + 8192] for at in range(0, len(body), 8192)]
    gateway.send(post(body, None, chunks=chunks, like=ALLOWED), http2).refused(401)


def h07_a_refused_answer_is_refused_once(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = json_answer(b"[]").split(1).with_(sized=False, trailers=TRAILERS)
    exchange = gateway.post(message(LEGACY, "tools/list"), tokens.support())
    assert exchange.status == exchange.logged_status == 502


# === H08: Envoy's limits are smaller than ours ===


@CLIENTS
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def h08_a_body_envoy_does_not_buffer(through: Through, http2: bool, chunked: bool) -> None:
    gateway = through("small_buffer")
    body = call(LEGACY, "crm.import", {"text": "x" * 100_000})
    exchange = gateway.post(body, tokens.support(), chunked=chunked, http2=http2)
    if http2 and exchange.status == 200:
        # Over HTTP/2 the limit is Envoy's to stretch: then the body was read whole.
        exchange.forwarded(body)
    else:
        exchange.refused(413)
    small = call(LEGACY, "crm.import", {"text": "x" * 10_000})
    gateway.post(small, tokens.support(), chunked=chunked, http2=http2).forwarded(small)


def h08_a_body_that_grows_beyond_envoys_limit(through: Through) -> None:
    """Whole and edited, or not at all."""
    items = [{"user_id": 1}] * 1100
    body = call(LEGACY, "crm.import", {"items": items})
    assert len(encoded(body)) < 16 * 1024
    exchange = through("small_buffer").post(body, tokens.support())
    if exchange.status == 200:
        assert exchange.forwarded().arguments == {"items": [{"user_id": tokens.USER}] * 1100}
    else:
        # The filter approved it; it is Envoy that does not send it.
        assert exchange.status in (413, 500) and exchange.upstream.bytes == 0
        assert exchange.logged_status == exchange.status


@pytest.mark.parametrize("style", ["json", "events"])
@SERVERS
def h08_a_list_envoy_does_not_buffer(through: Through, upstream: Upstream, listener: str, style: str) -> None:
    items = [{"name": "crm.purge"}, {"name": "crm.search_x", "description": "x" * 100_000}]
    body = listing("tools", items)
    upstream.answer = json_answer(body) if style == "json" else event_stream(body)
    name = "small_buffer" if listener == "crm" else listener
    exchange = through(name).post(message(LEGACY, "tools/list"), tokens.support())
    assert b"crm.purge" not in exchange.response.body
    assert exchange.logged_status == exchange.status


# === H11: the route follows trusted headers ===


def h11_a_spoofed_header_does_not_choose_the_route(through: Through) -> None:
    headers = [("x-mcp-roles", "manager")]
    through("routed").post(ALLOWED, tokens.support(), headers=headers).forwarded(ALLOWED)
    exchange = through("routed").post(ALLOWED, tokens.manager())
    assert exchange.status in (200, 418)


# === H12: any chunking, one outcome ===


@SERVERS
@CLIENTS
@ERAS
@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
def h12_requests_in_any_chunks(through: Through, listener: str, http2: bool, era: str, size: int) -> None:
    body = call(era, "crm.get_customer", EDITED["params"]["arguments"])
    text = encoded(body)
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    request = post(body, tokens.support(), era, chunks=chunks, chunked=True, pause=0)
    received = through(listener).send(request, http2).forwarded()
    assert received.body == text.replace(b"user-bob", tokens.USER.encode())


@CLIENTS
def h12_empty_chunks_say_nothing(gateway: Gateway, http2: bool) -> None:
    body = encoded(EDITED)
    request = post(EDITED, tokens.support(), chunks=[b"", body[:9], b"", body[9:], b""], chunked=True)
    if http2:
        request.chunks = [body[:9], body[9:]]
    gateway.send(request, http2).forwarded(AFTER_EDIT)


@CLIENTS
def test_streams_on_one_connection_do_not_mix(gateway: Gateway, upstream: Upstream, http2: bool) -> None:
    """Three callers at once; each answer is its own and each list filtered for its own caller."""
    names = [{"name": name} for name in ("crm.get_customer", "crm.report")]

    def slow_list(request: Received) -> Answer:
        return json_answer(listing("tools", names, request.json["id"])).with_(delay=0.05)

    upstream.answer = slow_list
    callers = [tokens.support(), tokens.manager(), tokens.token("stranger")]
    requests = [post(message(LEGACY, "tools/list", id=n), token) for n, token in enumerate(callers)]
    if http2:
        with client_h2.Connection(gateway.port) as connection:
            streams = [connection.start(request) for request in requests]
            responses = [connection.response(stream) for stream in streams]
    else:
        connections = [Connection(gateway.port) for _ in requests]
        for each, request in zip(connections, requests, strict=True):
            each.send(head(request) + (request.body or b""))
        responses = [each.response() for each in connections]
        for each in connections:
            each.socket.close()
    gateway.lines(3)
    assert [response.json["id"] for response in responses] == [0, 1, 2]
    assert [len(response.json["result"]["tools"]) for response in responses] == [1, 2, 0]
