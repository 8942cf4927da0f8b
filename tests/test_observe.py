"""Observe mode decides and logs, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .harness import tokens
from .harness.answers import encoded, json_answer, listing
from .harness.client import Request
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.http import Received, Text
from .harness.messages import LEGACY, MODERN, call, message
from .harness.policy import METADATA, WELL_KNOWN, fetched, policy
from .harness.upstream import Upstream
from .harness.variants import CLIENTS, ERAS

LISTENERS = {
    "no_option": Listener(policy(mode="observe", max_body=200_000), stop_iteration=False),
    "crm": Listener(policy(mode="observe")),
    "sign_in": Listener(policy(mode="observe", observe={"sign_in": True})),
    "no_keys": Listener(policy(mode="observe", issuers=[fetched("/", jwks={"cluster": "dead"})])),
}

HEADERS: list[tuple[Text, Text]] = [("x-mcp-user", "user-bob"), ("accept-encoding", "gzip")]


def observed(exchange: Exchange) -> Received:
    """The request went on, and the log says what would have been done."""
    record = exchange.record
    assert record["decision"] == "draft", record
    assert record["reason"]
    return exchange.received


@CLIENTS
@ERAS
def test_denied_calls_are_forwarded_as_they_came(gateway: Gateway, era: str, http2: bool) -> None:
    body = call(era, "crm.purge", {"user_id": "user-bob", "role": "admin"})
    token = tokens.support()
    received = observed(gateway.post(body, token, era, HEADERS, http2=http2))
    assert received.body == encoded(body)
    assert received.header("authorization") == f"Bearer {token}"
    assert received.header("x-mcp-user") == "user-bob"
    assert received.header("accept-encoding") == "gzip"


@pytest.mark.parametrize("token", [None, "bad", ""])
def test_requests_without_a_good_token_are_forwarded(gateway: Gateway, token: str | None) -> None:
    body = call(LEGACY, "crm.get_customer", {"a": 1})
    assert observed(gateway.post(body, token)).body == encoded(body)


BODIES = [b"not json", b"", b"[]", b'{"a":1,"a":2}', b"\xff", b"x" * 300_000]


@CLIENTS
@pytest.mark.parametrize("trailers", [[], [("x-checksum", "1")]], ids=["plain", "trailers"])
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_unreadable_bodies_are_forwarded(
    gateway: Gateway, body: bytes, trailers: list[tuple[str, str]], http2: bool
) -> None:
    exchange = gateway.post(body, tokens.support(), trailers=trailers, http2=http2)
    assert observed(exchange).body == body


def test_other_methods_and_paths_are_forwarded(gateway: Gateway) -> None:
    assert observed(gateway.bodyless("PUT", "/mcp")).method == "PUT"
    assert observed(gateway.bodyless("GET", "/elsewhere?x=1")).path == "/elsewhere?x=1"


def test_lists_are_not_filtered(gateway: Gateway, upstream: Upstream) -> None:
    body = encoded(listing("tools", [{"name": "crm.purge"}], cacheScope="public"))
    upstream.answer = json_answer(body)
    exchange = gateway.post(message(MODERN, "tools/list"), tokens.support(), MODERN)
    observed(exchange)
    assert exchange.response.body == body


def test_allowed_calls_are_recorded_too(gateway: Gateway) -> None:
    observed(gateway.post(call(LEGACY, "crm.get_customer"), tokens.support()))


def test_requests_do_not_wait_for_missing_keys(through: Callable[[str], Gateway]) -> None:
    observed(through("no_keys").post(call(LEGACY, "crm.get_customer"), tokens.support()))


def b19_a_missing_option_is_logged_and_requests_pass(through: Callable[[str], Gateway]) -> None:
    """It is logged: once the policy is enforced, it will matter."""
    gateway = through("no_option")
    for _ in range(2):
        body = call(LEGACY, "crm.purge")
        exchange = gateway.post(body, tokens.support())
        assert observed(exchange).body == encoded(body)
        assert exchange.record["reason"] == "request_not_held"


def test_r17_with_sign_in_requests_need_a_valid_token(through: Callable[[str], Gateway]) -> None:
    gateway = through("sign_in")
    body = call(LEGACY, "crm.purge")
    exchange = gateway.post(body, None).refused(401, None, "needs_review")
    assert METADATA in (exchange.response.header("www-authenticate") or "")
    assert gateway.get(WELL_KNOWN + "/mcp").status == 200
    gateway.post(body, tokens.support(aud="another")).invalid_token("token_audience_wrong")
    gateway.bodyless("HEAD").refused(401)
    gateway.send(Request("POST", "/mcp?x=1", [("content-type", "application/json")], b"{}")).refused(401)


@CLIENTS
def test_r17_with_sign_in_the_rest_is_only_watched(through: Callable[[str], Gateway], http2: bool) -> None:
    gateway = through("sign_in")
    body = call(LEGACY, "crm.purge", {"user_id": "user-bob"})
    exchange = gateway.post(body, tokens.support(), http2=http2)
    received = observed(exchange)
    assert received.body == encoded(body)
    assert (exchange.record["reason"], exchange.record["would_be"]) == ("no_role", "blocked")
    assert exchange.record["enduser.id"] and exchange.record["enduser.roles"] == ["support"]
    # The filter asked for the token, not the server.
    assert received.header("authorization") is None
