"""Views: a caller acts with a lower role, or as a test user, and never with more than it has."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import json_answer, listing, result
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.handles import SESSION_HEADER, HandleGateway, begin, ping
from .harness.messages import LEGACY, MODERN, HeaderList, call, message
from .harness.policy import CLAIMS, ROLES, issuer, policy

HEADER = "x-view-as"

VIEWS: dict[str, Any] = {
    "roles": {
        **ROLES,
        "support": {**ROLES["support"], "tools": [*ROLES["support"]["tools"], "crm.purge", "crm.report"]},
        "manager": {**ROLES["manager"], "view_as": {"roles": ["support"], "users": ["test-1"]}},
    },
    "view_as": {
        "header": HEADER,
        "users": {"test-1": {"organization": "org-test", "roles": ["support"]}},
    },
}

LISTENERS = {
    "crm": Listener(policy(**VIEWS)),
    "claim": Listener(policy(issuers=[issuer(identity={**CLAIMS, "view_as": "view"})], **VIEWS)),
    "anonymous": Listener(policy(anonymous={"tools": ["docs.*"]}, **VIEWS)),
    "local": Listener(
        policy(issuers=None, local={"user": "dev", "roles": ["manager"], "organization": "org-a"}, tools={}, **VIEWS)
    ),
    "results": Listener(
        policy(results=[{"tools": ["crm.*"], "redact": ["ssn"], "unless_role": ["support"], "with": "remove"}], **VIEWS)
    ),
}

# Where the server gets the caller's own token or account.
OWN = {
    "roles": {
        "support": {"tools": ["crm.*", "notes.*"]},
        "manager": {"extends": ["support"], "view_as": {"roles": ["support"], "users": ["test-1", "test-2"]}},
    },
    "view_as": {"header": HEADER, "users": {"test-1": {"roles": ["support"]}, "test-2": {"roles": ["support"]}}},
}


def _own(**test_2: Any) -> dict[str, Any]:
    """Its views, where the second test user has more."""
    users = {**OWN["view_as"]["users"], "test-2": {"roles": ["support"], **test_2}}
    return {**OWN, "tools": {}, "view_as": {"header": HEADER, "users": users}}


LISTENERS["pass"] = Listener(policy(**_own(own_token=True), upstream={"authorization": "pass"}))
LISTENERS["account"] = Listener(
    policy(
        **{
            **_own(connections=["notes"]),
            "tools": {"notes.*": {"connection": "notes"}},
            "issuers": [
                issuer(
                    sign_in={
                        "authorize": "https://login.example.com/authorize",
                        "token": {"cluster": "login", "path": "/token"},
                        "client_id": "pages",
                    }
                )
            ],
            "connections": {
                "notes": {
                    "issuer": "https://notes.example.com",
                    "authorize": "https://notes.example.com/authorize",
                    "token": {"cluster": "notes", "path": "/token"},
                    "client_id": "filter",
                }
            },
        }
    )
)

ERAS = pytest.mark.parametrize("era", [LEGACY, MODERN])

Through = Callable[[str], Gateway]


def as_(gateway: Gateway, view: str | None, tool: str, era: str = LEGACY, **arguments: Any) -> Exchange:
    """A manager's call, in a view."""
    headers: HeaderList = [] if view is None else [(HEADER, view)]
    return gateway.post(call(era, tool, arguments), tokens.manager(), era, headers=headers)


@ERAS
def test_a_lower_role(gateway: Gateway, era: str) -> None:
    as_(gateway, None, "crm.import_all", era).forwarded()
    as_(gateway, "role:support", "crm.import_all", era).refused(200, -32602, "blocked")
    exchange = as_(gateway, "role:support", "crm.report", era, organization_id="org-b")
    received = exchange.forwarded()
    assert b'"org-a"' in received.body
    assert received.header("x-mcp-user") == tokens.USER
    assert received.header("x-mcp-roles") == "support"
    assert received.header(HEADER) is None
    assert exchange.record["acting_as"] == "role:support"
    assert exchange.record["acting_as_roles"] == ["support"]
    assert exchange.record["enduser.roles"] == ["manager"]


