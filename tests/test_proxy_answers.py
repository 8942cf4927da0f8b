"""Envoy's own answers: each has a record with its reason, and a text that clients of JSON-RPC understand."""

from __future__ import annotations

import json
import time

import pytest

from .harness import tokens
from .harness.answers import event_stream, json_answer, result
from .harness.client import Connection, Request, head
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway, Through
from .harness.messages import LEGACY, MODERN, call, message, post
from .harness.policy import issuer, policy
from .harness.upstream import Upstream

EXACT = [issuer(clock_skew="0s")]

LISTENERS = {
    "crm": Listener(policy()),
    "small_buffer": Listener(policy(), buffer_limit=16 * 1024),
    "slow": Listener(policy(), request_timeout="1s"),
    "short_route": Listener(
        policy(), routes=({"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "1s"}},)
    ),
    "dead_server": Listener(policy(), cluster="dead"),
    "observing": Listener(policy(mode="observe"), buffer_limit=16 * 1024),
    "exact_clock": Listener(policy(issuers=EXACT)),
    "outliving": Listener(policy(issuers=EXACT, streams="outlive_token")),
}

BODY = call(LEGACY, "crm.get_customer", {"query": "x"})


def is_understood(exchange: Exchange, status: int, reason: str, id: int | None = None) -> None:
    """The client got a JSON-RPC error with Envoy's status, and the record says why."""
    assert exchange.status == status, exchange.response
    error = json.loads(exchange.response.body)
    assert error["jsonrpc"] == "2.0" and error["error"]["message"]
    assert error.get("id") == id
    assert exchange.response.header("content-type") == "application/json"
    record = exchange.record
    assert record["reason"] == reason, record
    assert record["http.response.status_code"] == status
    assert record["next_action"]


def test_r16_envoys_413_is_recorded_and_understood(through: Through) -> None:
    body = call(LEGACY, "crm.get_customer", {"query": "x" * 100_000})
    exchange = through("small_buffer").post(body, tokens.support())
    is_understood(exchange, 413, "proxy_body_too_large")
    assert exchange.upstream.bytes == 0


def test_r16_envoys_431_is_recorded(gateway: Gateway) -> None:
    exchange = gateway.post(BODY, tokens.support(), headers=[("x-large", "y" * 70_000)])
    assert exchange.status == 431
    record = exchange.record
    assert record["reason"] == "proxy_headers_too_large"
    assert record["decision"] == "blocked" and record["http.response.status_code"] == 431


def test_r16_envoys_408_is_recorded_and_understood(through: Through) -> None:
    gateway = through("slow")
    request = post(BODY, tokens.support())
    request.headers.append(("content-length", "1000"))
    gateway.upstream.take()
    with Connection(gateway.port) as connection:
        connection.send(head(request) + b'{"jsonrpc"')
        exchange = gateway.exchange(connection.response())
    is_understood(exchange, 408, "proxy_timeout")


def test_r16_a_server_that_is_too_slow_has_its_reason(through: Through, upstream: Upstream) -> None:
    upstream.answer = json_answer(result({})).with_(delay=3)
    is_understood(through("short_route").post(BODY, tokens.support()), 504, "upstream_timed_out", 1)


def test_r16_a_dead_server_is_understood(through: Through) -> None:
    exchange = through("dead_server").post(message(LEGACY, "tools/list", id=7), tokens.support())
    is_understood(exchange, 503, "upstream_unavailable", 7)


def test_r16_observe_mode_leaves_envoys_answers_alone(through: Through) -> None:
    body = call(LEGACY, "crm.get_customer", {"query": "x" * 100_000})
    exchange = through("observing").post(body, tokens.support())
    assert exchange.status == 413 and b"jsonrpc" not in exchange.response.body
    assert exchange.record["reason"] == "proxy_body_too_large"


def open_stream(connection: Connection, token: str, era: str) -> None:
    """Open an event stream that answers no call, and read its first event."""
    if era == MODERN:
        body = message(MODERN, "subscriptions/listen", {"notifications": {}})
        request = post(body, token, MODERN)
        connection.send(head(request) + (request.body or b""))
    else:
        headers = [("authorization", f"Bearer {token}"), ("mcp-protocol-version", LEGACY)]
        connection.start(Request("GET", "/mcp", [*headers, ("accept", "text/event-stream")]))
    assert connection.response_head().status == 200
    connection.read_until(b"\n\n")


NOTE = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


@pytest.mark.parametrize("era", [LEGACY, MODERN])
def test_r14_a_stream_ends_with_the_token_of_its_caller(through: Through, upstream: Upstream, era: str) -> None:
    gateway = through("exact_clock")
    upstream.answer = event_stream(NOTE).with_(endless=True)
    expires = int(time.time()) + 4
    with Connection(gateway.port) as connection:
        open_stream(connection, tokens.support(exp=expires), era)
        assert not gateway.logged()
        connection.read_until(b"never")
        ended = time.time()
    assert expires <= ended < expires + 3
    (line,) = gateway.lines(1)
    assert line.record is not None
    assert line.record["reason"] == "stream_ended_with_token", line
    assert line.record["decision"] == "approved"


def test_r14_a_stream_may_outlive_the_token_and_a_call_always_does(through: Through, upstream: Upstream) -> None:
    expires = int(time.time()) + 3
    upstream.answer = event_stream(NOTE).with_(endless=True)
    outliving, exact = through("outliving"), through("exact_clock")
    with Connection(outliving.port) as stream:
        open_stream(stream, tokens.support(exp=expires), LEGACY)
        upstream.answer = json_answer(result({"content": []})).with_(delay=5)
        exact.post(BODY, tokens.support(exp=expires)).forwarded()
        assert time.time() > expires + 1
        outliving.skip_log()
        assert outliving.envoy.open_requests("outliving") == 1
    outliving.lines(1)
