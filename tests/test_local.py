"""One fixed caller without a sign-in, for requests from this machine only."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .harness import tokens
from .harness.changing import Changing
from .harness.client import Connection, Request
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.messages import LEGACY, MODERN, HeaderList, call, post
from .harness.policy import policy

SOCKET = f"@mcp_auth_local_{os.getpid()}"


def local(**changes: Any) -> dict[str, Any]:
    """The policy for one's own machine."""
    caller = {"user": "dev", "organization": "org-dev", "roles": ["manager"]}
    tools = {"crm.report": {"arguments": {"organization_id": {"set": "organization"}}}}
    return policy(**{"issuers": None, "local": caller, "tools": tools, **changes})


LISTENERS = {
    "loopback": Listener(local()),
    "as_shipped": Listener(local(), use_remote_address=True),
    "ipv6": Listener(local(), address="::1"),
    "dual": Listener(local(), address="::"),
    "anywhere": Listener(local(), address="0.0.0.0"),
    "socket": Listener(local(), address=SOCKET),
    "observe": Listener(local(mode="observe"), address="0.0.0.0"),
    "changing": Listener(local(), file=Path("policy.json")),
}

BODY = call(LEGACY, "crm.report", {"organization_id": "org-b", "user_id": "user-bob"})

Through = Callable[[str], Gateway]


def own_address() -> str:
    """Another address of this machine than loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has loopback only")
        address: str = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has loopback only")
    return address


def over(gateway: Gateway, host: str, request: Request | None = None) -> Exchange:
    """A call over a connection to this address."""
    gateway.upstream.take()
    with Connection(gateway.port, host=host) as connection:
        return gateway.exchange(connection.request(request or post(BODY, None)))


def not_local(exchange: Exchange) -> None:
    """Refused as not from this machine, with what to do about it."""
    exchange.refused(403, 403, "blocked")
    assert exchange.record["reason"] == "not_local"
    assert "127.0.0.1" in exchange.record["next_action"]
    assert b"this machine only" in exchange.response.body
    assert exchange.response.header("www-authenticate") is None


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("listener", ["loopback", "as_shipped", "anywhere"])
def test_no_token_is_needed_on_this_machine(through: Through, listener: str, era: str) -> None:
    body = call(era, "crm.report", {"organization_id": "org-b", "user_id": "user-bob"})
    exchange = through(listener).post(body, None, era)
    received = exchange.forwarded()
    assert b"org-dev" in received.body and b"org-b" not in received.body
    assert b"user-bob" not in received.body
    headers = {"x-mcp-user": "dev", "x-mcp-organization": "org-dev", "x-mcp-roles": "manager"}
    assert {name: received.header(name) for name in headers} == headers
    assert exchange.record["identified_by"] == "local"
    assert "token_age_s" not in exchange.record


@pytest.mark.parametrize(("listener", "host"), [("ipv6", "::1"), ("dual", "::1"), ("dual", "127.0.0.1")])
def test_loopback_of_ipv6_is_this_machine(through: Through, listener: str, host: str) -> None:
    """The last one is IPv4 over a socket of IPv6."""
    over(through(listener), host).forwarded()


def test_the_roles_of_the_policy_count(gateway: Gateway) -> None:
    gateway.post(call(LEGACY, "crm.purge"), None).refused(200, -32602, "blocked")


def test_another_address_of_this_machine_is_not_local(through: Through) -> None:
    not_local(over(through("anywhere"), own_address()))


def test_a_unix_socket_is_elsewhere(through: Through) -> None:
    not_local(over(through("socket"), SOCKET))


FORWARDED: dict[str, HeaderList] = {
    "by_one": [("x-forwarded-for", "203.0.113.7")],
    "by_two": [("x-forwarded-for", "203.0.113.7, 127.0.0.1")],
    "as_loopback": [("x-forwarded-for", "127.0.0.1, 127.0.0.1")],
    "standard": [("forwarded", "for=203.0.113.7")],
    "by_name": [("via", "1.1 proxy")],
    "by_address": [("x-real-ip", "203.0.113.7")],
}


@pytest.mark.parametrize("listener", ["loopback", "as_shipped"])
@pytest.mark.parametrize("headers", FORWARDED.values(), ids=FORWARDED)
def test_a_request_through_another_proxy_is_not_local(through: Through, listener: str, headers: HeaderList) -> None:
    """A proxy on this machine connects from loopback for remote clients too."""
    not_local(through(listener).post(BODY, None, headers=headers))


def test_requests_from_elsewhere_are_refused(through: Through) -> None:
    gateway, host = through("anywhere"), own_address()
    headers: HeaderList = [("origin", "https://crm.example.com"), ("access-control-request-method", "POST")]
    for request in [
        Request("GET", "/.well-known/oauth-protected-resource"),
        Request("OPTIONS", "/mcp", headers),
        Request("DELETE", "/mcp"),
        Request("GET", "/other"),
    ]:
        not_local(over(gateway, host, request))


def test_observe_mode_logs_what_enforcing_would_refuse(through: Through) -> None:
    gateway, host = through("observe"), own_address()
    exchange = over(gateway, host)
    assert exchange.status == 200
    assert (exchange.record["decision"], exchange.record["reason"]) == ("draft", "not_local")


def b23_a_clients_token_does_not_reach_the_server(gateway: Gateway) -> None:
    exchange = gateway.post(BODY, tokens.support())
    assert exchange.forwarded().header("authorization") is None
    assert exchange.record["upstream_credential"] == "none"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", ""])
def b43_a_name_that_was_made_to_stand_for_this_machine(gateway: Gateway, host: str) -> None:
    """DNS rebinding: the page's own name leads to 127.0.0.1, and its requests need no Origin."""
    exchange = gateway.post(BODY, None, headers=[("host", host)])
    if host:
        exchange.refused(403, 403, "blocked")
        assert exchange.record["reason"] == "host"
    else:
        assert exchange.status in (400, 403) and exchange.upstream.bytes == 0


@pytest.mark.parametrize("host", ["localhost", "localhost:10000", "127.0.0.1:10000", "[::1]:10000"])
def test_this_machines_names(gateway: Gateway, host: str) -> None:
    gateway.post(BODY, None, headers=[("host", host)]).forwarded()


@pytest.mark.parametrize("path", ["", "/mcp"])
def test_there_is_no_resource_metadata(gateway: Gateway, path: str) -> None:
    exchange = gateway.get(f"/.well-known/oauth-protected-resource{path}")
    exchange.refused(404, None, "blocked")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"local": None}, "issuers: found none"),
        ({"issuers": policy()["issuers"]}, "local: found with `issuers`"),
        ({"upstream": {"authorization": "pass"}}, "upstream.authorization: needs `issuers`"),
    ],
)
def test_a_policy_has_one_kind_of_caller(changing: Changing, changes: dict[str, Any], message: str) -> None:
    assert message in changing.refuses(local(**changes))