@ERAS
def test_a_test_user(gateway: Gateway, era: str) -> None:
    own = as_(gateway, None, "crm.report", era)
    own.forwarded()
    exchange = as_(gateway, "user:test-1", "crm.report", era, organization_id="org-b", user_id="user-bob")
    received = exchange.forwarded()
    arguments = json.loads(received.body)["params"]["arguments"]
    assert arguments == {"organization_id": "org-test", "user_id": "test-1"}
    headers = {"x-mcp-user": "test-1", "x-mcp-organization": "org-test", "x-mcp-roles": "support"}
    assert {name: received.header(name) for name in headers} == headers
    assert exchange.record["acting_as"] == "user:test-1"
    assert exchange.record["enduser.id"] == own.record["enduser.id"]


@ERAS
@pytest.mark.parametrize("view", ["role:support", "user:test-1"])
def test_the_callers_own_denials_stay(gateway: Gateway, view: str, era: str) -> None:
    """`support` allows the tool here, and `manager` denies it."""
    gateway.post(call(era, "crm.purge"), tokens.support(), era).forwarded()
    exchange = as_(gateway, view, "crm.purge", era).refused(200, -32602, "blocked")
    assert exchange.record["reason"] == "denied"


WISHES = ["role:manager", "role:director", "role:*", "user:test-2", "user:user-anna", "support", "role:", "", "\xff"]


@ERAS
@pytest.mark.parametrize("view", WISHES, ids=repr)
def test_a_view_that_is_not_granted_is_refused(gateway: Gateway, view: str, era: str) -> None:
    exchange = as_(gateway, view, "crm.report", era).refused(403, 403, "blocked")
    assert exchange.record["reason"] == "view_as_not_allowed"
    assert "acting_as" not in exchange.record


def test_a_caller_whose_role_allows_no_views_is_refused(gateway: Gateway) -> None:
    for view in ("role:support", "user:test-1", "role:manager"):
        exchange = gateway.post(call(LEGACY, "crm.report"), tokens.support(), headers=[(HEADER, view)])
        assert exchange.refused(403, 403).record["reason"] == "view_as_not_allowed"


DOUBLES: dict[str, HeaderList] = {
    "twice": [(HEADER, "role:support"), (HEADER, "user:test-1")],
    "the_same_twice": [(HEADER, "role:support"), (HEADER, "role:support")],
    "underscores": [("x_view_as", "role:support")],
    "both_spellings": [(HEADER, "role:support"), ("X_View-As", "role:manager")],
}


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("headers", DOUBLES.values(), ids=DOUBLES)
def b20_a_repeated_view_header_is_refused(gateway: Gateway, headers: HeaderList, http2: bool) -> None:
    exchange = gateway.post(call(LEGACY, "crm.report"), tokens.manager(), headers=headers, http2=http2)
    assert exchange.refused(403, 403).record["reason"] == "view_as_not_allowed"


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
def b20_a_view_in_trailers_is_ignored(gateway: Gateway, http2: bool) -> None:
    trailers = [(HEADER, "role:support"), ("x_view_as", "role:support")]
    exchange = gateway.post(call(LEGACY, "crm.report"), tokens.manager(), trailers=trailers, http2=http2)
    received = exchange.forwarded()
    assert "acting_as" not in exchange.record
    assert not [name for name, _ in received.trailers if "view" in name.lower()]


@ERAS
def test_a_list_shows_what_the_view_allows(gateway: Gateway, era: str) -> None:
    names = ["crm.import_all", "crm.report", "crm.purge"]
    tools = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
    gateway.upstream.answer = json_answer(listing("tools", tools, **({"resultType": "complete"} if era == MODERN else {})))
    for view, expected in ((None, names[:2]), ("role:support", names[1:2])):
        headers: HeaderList = [] if view is None else [(HEADER, view)]
        exchange = gateway.post(message(era, "tools/list"), tokens.manager(), era, headers=headers)
        shown = [tool["name"] for tool in exchange.response.rpc()["result"]["tools"]]
        assert shown == expected, view


