"""The ways in which headers are held back until the body was inspected: Envoy's option, a buffer filter, neither."""

from __future__ import annotations

import time

import pytest

from .harness import tokens
from .harness.answers import encoded
from .harness.client import Connection
from .harness.envoy import Envoy
from .harness.envoy_config import Listener
from .harness.gateway import Through
from .harness.messages import LEGACY, call, post
from .harness.policy import policy
from .harness.variants import CLIENTS, ENDS, ERAS

BUFFERED = policy(hold="buffer_filter")
LIMIT = 1024 * 1024

LISTENERS = {
    "buffer_filter": Listener(BUFFERED, stop_iteration=False, buffer_filter=LIMIT),
    "buffer_filter_and_option": Listener(BUFFERED, buffer_filter=LIMIT),
    "buffer_filter_http2": Listener(BUFFERED, "upstream_h2", stop_iteration=False, buffer_filter=LIMIT),
    "no_option": Listener(policy(), stop_iteration=False),
    "no_buffer_filter": Listener(BUFFERED, stop_iteration=False),
    # For one test only, so that the slow request is the first that the filter sees.
    "slow": Listener(policy(max_body=200_000)),
}

BUFFERS = pytest.mark.parametrize("listener", ["buffer_filter", "buffer_filter_and_option", "buffer_filter_http2"])

EDITED = {"user_id": 1, "role": "admin", "text": "x" * 5000}


@BUFFERS
@CLIENTS
@ERAS
@ENDS
def b19_a_buffer_filter_keeps_refused_calls_back(
    through: Through, listener: str, http2: bool, era: str, trailers: list[tuple[str, str]]
) -> None:
    gateway = through(listener)
    gateway.post(call(era, "crm.get_customer"), tokens.support(), era).forwarded()
    denied = gateway.post(call(era, "crm.purge"), tokens.support(), era, trailers=trailers, http2=http2)
    denied.refused(200, -32602, "blocked")
    gateway.post(b"{", tokens.support(), trailers=trailers, http2=http2).refused(400, -32700)


@BUFFERS
@CLIENTS
@ERAS
@ENDS
def b19_a_buffer_filter_sends_edited_calls_whole(
    through: Through, listener: str, http2: bool, era: str, trailers: list[tuple[str, str]]
) -> None:
    headers = [("x-mcp-user", "user-bob"), ("x_mcp_user", "user-eve")]
    body = call(era, "crm.get_customer", EDITED)
    exchange = through(listener).post(body, tokens.support(), era, headers, trailers=trailers, http2=http2)
    received = exchange.forwarded()
    assert received.arguments == {"user_id": tokens.USER, "text": "x" * 5000}
    assert received.header("x-mcp-user") == tokens.USER
    assert received.header("x_mcp_user") is None and received.header("authorization") is None
    assert received.header("content-length") in (None, str(len(received.body)))


@BUFFERS
def b19_a_buffer_filter_on_a_reused_connection(through: Through, listener: str) -> None:
    gateway = through(listener)
    with Connection(gateway.port) as connection:
        for arguments in (EDITED, {"user_id": None}, {"query": "x"}, {"role": "x" * 900}):
            request = post(call(LEGACY, "crm.get_customer", arguments), tokens.support())
            gateway.exchange(connection.request(request)).forwarded()


@BUFFERS
def b19_a_buffer_filter_and_requests_without_a_body(through: Through, listener: str) -> None:
    exchange = through(listener).get(token=tokens.support())
    assert exchange.received.header("x-mcp-user") == tokens.USER
    through(listener).get().refused(401)


def b19_a_slow_first_client_is_not_taken_for_a_missing_option(through: Through) -> None:
    """Its body is announced, and no other filter buffers it."""
    gateway = through("slow")
    with Connection(gateway.port) as connection:
        request = post(call(LEGACY, "crm.get_customer"), tokens.support())
        connection.start(request)
        time.sleep(2.5)
        connection.send(request.body or b"")
        gateway.exchange(connection.response()).forwarded()


@CLIENTS
@pytest.mark.parametrize("tool", ["crm.get_customer", "crm.purge"])
def b19_without_the_option_requests_are_refused(
    envoy: Envoy, through: Through, tool: str, http2: bool
) -> None:
    """Envoy would never deliver the body: the request is answered, and the log says what to do."""
    exchange = through("no_option").post(call(LEGACY, tool), tokens.support(), http2=http2)
    assert 500 <= exchange.status < 600
    exchange.refused(exchange.status)
    assert "allow_on_headers_stop_iteration" in envoy.log()


def b19_without_the_option_a_client_may_leave(through: Through) -> None:
    gateway = through("no_option")
    with Connection(gateway.port) as connection:
        request = post(call(LEGACY, "crm.get_customer"), tokens.support())
        connection.start(request)
        connection.send(request.body or b"")
        # The filter refuses at once if an earlier request showed that the host does not hold.
        gateway.wait_for_arrival()
        connection.abort()
    gateway.lines(1)
    assert gateway.upstream.take().bytes == 0


@CLIENTS
@ENDS
def b19_without_the_buffer_filter_no_refused_call_is_completed(
    through: Through, http2: bool, trailers: list[tuple[str, str]]
) -> None:
    """Headers may be gone by the time the body is judged; the body may not."""
    gateway = through("no_buffer_filter")
    gateway.post(call(LEGACY, "crm.get_customer"), tokens.support())
    exchange = gateway.post(call(LEGACY, "crm.purge"), tokens.support(), trailers=trailers, http2=http2)
    assert not exchange.upstream.requests
    assert b"crm.purge" not in b"".join(exchange.upstream.garbage) + gateway.upstream.unread()


@CLIENTS
def b19_without_the_buffer_filter_no_unedited_call_is_completed(through: Through, http2: bool) -> None:
    gateway = through("no_buffer_filter")
    body = call(LEGACY, "crm.get_customer", {"user_id": "user-bob"})
    exchange = gateway.post(body, tokens.support(), http2=http2)
    for received in exchange.upstream.requests:
        assert received.arguments == {"user_id": tokens.USER}
    assert encoded(body) not in gateway.upstream.unread()
