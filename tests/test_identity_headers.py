"""Headers that identify the caller have the values of the token."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from .harness import tokens
from .harness.answers import encoded
from .harness.client import Connection
from .harness.envoy_config import Config, Listener
from .harness.gateway import Gateway
from .harness.http import Received, Text
from .harness.messages import LEGACY, MODERN, call, post
from .harness.policy import policy

MUTATION = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
NAMES = {"user": "x-who", "organization": "x-where", "roles": "x-as"}


def adding_headers(**headers: str) -> Config:
    """A filter that sets request headers, as a misplaced one might."""
    mutations = [
        {"append": {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
        for name, value in headers.items()
    ]
    config = {"@type": MUTATION, "mutations": {"request_mutations": mutations}}
    return {"name": "envoy.filters.http.header_mutation", "typed_config": config}


LISTENERS = {
    "crm": Listener(policy()),
    "renamed": Listener(policy(headers=NAMES)),
    "passing": Listener(policy(upstream={"authorization": "pass", "remove_headers": ["x-api-key", "cookie"]})),
    "with_credentials": Listener(policy(upstream={"pass_headers": ["x-api-key", "cookie"]})),
    "after_another": Listener(
        policy(), before=(adding_headers(**{"x-mcp-user": "user-bob", "x-mcp-roles": "manager"}),)
    ),
}

BODY = call(LEGACY, "crm.get_customer", {"query": "x"})
EDITED = call(LEGACY, "crm.get_customer", {"user_id": "user-bob"})

IDENTITY = ("x-mcp-user", "x-mcp-organization", "x-mcp-roles")


def identity(received: Received) -> dict[str, list[str]]:
    """Every header a server might take for the caller's identity, by its folded name."""
    found: dict[str, list[str]] = {}
    for name, value in received.headers + received.trailers:
        folded = name.lower().replace("_", "-")
        if folded in IDENTITY:
            found.setdefault(folded, []).append(value)
    return found


TRUSTED = {
    "x-mcp-user": [tokens.USER],
    "x-mcp-organization": [tokens.ORGANIZATION],
    "x-mcp-roles": ["support"],
}

