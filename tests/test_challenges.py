"""Challenges tell a refused client how to sign in, and nothing about the server."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .harness import tokens
from .harness.client import Request
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.messages import LEGACY, call
from .harness.policy import METADATA, WELL_KNOWN, policy
from .harness.tokens import ISSUER, OTHER_ISSUER, RESOURCE
from .harness.variants import ERAS

DESCRIBED = {
    "resource_name": "CRM",
    "resource_documentation": "https://crm.example.com/docs",
    "resource_policy_uri": "https://crm.example.com/privacy",
    "resource_tos_uri": "https://crm.example.com/terms",
    "scopes_supported": ["crm:read", "crm:write"],
}

LISTENERS = {
    "crm": Listener(policy()),
    "scoped": Listener(
        policy(scopes=["crm:read"], scope_includes={"crm:admin": ["crm:write"], "crm:write": ["crm:read"]})
    ),
    "described": Listener(policy(metadata=DESCRIBED)),
    "behind_a_prefix": Listener(policy(resource="https://crm.example.com/a/mcp", path="/mcp")),
    "origins": Listener(policy(origins=["https://app.example.com", "http://localhost:6274"])),
    "at_the_root": Listener(policy(resource="https://crm.example.com/", path="/")),
}


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


@ERAS
def test_every_scope_a_call_needs_is_asked_for_at_once(through: Callable[[str], Gateway], era: str) -> None:
    body = call(era, "crm.refund", {"amount": 1})
    exchange = through("scoped").post(body, tokens.manager(scope="crm:refund"), era)
    exchange.refused(403, None, "needs_review")
    assert challenge(exchange) == (
        'Bearer error="insufficient_scope", scope="crm:read crm:write crm:refund", '
        f'resource_metadata="{METADATA}", error_description="needs scope crm:read crm:write crm:refund"'
    )
    assert exchange.record["next_action"] == "sign in with scope crm:read crm:write crm:refund"


@ERAS
def test_a_scope_is_asked_for_only_where_it_helps(through: Callable[[str], Gateway], era: str) -> None:
    """Otherwise clients would send people through consent again and again."""
    gateway = through("scoped")
    for token, tool in ((tokens.support(scope=""), "crm.refund"), (tokens.manager(scope=""), "crm.purge")):
        exchange = gateway.post(call(era, tool, {"amount": 1}), token, era).refused(200, -32602, "blocked")
        assert exchange.response.header("www-authenticate") is None
    exchange = gateway.post(call(era, "crm.refund", {"amount": 500}), tokens.manager(scope=""), era)
    exchange.does_not_hold()


@ERAS
def test_a_scope_that_includes_the_needed_one_is_enough(through: Callable[[str], Gateway], era: str) -> None:
    gateway, body = through("scoped"), call(era, "crm.refund", {"amount": 1})
    exchange = gateway.post(body, tokens.manager(scope="crm:admin crm:refund"), era)
    exchange.forwarded(body)
    summaries = [each["summary"] for each in exchange.record["evidence"]]
    assert "has scope crm:read (by crm:admin) crm:write (by crm:admin) crm:refund" in summaries
    gateway.post(body, tokens.manager(scope="crm:write crm:refund"), era).forwarded(body)
    gateway.post(body, tokens.manager(scope="crm:read crm:refund"), era).refused(403, None, "needs_review")
    gateway.post(body, tokens.manager(scope="crm:admin"), era).refused(403, None, "needs_review")


@ERAS
def test_an_old_sign_in_gets_a_challenge_with_max_age(gateway: Gateway, era: str) -> None:
    token = tokens.manager(auth_time=int(time.time()) - 300)
    exchange = gateway.post(call(era, "crm.close_account"), token, era).refused(401, None, "needs_review")
    assert challenge(exchange) == (
        'Bearer error="insufficient_user_authentication", max_age="60", '
        f'resource_metadata="{METADATA}", error_description="needs a sign-in at most 60 s ago"'
    )


def test_a_challenge_repeats_no_part_of_the_request(gateway: Gateway) -> None:
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


def test_the_resource_metadata_names_the_scopes_to_begin_with(through: Callable[[str], Gateway]) -> None:
    """What a tool needs besides is asked for when it is called."""
    document = through("scoped").send(Request("GET", f"{WELL_KNOWN}/mcp")).response.json
    assert document["scopes_supported"] == ["crm:read"]
    assert "scopes_supported" not in through("crm").send(Request("GET", WELL_KNOWN)).response.json


def test_the_resource_metadata_has_the_policys_additions(through: Callable[[str], Gateway]) -> None:
    document = through("described").send(Request("GET", WELL_KNOWN)).response.json
    assert DESCRIBED.items() <= document.items()


def test_the_resource_metadata_is_at_the_url_of_the_challenge(through: Callable[[str], Gateway]) -> None:
    gateway = through("behind_a_prefix")
    url = f"https://crm.example.com{WELL_KNOWN}/a/mcp"
    assert f'resource_metadata="{url}"' in challenge(gateway.bodyless("GET").refused(401))
    for path in (f"{WELL_KNOWN}/a/mcp", f"{WELL_KNOWN}/mcp", WELL_KNOWN):
        document = gateway.send(Request("GET", path)).response.json
        assert document["resource"] == "https://crm.example.com/a/mcp"


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_the_head_of_the_resource_metadata(gateway: Gateway, http2: bool) -> None:
    exchange = gateway.send(Request("HEAD", f"{WELL_KNOWN}/mcp"), http2)
    assert (exchange.status, exchange.response.body) == (200, b"")
    assert exchange.response.header("content-type") == "application/json"


@pytest.mark.parametrize("suffix", ["/", "/mcp/", "?", "?x=1", "/mcp?x=1", "x", "/MCP"])
def test_the_resource_metadata_is_at_no_other_path(gateway: Gateway, suffix: str) -> None:
    gateway.send(Request("GET", f"{WELL_KNOWN}{suffix}")).refused({400, 404}, None, "blocked")


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
def b43_unlisted_origins_are_refused(
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


def b43_a_preflight_is_refused(gateway: Gateway) -> None:
    headers = [("origin", "https://evil.example"), ("access-control-request-method", "POST")]
    exchange = gateway.bodyless("OPTIONS", headers=headers).refused({400, 403, 405}, None, "blocked")
    assert exchange.response.header("access-control-allow-origin") is None
