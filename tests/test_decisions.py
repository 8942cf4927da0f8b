"""Decisions about calls: roles, scopes, token age, conditions."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .harness import tokens
from .harness.answers import encoded, json_answer, listing
from .harness.envoy_config import Listener
from .harness.gateway import Gateway
from .harness.messages import LEGACY, MODERN, call, message
from .harness.policy import ROLES, policy
from .harness.upstream import Upstream
from .harness.variants import ERAS

CONDITIONS = {
    "crm.audit": {"when": "args.organization_id == 'org-a'"},
    "crm.audit_all": {"when": "identity.organization == 'org-a' && size(args.ids) < 3"},
    "crm.broken": {"when": "args.missing.field == 1"},
    "crm.not_boolean": {"when": "args.amount"},
    "crm.negated": {"when": "!(args.amount > 100)"},
    "crm.either": {"when": "args.amount > 100 || true"},
}

LISTENERS = {
    "crm": Listener(policy()),
    "visible": Listener(policy(refusals="visible")),
    "conditions": Listener(policy(tools=CONDITIONS, scopes=["crm:read"])),
    "everyone": Listener(policy(roles={"*": {"tools": ["crm.ping"]}, **ROLES})),
    "denying": Listener(policy(roles={"*": {"deny": ["crm.get_*"]}, **ROLES})),
}

WRITER = "crm:read crm:write crm:refund"

CALLS = [
    ("support", "crm.get_customer", True),
    ("support", "crm.search_tickets", True),
    ("support", "crm.search_", True),
    ("support", "crm.search", False),
    ("support", "crm.get_customers", False),
    ("support", "crm.get_customer ", False),
    ("support", " crm.get_customer", False),
    ("support", "CRM.get_customer", False),
    ("support", "crm_get_customer", False),
    ("support", "crm.get-customer", False),
    ("support", "crm.get_\u0441ustomer", False),
    ("support", "crm.*", False),
    ("support", "crm.purge", False),
    ("manager", "crm.get_customer", True),
    ("manager", "crm.anything", True),
    ("manager", "crm.purge", False),
    ("manager", "other.tool", False),
    ("manager", "xcrm.tool", False),
    ("stranger", "crm.get_customer", False),
    ("Support", "crm.get_customer", False),
    ("support manager", "crm.get_customer", False),
    ("*", "crm.get_customer", False),
    ("", "crm.get_customer", False),
]


@ERAS
@pytest.mark.parametrize("role, tool, allowed", CALLS)
def b08_only_the_exact_role_and_tool_are_allowed(
    gateway: Gateway, era: str, role: str, tool: str, allowed: bool
) -> None:
    body = call(era, tool, {"a": 1})
    exchange = gateway.post(body, tokens.token(role), era)
    if allowed:
        exchange.forwarded(encoded(body))
    elif exchange.status == 401:
        # An empty role name makes the claim malformed.
        assert role == ""
        exchange.refused(401)
    else:
        exchange.refused(200, -32602, "blocked")


def b08_two_roles_are_not_one(gateway: Gateway) -> None:
    """Each element of a list is one role, and so is a text."""
    body = call(LEGACY, "crm.anything")
    gateway.post(body, tokens.token("support,manager")).refused(200, -32602, "blocked")
    gateway.post(body, tokens.token(realm_access={"roles": "support manager"})).refused(200, -32602, "blocked")
    gateway.post(body, tokens.token(realm_access={"roles": "manager"})).forwarded(body)
    gateway.post(body, tokens.token(**{"realm_access.roles": ["manager"]})).refused(200, -32602)


@ERAS
def test_a_denied_tool_is_answered_like_an_unknown_one(gateway: Gateway, era: str) -> None:
    denied = gateway.post(call(era, "crm.purge"), tokens.support(), era).refused(200, -32602, "blocked")
    unknown = gateway.post(call(era, "crm.nope"), tokens.support(), era).refused(200, -32602, "blocked")
    assert denied.response.json["id"] == 1
    assert denied.response.json["error"]["message"] == "Unknown tool: crm.purge"
    same = unknown.response.body.replace(b"crm.nope", b"crm.purge")
    assert same == denied.response.body
    assert denied.response.header("content-type") == "application/json"


@ERAS
def test_refusals_may_be_visible(through: Callable[[str], Gateway], era: str) -> None:
    exchange = through("visible").post(call(era, "crm.purge"), tokens.support(), era)
    # Clients of earlier versions take an HTTP error for the end of the connection.
    exchange.refused({LEGACY: 200, MODERN: 403}[era], 403, "blocked")
    challenge = exchange.response.header("www-authenticate") or ""
    assert "insufficient_scope" not in challenge, "no scope would cure this"
    assert exchange.response.error_code() is not None


def test_the_role_for_all_callers_allows_and_denies(through: Callable[[str], Gateway]) -> None:
    through("everyone").post(call(LEGACY, "crm.ping"), tokens.token("stranger")).forwarded()
    through("everyone").post(call(LEGACY, "crm.get_customer"), tokens.token("stranger")).refused(200, -32602)
    through("denying").post(call(LEGACY, "crm.get_customer"), tokens.manager()).refused(200, -32602)
    through("denying").post(call(LEGACY, "crm.search_x"), tokens.manager()).forwarded()


PROMPTS = [
    ("support", "customer_summary", True),
    ("support", "secret_prompt", False),
    ("manager", "anything", True),
    ("manager", "secret_prompt", False),
    ("stranger", "customer_summary", False),
]


@ERAS
@pytest.mark.parametrize("role, prompt, allowed", PROMPTS)
def test_prompts_are_judged_like_tools(gateway: Gateway, era: str, role: str, prompt: str, allowed: bool) -> None:
    body = message(era, "prompts/get", {"name": prompt})
    exchange = gateway.post(body, tokens.token(role), era)
    if allowed:
        exchange.forwarded(encoded(body))
    else:
        exchange.refused(200, -32602, "blocked")


@ERAS
def test_a_missing_scope_is_named_with_all_the_others(gateway: Gateway, era: str) -> None:
    body = call(era, "crm.refund", {"amount": 5})
    exchange = gateway.post(body, tokens.manager(scope="crm:read crm:write"), era)
    exchange.refused(403, None, "needs_review")
    challenge = exchange.response.header("www-authenticate") or ""
    assert challenge.startswith("Bearer ")
    assert 'error="insufficient_scope"' in challenge and "resource_metadata=" in challenge
    scope = challenge.partition('scope="')[2].partition('"')[0].split()
    assert {"crm:write", "crm:refund"} <= set(scope)
    gateway.post(body, tokens.manager(scope=WRITER), era).forwarded(encoded(body))


@pytest.mark.parametrize("scope", ["crm:refunds crm:writer", "CRM:WRITE CRM:REFUND", "crm:*", "crm:write,crm:refund", tokens.OMIT])
def b08_scopes_are_exact(gateway: Gateway, scope: object) -> None:
    body = call(LEGACY, "crm.refund", {"amount": 5})
    gateway.post(body, tokens.manager(scope=scope)).refused(403, None, "needs_review")


def test_scopes_may_be_a_list(gateway: Gateway) -> None:
    body = call(LEGACY, "crm.refund", {"amount": 5})
    gateway.post(body, tokens.manager(scope=WRITER.split())).forwarded()


def test_scopes_of_the_whole_policy_are_needed_for_everything(through: Callable[[str], Gateway]) -> None:
    gateway = through("conditions")
    for body in (call(LEGACY, "crm.get_customer"), message(LEGACY, "tools/list"), message(LEGACY, "ping")):
        exchange = gateway.post(body, tokens.support(scope="other")).refused(403, None, "needs_review")
        assert 'scope="crm:read"' in (exchange.response.header("www-authenticate") or "")


@ERAS
def test_an_old_sign_in_is_asked_to_be_renewed(gateway: Gateway, era: str) -> None:
    body = call(era, "crm.close_account")
    old = tokens.manager(iat=int(time.time()) - 300)
    exchange = gateway.post(body, old, era).refused(401, None, "needs_review")
    challenge = exchange.response.header("www-authenticate") or ""
    assert 'error="insufficient_user_authentication"' in challenge
    assert "max_age=60" in challenge.replace('"', "")
    gateway.post(body, tokens.manager(), era).forwarded()


@pytest.mark.parametrize("claims", [{"iat": tokens.OMIT}, {"auth_time": 1}, {"iat": "now"}])
def b16_an_unknown_age_is_too_old(gateway: Gateway, claims: dict[str, object]) -> None:
    gateway.post(call(LEGACY, "crm.close_account"), tokens.manager(**claims)).refused(401)


REFUNDS = [
    ('{"amount":100}', True),
    ('{"amount":99.5}', True),
    ('{"amount":100.5}', False),
    ('{"amount":101}', False),
    ('{"amount":1e3}', False),
    ('{"amount":"100"}', False),
    ('{"amount":"1"}', False),
    ('{"amount":null}', False),
    ('{"amount":[1]}', False),
    ('{"amount":{}}', False),
    ('{"Amount":1}', False),
    ('{"amount":18446744073709551616}', False),
    ("{}", False),
]


@ERAS
@pytest.mark.parametrize("arguments, allowed", REFUNDS)
def b16_a_condition_that_errs_refuses(gateway: Gateway, era: str, arguments: str, allowed: bool) -> None:
    like = call(era, "crm.refund", {"*": 0})
    body = encoded(like).replace(b'{"*":0}', arguments.encode())
    exchange = gateway.post(body, tokens.manager(scope=WRITER), era, like=like)
    if allowed:
        exchange.forwarded(body)
    elif "Amount" in arguments:
        assert exchange.refused(200, -32602, "blocked").record["reason"] == "argument_misspelled"
    else:
        exchange.does_not_hold()


@pytest.mark.parametrize("tool", ["crm.broken", "crm.not_boolean", "crm.negated"])
@pytest.mark.parametrize("arguments", [{}, {"amount": "x"}, {"missing": 1}, {"amount": None}])
def b16_a_condition_that_fails_in_any_way_denies(
    through: Callable[[str], Gateway], tool: str, arguments: dict[str, object]
) -> None:
    through("conditions").post(call(LEGACY, tool, arguments), tokens.manager()).does_not_hold()


def b16_a_call_without_arguments_is_judged_too(through: Callable[[str], Gateway]) -> None:
    body = message(LEGACY, "tools/call", {"name": "crm.negated"})
    through("conditions").post(body, tokens.manager()).does_not_hold()


@ERAS
def b25_conditions_see_rewritten_arguments(through: Callable[[str], Gateway], era: str) -> None:
    """`args` are the rewritten ones: the model cannot satisfy a rule with a value that is replaced."""
    gateway = through("conditions")
    lie = call(era, "crm.audit", {"organization_id": "org-a"})
    gateway.post(lie, tokens.manager(org_id="org-b"), era).does_not_hold()
    truth = call(era, "crm.audit", {"organization_id": "org-b"})
    received = gateway.post(truth, tokens.manager(), era).forwarded()
    assert received.arguments == {"organization_id": "org-a"}


def b25_conditions_see_lists_as_they_are_sent(through: Callable[[str], Gateway]) -> None:
    gateway = through("conditions")
    gateway.post(call(LEGACY, "crm.audit_all", {"ids": [1, 2]}), tokens.manager()).forwarded()
    gateway.post(call(LEGACY, "crm.audit_all", {"ids": [1, 2, 3]}), tokens.manager()).does_not_hold()


@ERAS
@pytest.mark.parametrize("role", ["support", "manager", "stranger"])
def b26_exactly_the_listed_tools_can_be_called(
    gateway: Gateway, upstream: Upstream, era: str, role: str
) -> None:
    names = ["crm.get_customer", "crm.search_tickets", "crm.purge", "crm.report", "other.tool", "CRM.report"]
    upstream.answer = json_answer(listing("tools", [{"name": name} for name in names]))
    token = tokens.token(role)
    exchange = gateway.post(message(era, "tools/list"), token, era)
    listed = [tool["name"] for tool in exchange.response.json["result"]["tools"]]
    upstream.reset()
    callable_ = [
        name for name in names if gateway.post(call(era, name), token, era).record["decision"] == "approved"
    ]
    assert listed == callable_