SPOOFED: dict[str, list[tuple[Text, Text]]] = {
    "plain": [("x-mcp-user", "user-bob"), ("x-mcp-organization", "org-b"), ("x-mcp-roles", "manager")],
    "upper": [("X-MCP-USER", "user-bob"), ("X-Mcp-Organization", "org-b"), ("X-mcp-ROLES", "manager")],
    "underscores": [("x_mcp_user", "user-bob"), ("X_MCP_ORGANIZATION", "org-b"), ("x-mcp_roles", "manager")],
    "repeated": [("x-mcp-user", "user-bob"), ("x-mcp-user", "user-eve"), ("x-mcp-roles", "a"), ("x-mcp-roles", "b")],
    "joined": [("x-mcp-roles", "support,manager"), ("x-mcp-user", "user-anna,user-bob")],
    "empty": [("x-mcp-user", ""), ("x-mcp-organization", ""), ("x-mcp-roles", "")],
    "bytes": [("x-mcp-user", b"\xff\xfe"), ("x-mcp-roles", b"man\xc3\xa4ger")],
    "mixed": [("x-mcp-user", "user-bob"), ("x_mcp_user", "user-eve"), ("X-MCP_USER", "user-mallory")],
}


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("body", [BODY, EDITED], ids=["untouched", "edited"])
@pytest.mark.parametrize("headers", SPOOFED.values(), ids=SPOOFED)
def b20_identity_headers_of_the_client(
    gateway: Gateway, headers: list[tuple[Text, Text]], body: dict[str, object], http2: bool
) -> None:
    exchange = gateway.post(body, tokens.support(), headers=headers, http2=http2)
    assert identity(exchange.forwarded()) == TRUSTED


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def b20_identity_in_trailers(gateway: Gateway, http2: bool) -> None:
    """A server may merge trailers into the headers."""
    trailers = [("x-mcp-user", "user-bob"), ("x_mcp_roles", "manager"), ("authorization", "Bearer x")]
    received = gateway.post(BODY, tokens.support(), trailers=trailers, http2=http2).forwarded(BODY)
    assert identity(received) == TRUSTED
    assert not [name for name, _ in received.trailers if name.lower() == "authorization"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def b20_identity_headers_of_requests_without_a_body(gateway: Gateway, method: str) -> None:
    headers = SPOOFED["plain"] + SPOOFED["underscores"]
    exchange = gateway.bodyless(method, token=tokens.support(), headers=headers)
    assert identity(exchange.received) == TRUSTED


def b20_an_absent_claim_clears_the_header(gateway: Gateway) -> None:
    token = tokens.token(org_id=tokens.OMIT)
    received = gateway.post(BODY, token, headers=SPOOFED["plain"]).forwarded()
    assert identity(received).get("x-mcp-organization", [""]) == [""]


@pytest.mark.parametrize("roles", [tokens.OMIT, {}, {"roles": []}, {"roles": ["unknown"]}, {"roles": None}])
def b20_a_caller_without_roles_has_none(gateway: Gateway, roles: object) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    token = tokens.token(realm_access=roles)
    exchange = gateway.post(body, token, headers=SPOOFED["plain"])
    if exchange.status == 200:
        assert identity(exchange.forwarded()).get("x-mcp-roles", [""]) == [""]
    else:
        exchange.refused({401, 403})


ODD_USERS = ["anna\r\nx-admin: 1", "anna\nx-admin: 1", "anna\0", "anna\x7f", "anna\u2028x", " anna ", "a" * 20_000]


@pytest.mark.parametrize("user", ODD_USERS, ids=range(len(ODD_USERS)))
def b20_claims_that_do_not_fit_into_a_header(gateway: Gateway, user: str) -> None:
    """Refused, or carried without becoming anything else; never a header of their own."""
    exchange = gateway.post(BODY, tokens.token(sub=user))
    if exchange.status != 200:
        exchange.refused({400, 401, 403, 431})
        return
    received = exchange.forwarded()
    assert received.header("x-admin") is None
    assert len(identity(received)["x-mcp-user"]) == 1
    assert identity(received)["x-mcp-user"] != [tokens.USER]


def b20_renamed_identity_headers(through: Callable[[str], Gateway]) -> None:
    spoofed = [("x-who", "user-bob"), ("X_WHERE", "org-b"), ("x-as", "manager"), ("x_who", "user-eve")]
    received = through("renamed").post(BODY, tokens.support(), headers=spoofed).forwarded()
    named = {name.lower(): value for name, value in received.headers if "_" not in name}
    assert (named["x-who"], named["x-where"], named["x-as"]) == (tokens.USER, tokens.ORGANIZATION, "support")
    assert not {"x_who", "x_where", "x_as"} & {name.lower() for name, _ in received.headers}


def test_roles_are_joined_by_commas_and_only_known_ones(gateway: Gateway) -> None:
    token = tokens.token("support", "stranger", "manager", "support,manager", "offline_access")
    roles = gateway.post(BODY, token).forwarded().header("x-mcp-roles")
    assert sorted((roles or "").split(",")) == ["manager", "support"]


@pytest.mark.parametrize("body", [BODY, EDITED], ids=["untouched", "edited"])
def b21_removed_headers_stay_removed(gateway: Gateway, body: dict[str, object]) -> None:
    """Also on the second request of a connection, which finds the upstream connection warm."""
    request = post(body, tokens.support(), headers=[("accept-encoding", "gzip"), *SPOOFED["plain"]])
    with Connection(gateway.port) as connection:
        for _ in range(2):
            received = gateway.exchange(connection.request(request)).forwarded()
            assert identity(received) == TRUSTED
            assert received.header("authorization") is None
            assert received.header("accept-encoding") in (None, "identity")


BACK_DOORS: list[tuple[Text, Text]] = [
    ("mcp-init-host", "attacker.example"),
    ("x-http-method-override", "DELETE"),
    ("x-original-url", "/admin"),
    ("x-rewrite-url", "/admin"),
    ("x-envoy-original-path", "/admin"),
    ("x-forwarded-user", "admin"),
    ("x-mcp-auth", "off"),
    ("x-mcp-bypass", "1"),
    ("mcp-auth", "observe"),
]


def b22_client_headers_do_not_act_as_policy(gateway: Gateway) -> None:
    denied = call(LEGACY, "crm.purge")
    gateway.post(denied, tokens.manager(), headers=BACK_DOORS).refused(200, -32602, "blocked")
    gateway.post(BODY, None, headers=BACK_DOORS).refused(401, None, "needs_review")
    received = gateway.post(BODY, tokens.support(), headers=BACK_DOORS).forwarded(encoded(BODY))
    assert (received.method, received.path, received.header("host")) == ("POST", "/mcp", "crm.example.com")


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("era", [LEGACY, MODERN])
def b23_the_clients_token_ends_here(gateway: Gateway, era: str, http2: bool) -> None:
    token = tokens.support()
    body = call(era, "crm.get_customer", {"user_id": "x"})
    received = gateway.post(body, token, era, http2=http2).forwarded()
    assert received.header("authorization") is None
    assert token not in json.dumps([received.headers, received.body.decode()])


def b23_the_policy_may_pass_the_token_and_remove_other_headers(through: Callable[[str], Gateway]) -> None:
    token = tokens.support()
    others: list[tuple[Text, Text]] = [("x-api-key", "k"), ("X_API_KEY", "k"), ("Cookie", "s=1"), ("x-keep", "1")]
    received = through("passing").post(BODY, token, headers=others).forwarded()
    assert received.header("authorization") == f"Bearer {token}"
    names = {name.lower() for name, _ in received.headers}
    assert not names & {"x-api-key", "x_api_key", "cookie"}
    assert received.header("x-keep") == "1"


def b18_identity_headers_of_another_filter_are_replaced(through: Callable[[str], Gateway]) -> None:
    received = through("after_another").post(BODY, tokens.support()).forwarded()
    assert identity(received) == TRUSTED


FAMILIES = [
    "x-mcp.user",
    "x-mcp-anything",
    "x-consumer-custom-id",
    "x-auth-request-preferred-username",
    "x-credential-username",
    "x-ms-client-principal-name",
    "x-ms-token-aad-id-token",
    "cf-access-authenticated-user-email",
    "x-pomerium-claim-email",
    "x-authentik-username",
    "tailscale-user-login",
    "x-goog-authenticated-user-email",
    "x-hasura-role",
    "impersonate-user",
    "remote-user",
    "ssl-client-cert",
    "x-apigateway-api-userinfo",
    "oidc_claim_sub",
    "x.tenant.id",
    "x-forwarded-tls-client-cert-info",
    "cookie",
    "x-api-key",
    "x_api_key",
    "private-token",
]
KEPT = ["x-region", "traceparent", "x-request-purpose", "idempotency-key"]


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_s11_identity_headers_by_families(gateway: Gateway, http2: bool) -> None:
    headers: list[tuple[Text, Text]] = [(name, "admin") for name in FAMILIES + KEPT]
    received = gateway.post(BODY, tokens.support(), headers=headers, http2=http2).forwarded()
    names = {name.lower() for name, _ in received.headers}
    assert not names & set(FAMILIES)
    assert names >= set(KEPT)
    assert "admin" not in identity(received)["x-mcp-user"]


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def test_s11_identity_trailers_by_families(gateway: Gateway, http2: bool) -> None:
    trailers = [(name, "admin") for name in FAMILIES]
    received = gateway.post(BODY, tokens.support(), trailers=trailers, http2=http2).forwarded(BODY)
    assert not {name.lower() for name, _ in received.headers + received.trailers} & set(FAMILIES)


def test_s11_the_policy_may_pass_credentials(through: Callable[[str], Gateway]) -> None:
    headers: list[tuple[Text, Text]] = [("x-api-key", "k"), ("cookie", "s=1"), ("x_api_key", "k"), ("private-token", "t")]
    received = through("with_credentials").post(BODY, tokens.support(), headers=headers).forwarded()
    assert (received.header("x-api-key"), received.header("cookie")) == ("k", "s=1")
    assert not {name.lower() for name, _ in received.headers} & {"x_api_key", "private-token"}
