"""Requests whose headers differ from their body are refused."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import tokens
from .harness.answers import encoded
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.http import Text
from .harness.messages import (
    LEGACY,
    META,
    MODERN,
    call,
    message,
    modern_rpc,
    rpc,
    sentinel,
)
from .harness.policy import policy

LISTENERS = {"crm": Listener(policy())}

CALL = call(MODERN, "crm.get_customer", {"query": "x"})
MISMATCH = -32020
VERSIONS = [MODERN, LEGACY, "2025-06-18", "2025-03-26", "2024-11-05"]


def send(gateway: Gateway, replaced: str, *values: Text, body: dict[str, Any] = CALL) -> Exchange:
    """The call with other values of one header."""
    headers = [(replaced, value) for value in values]
    return gateway.post(body, tokens.support(), MODERN, headers, drop=(replaced,))


@pytest.mark.parametrize(
    "value",
    [
        "crm.purge",
        "crm.Get_customer",
        "crm.get_customer,crm.purge",
        "crm.get_customer, crm.get_customer",
        "",
        sentinel("crm.purge"),
        sentinel("crm.get_customer").replace("base64", "BASE64"),
        sentinel("crm.get_customer").removesuffix("?="),
        sentinel("crm.get_customer").replace("==?=", "?="),
        sentinel(b"\xff"),
        "=?base64??=",
        "=?base64?!?=",
        "crm.get\xc3\xa9",
        b"\xff\xfe",
    ],
)
def b07_a_name_that_is_not_the_bodys(gateway: Gateway, value: Text) -> None:
    send(gateway, "mcp-name", value).refused(400, MISMATCH, "blocked")


def b07_a_name_in_base64_that_is_not_canonical(gateway: Gateway) -> None:
    value = sentinel("crm.get_customer")
    assert value.endswith("cg==?=")
    send(gateway, "mcp-name", value.replace("cg==?=", "ch==?=")).refused(400, MISMATCH, "blocked")


def b07_a_name_in_base64_is_the_same_name(gateway: Gateway) -> None:
    received = send(gateway, "mcp-name", sentinel("crm.get_customer")).forwarded(CALL)
    assert received.header("mcp-name") in ("crm.get_customer", sentinel("crm.get_customer"))


@pytest.mark.parametrize("value", ["ping", "tools/list", "Tools/Call", "tools/call,ping", "", sentinel("tools/call")])
def b07_a_method_that_is_not_the_bodys(gateway: Gateway, value: str) -> None:
    send(gateway, "mcp-method", value).refused(400, MISMATCH, "blocked")


@pytest.mark.parametrize("name", ["mcp-method", "mcp-name"])
def b07_a_missing_routing_header(gateway: Gateway, name: str) -> None:
    send(gateway, name).refused(400, MISMATCH, "blocked")


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("name", ["mcp-method", "mcp-name", "mcp-protocol-version"])
def b07_a_repeated_routing_header(gateway: Gateway, name: str, http2: bool) -> None:
    values = {"mcp-method": "tools/call", "mcp-name": "crm.get_customer", "mcp-protocol-version": MODERN}
    headers = [(name, values[name])]
    gateway.post(CALL, tokens.support(), MODERN, headers, http2=http2).refused(400, None, "blocked")


def b07_a_repeated_version_of_both_eras(gateway: Gateway) -> None:
    for values in ([MODERN, LEGACY], [LEGACY, MODERN], [f"{MODERN}, {LEGACY}"]):
        send(gateway, "mcp-protocol-version", *values).refused(400, None, "blocked")


@pytest.mark.parametrize("value", VERSIONS[1:])
def b07_a_modern_body_under_a_legacy_version(gateway: Gateway, value: str) -> None:
    send(gateway, "mcp-protocol-version", value).refused(400, MISMATCH, "blocked")


def b07_a_modern_body_without_a_version_header(gateway: Gateway) -> None:
    send(gateway, "mcp-protocol-version").refused(400, MISMATCH, "blocked")


def b07_a_modern_header_without_meta(gateway: Gateway) -> None:
    body = rpc("tools/call", {"name": "crm.get_customer", "arguments": {}})
    gateway.post(body, tokens.support(), MODERN).refused(400, -32602, "blocked")
    body["params"]["_meta"] = {"progressToken": 1}
    gateway.post(body, tokens.support(), MODERN).refused(400, -32602, "blocked")


@pytest.mark.parametrize("version", ["2025-11-25", "2026-07-29", ""])
def b07_another_version_in_meta(gateway: Gateway, version: str) -> None:
    meta = {f"{META}protocolVersion": version}
    body = modern_rpc("tools/call", {"name": "crm.get_customer", "_meta": meta})
    gateway.post(body, tokens.support(), MODERN).refused(400, {MISMATCH, -32022}, "blocked")


@pytest.mark.parametrize("version", ["2027-01-01", "1.0", "latest", "2026-07-28x", "draft"])
def b07_an_unknown_version_is_refused(gateway: Gateway, version: str) -> None:
    body = modern_rpc("tools/list", {"_meta": {f"{META}protocolVersion": version}})
    exchange = gateway.post(body, tokens.support(), version, [("mcp-method", "tools/list")])
    data = exchange.refused(400, -32022, "blocked").response.json["error"]["data"]
    assert MODERN in data["supported"] and LEGACY in data["supported"]
    assert data["requested"] == version


def b07_a_name_header_for_a_method_without_names(gateway: Gateway) -> None:
    body = modern_rpc("tools/list")
    exchange = send(gateway, "mcp-name", "crm.purge", body=body)
    if exchange.status == 200:
        assert exchange.forwarded(body).header("mcp-name") is None
    else:
        exchange.refused(400, MISMATCH, "blocked")


@pytest.mark.parametrize("values", [["1", "1"], ["1", "2"]])
def b07_a_repeated_parameter_header(gateway: Gateway, values: list[str]) -> None:
    send(gateway, "mcp-param-query", *values).refused(400, None, "blocked")


def b07_parameter_headers_the_policy_does_not_touch_are_forwarded(gateway: Gateway) -> None:
    received = send(gateway, "mcp-param-region", "eu").forwarded(CALL)
    assert received.header("mcp-param-region") == "eu"


@pytest.mark.parametrize("version", VERSIONS[1:])
def b07_legacy_requests_lose_routing_headers(gateway: Gateway, version: str) -> None:
    """No server reads them in this era, but something between here and there might."""
    body = call(LEGACY, "crm.get_customer", {"query": "x"})
    spoofed = [
        ("Mcp-Method", "tools/list"),
        ("Mcp-Name", "crm.purge"),
        ("Mcp-Param-User-Id", "user-bob"),
        ("Mcp-Param-Region", "eu"),
    ]
    received = gateway.post(body, tokens.support(), version, spoofed).forwarded(encoded(body))
    assert not [name for name, _ in received.headers if name.startswith(("mcp-method", "mcp-name", "mcp-param"))]
    assert received.header("mcp-protocol-version") == version


def b07_a_legacy_body_without_a_version_header_is_legacy(gateway: Gateway) -> None:
    body = call(LEGACY, "crm.get_customer", {"query": "x"})
    exchange = gateway.post(body, tokens.support(), LEGACY, drop=("mcp-protocol-version",))
    exchange.forwarded(encoded(body))


def b07_a_resource_is_named_by_its_uri(gateway: Gateway) -> None:
    body = message(MODERN, "resources/read", {"uri": "crm://public/faq"})
    gateway.post(body, tokens.support(), MODERN).forwarded(encoded(body))
    send(gateway, "mcp-name", "crm://public/other", body=body).refused(400, MISMATCH, "blocked")
    body = message(MODERN, "resources/read", {"uri": "crm://public/fäq"})
    received = gateway.post(body, tokens.support(), MODERN).forwarded(encoded(body))
    assert received.header("mcp-name") == sentinel("crm://public/fäq")


SINGLE = ["authorization", "content-type", "mcp-session-id", "mcp-protocol-version"]


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("name", SINGLE)
def h05_headers_that_are_repeated_or_joined(gateway: Gateway, name: str, http2: bool) -> None:
    token = tokens.support()
    value = {
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "mcp-session-id": "abc",
        "mcp-protocol-version": LEGACY,
    }[name]
    body = call(LEGACY, "crm.get_customer", {"query": "x"})
    for values in ([value, value], [f"{value},{value}"], [value, "x"]):
        headers = [(name, each) for each in values]
        exchange = gateway.post(body, token, LEGACY, headers, drop=(name,), http2=http2)
        exchange.refused({400, 401, 404, 415}, None)


NOT_TEXT: list[tuple[str, Text, set[int]]] = [
    ("authorization", b"Bearer \xff\xfe", {400, 401}),
    ("content-type", b"application/json\xff", {400, 415}),
    ("mcp-protocol-version", b"\xff", {400}),
    ("mcp-session-id", b"a\xffb", {400}),
    ("origin", b"https://crm.example.com\xff", {400, 403}),
    ("content-encoding", b"\xff", {400, 415}),
]


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("name, value, statuses", NOT_TEXT, ids=[each[0] for each in NOT_TEXT])
def h05_header_bytes_that_are_not_text(
    gateway: Gateway, name: str, value: Text, statuses: set[int], http2: bool
) -> None:
    body = call(LEGACY, "crm.get_customer", {"query": "x"})
    exchange = gateway.post(body, tokens.support(), LEGACY, [(name, value)], drop=(name,), http2=http2)
    exchange.refused(statuses)


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def h05_other_headers_may_hold_any_bytes(gateway: Gateway, http2: bool) -> None:
    body = call(LEGACY, "crm.get_customer", {"query": "x"})
    headers: list[tuple[Text, Text]] = [("x-note", b"\xff\x80"), ("x-note", "2"), ("x-mcp-user", b"\xff")]
    received = gateway.post(body, tokens.support(), LEGACY, headers, http2=http2).forwarded(encoded(body))
    assert received.all("x-note") == ["\xff\x80", "2"]
    assert received.header("x-mcp-user") == tokens.USER
