"""What a refused client is told: enough to sign in, and nothing about what is behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .harness import tokens
from .harness.client import Request
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.messages import LEGACY, MODERN, call
from .harness.policy import policy
from .harness.tokens import ISSUER, OTHER_ISSUER, RESOURCE

LISTENERS = {
    "crm": Listener(policy()),
    "scoped": Listener(policy(scopes=["crm:read"])),
    "origins": Listener(policy(origins=["https://app.example.com", "http://localhost:6274"])),
    "at_the_root": Listener(policy(resource="https://crm.example.com/", path="/")),
}

ERAS = pytest.mark.parametrize("era", [LEGACY, MODERN])
METADATA = "https://crm.example.com/.well-known/oauth-protected-resource/mcp"
WELL_KNOWN = "/.well-known/oauth-protected-resource"


def challenge(exchange: Exchange) -> str:
    """The one challenge of a refusal."""
    value = exchange.response.header("www-authenticate")
    assert value is not None
    return value


@ERAS
@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_no_token(gateway: Gateway, era: str, http2: bool) -> None:
    exchange = gateway.post(call(era, "crm.get_customer"), None, era, http2=http2)
    exchange.refused(401, None, "needs_review")
    assert challenge(exchange).startswith(f'Bearer resource_metadata="{METADATA}"')
    assert "error=" not in challenge(exchange), "RFC 6750 section 3: nothing was presented"
    assert exchange.response.header("content-type") == "application/json"
    assert exchange.response.json["jsonrpc"] == "2.0"
    assert isinstance(exchange.response.json["error"]["code"], int)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_token_on_requests_without_a_body(gateway: Gateway, method: str) -> None:
    exchange = gateway.bodyless(method).refused(401, None, "needs_review")
    assert METADATA in challenge(exchange)


def test_the_token_is_asked_for_before_the_body_is_read(gateway: Gateway) -> None:
    exchange = gateway.post(b"not json", None).refused(401, None, "needs_review")
    assert METADATA in challenge(exchange)


def test_a_bad_token(gateway: Gateway) -> None:
    exchange = gateway.post(call(LEGACY, "crm.get_customer"), "bad").refused(401, None, "needs_review")
    assert 'error="invalid_token"' in challenge(exchange)
    assert "error_description=" in challenge(exchange)


def test_scopes_every_request_needs_are_named(through: Callable[[str], Gateway]) -> None:
    exchange = through("scoped").post(call(LEGACY, "crm.get_customer"), None).refused(401)
    assert 'scope="crm:read"' in challenge(exchange)


def test_a_challenge_holds_nothing_of_the_request(gateway: Gateway) -> None:
    """Quotes in a header would open a parameter of their own."""
    headers = [("x-forwarded-host", 'evil", realm="x'), ("origin", 'https://crm.example.com", realm="x')]
    exchange = gateway.post(call(LEGACY, "crm.get_customer"), 'x", realm="y', headers=headers[:1])
    assert "realm" not in (exchange.response.header("www-authenticate") or "")
    exchange = gateway.post(call(LEGACY, "crm.get_customer"), 'x", realm="y', headers=headers)
    exchange.refused({400, 401, 403})
    assert "realm" not in (exchange.response.header("www-authenticate") or "")


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("path", [WELL_KNOWN, f"{WELL_KNOWN}/mcp"])
def test_the_resource_metadata(gateway: Gateway, path: str, http2: bool) -> None:
    exchange = gateway.send(Request("GET", path), http2)
    assert exchange.status == 200
    assert exchange.upstream.bytes == 0
    assert exchange.response.header("content-type") == "application/json"
    document = exchange.response.json
    assert document["resource"] == RESOURCE
    assert document["authorization_servers"] == [ISSUER, OTHER_ISSUER]
    assert document["bearer_methods_supported"] == ["header"]
    assert exchange.record["decision"] == "approved"


def test_the_resource_metadata_names_scopes(through: Callable[[str], Gateway]) -> None:
    document = through("scoped").send(Request("GET", f"{WELL_KNOWN}/mcp")).response.json
    assert "crm:read" in document["scopes_supported"]


def test_the_metadata_of_a_resource_at_the_root(through: Callable[[str], Gateway]) -> None:
    gateway = through("at_the_root")
    assert gateway.send(Request("GET", WELL_KNOWN)).response.json["resource"] == "https://crm.example.com/"
    exchange = gateway.bodyless("GET", "/").refused(401)
    assert f'resource_metadata="https://crm.example.com{WELL_KNOWN}"' in challenge(exchange)


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
def test_the_metadata_is_only_read(gateway: Gateway, method: str) -> None:
    gateway.send(Request(method, f"{WELL_KNOWN}/mcp", body=b"")).refused({404, 405}, None, "blocked")


ORIGINS = [
    ("https://crm.example.com", True, True),
    ("https://app.example.com", False, True),
    ("http://localhost:6274", False, True),
    ("http://localhost:6275", False, False),
    ("http://crm.example.com", False, False),
    ("https://crm.example.com:8443", False, False),
    ("https://crm.example.com.evil.example", False, False),
    ("https://evil.example", False, False),
    ("https://CRM.example.com", None, None),
    ("null", False, False),
    ("", False, False),
    ("https://crm.example.com https://evil.example", False, False),
]


@pytest.mark.parametrize("origin, at_default, at_configured", ORIGINS)
def b43_origins_nobody_listed(
    through: Callable[[str], Gateway], origin: str, at_default: bool | None, at_configured: bool | None
) -> None:
    body = call(LEGACY, "crm.get_customer")
    for name, allowed in (("crm", at_default), ("origins", at_configured)):
        exchange = through(name).post(body, tokens.support(), headers=[("origin", origin)])
        if allowed or (allowed is None and exchange.status == 200):
            exchange.forwarded(body)
        else:
            exchange.refused({400, 403}, None, "blocked")


def b43_repeated_origins(gateway: Gateway) -> None:
    headers = [("origin", "https://crm.example.com"), ("origin", "https://evil.example")]
    gateway.post(call(LEGACY, "crm.get_customer"), tokens.support(), headers=headers).refused({400, 403})


def b43_a_preflight_opens_nothing(gateway: Gateway) -> None:
    headers = [("origin", "https://evil.example"), ("access-control-request-method", "POST")]
    exchange = gateway.bodyless("OPTIONS", headers=headers).refused({400, 403, 405}, None, "blocked")
    assert exchange.response.header("access-control-allow-origin") is None