def test_rules_for_results_apply_in_a_view(through: Through) -> None:
    gateway = through("results")
    gateway.upstream.answer = json_answer(result({"content": [], "structuredContent": {"ssn": "900-12-3456"}}))
    exempt = gateway.post(call(LEGACY, "crm.report"), tokens.support())
    assert b"900-12-3456" in exempt.response.body
    for view in (None, "role:support", "user:test-1"):
        assert b"900-12-3456" not in as_(gateway, view, "crm.report").response.body


def test_a_token_claim_can_request_a_view(through: Through) -> None:
    gateway, body = through("claim"), call(LEGACY, "crm.import_all")
    gateway.post(body, tokens.manager()).forwarded()
    exchange = gateway.post(body, tokens.manager(view="role:support")).refused(200, -32602)
    assert exchange.record["acting_as"] == "role:support"
    higher = gateway.post(body, tokens.support(view="role:manager")).refused(403, 403)
    assert higher.record["reason"] == "view_as_not_allowed"
    other = gateway.post(body, tokens.manager(view="role:support"), headers=[(HEADER, "user:test-1")])
    assert other.refused(403, 403).record["reason"] == "view_as_not_allowed"


def test_an_anonymous_caller_can_request_no_view(through: Through) -> None:
    gateway, body = through("anonymous"), call(LEGACY, "docs.find")
    gateway.post(body, None).forwarded()
    exchange = gateway.post(body, None, headers=[(HEADER, "role:support")]).refused(403, 403)
    assert exchange.record["reason"] == "view_as_not_allowed"


def test_the_local_caller_can_request_a_view(through: Through) -> None:
    gateway = through("local")
    exchange = gateway.post(call(LEGACY, "crm.report"), None, headers=[(HEADER, "user:test-1")])
    assert exchange.forwarded().header("x-mcp-user") == "test-1"
    assert exchange.record["identified_by"] == "local"


def test_a_page_can_request_a_view(gateway: Gateway) -> None:
    headers: HeaderList = [
        ("origin", "https://crm.example.com"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", f"content-type,{HEADER},x-view-at"),
    ]
    exchange = gateway.bodyless("OPTIONS", headers=headers)
    assert exchange.response.header("access-control-allow-headers") == f"content-type, {HEADER}"


def b24_a_session_is_of_one_view(sealed: Callable[[str], HandleGateway]) -> None:
    gateway = sealed("crm")
    manager = tokens.manager()
    session = begin(gateway, manager)
    own: HeaderList = [(SESSION_HEADER, session)]
    ping(gateway, "POST", manager, own).forwarded()
    for view in ("role:support", "user:test-1"):
        exchange = gateway.post(message(LEGACY, "ping"), manager, headers=[*own, (HEADER, view)])
        assert exchange.refused(404, -32001).record["reason"] == "unknown_session"
    # A real user with the test user's name.
    namesake = tokens.manager(sub="test-1")
    ping(gateway, "POST", namesake, own).refused(404, -32001)


@ERAS
def test_a4_a_test_user_brings_the_server_no_credential_of_the_caller(through: Through, era: str) -> None:
    gateway = through("pass")
    for body in (call(era, "crm.report"), message(era, "tools/list")):
        exchange = gateway.post(body, tokens.manager(), era, headers=[(HEADER, "user:test-1")]).refused(403, 403)
        assert exchange.record["reason"] == "test_user_credential"
    for view in (None, "role:support", "user:test-2"):
        assert (as_(gateway, view, "crm.report", era).forwarded().header("authorization") or "").startswith("Bearer ")
    gateway = through("account")
    exchange = as_(gateway, "user:test-1", "notes.read", era).refused(403, 403)
    assert exchange.record["reason"] == "test_user_credential"
    assert as_(gateway, "user:test-2", "notes.read", era).record["reason"] == "account_not_connected"
    assert as_(gateway, "user:test-1", "crm.report", era).forwarded().header("authorization") is None
