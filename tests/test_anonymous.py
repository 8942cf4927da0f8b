"""Requests without a token: anonymous tools pass, all others ask for a sign-in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from .harness import tokens
from .harness.anonymous import SCOPE, asked_to_sign_in, asked_with_401, mixed, unknown_tool
from .harness.answers import PROGRESS, encoded, event_stream
from .harness.envoy_config import Listener
from .harness.gateway import Gateway, Through
from .harness.http import Received, Text
from .harness.messages import LEGACY, MODERN, call, message, rpc
from .harness.policy import ROLES, policy
from .harness.upstream import Upstream
from .harness.variants import CLIENTS, ERAS
from .harness.wrong_tokens import AUDIENCES, CLAIMS, SIGNATURES

BUFFERED: dict[str, Any] = {"stop_iteration": False, "buffer_filter": 1024 * 1024}

LISTENERS = {
    "crm": Listener(mixed()),
    "http2_server": Listener(mixed(), "upstream_h2"),
    "buffered": Listener(mixed(hold="buffer_filter"), **BUFFERED),
    "observe": Listener(mixed(mode="observe")),
    "nothing": Listener(mixed(anonymous={})),
    "no_section": Listener(policy()),
    "visible": Listener(mixed(refusals="visible")),
    "denying": Listener(mixed(roles={"*": {"tools": ["crm.hello"], "deny": ["docs.secret"]}, **ROLES})),
}

HOLDS = pytest.mark.parametrize("listener", ["crm", "http2_server", "buffered"])

LISTS = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]
OPENING = [
    *[(LEGACY, method) for method in ["initialize", "ping", *LISTS]],
    *[(MODERN, method) for method in ["server/discover", *LISTS]],
]


@HOLDS
@CLIENTS
@pytest.mark.parametrize("era, method", OPENING)
def test_a_connection_needs_no_token(through: Through, listener: str, era: str, method: str, http2: bool) -> None:
    body = message(era, method)
    exchange = through(listener).post(body, None, era, http2=http2)
    exchange.forwarded(encoded(body))
    assert "enduser.id" not in exchange.record


def test_a_legacy_client_reports_that_it_is_ready(gateway: Gateway) -> None:
    body = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    gateway.post(body, None).forwarded(encoded(body), status=202)


def test_the_servers_event_stream_needs_no_token(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = event_stream(PROGRESS)
    exchange = gateway.get()
    exchange.forwarded()
    assert exchange.response.body == b"".join(event_stream(PROGRESS).chunks)


# What a server might take for the caller, as clients could write it.
SPOOFED: list[tuple[Text, Text]] = [
    ("x-mcp-user", "user-bob"),
    ("X-MCP-Organization", "org-b"),
    ("x-mcp-roles", "manager"),
    ("x_mcp_user", "user-eve"),
    ("x-forwarded-user", "user-bob"),
    ("x-user-id", "user-bob"),
    ("x-roles", "manager"),
]


def is_nobodys(received: Received) -> None:
    """Nothing in the headers says who is calling."""
    names = {name.lower().replace("_", "-") for name, _ in received.headers}
    assert not names & {str(name).lower().replace("_", "-") for name, _ in SPOOFED}
    assert "authorization" not in names


@HOLDS
@CLIENTS
@ERAS
def b20_an_anonymous_call_has_no_identity_headers_or_arguments(
    through: Through, listener: str, era: str, http2: bool
) -> None:
    claimed = {"q": 1.0, "user_id": "user-bob", "userId": 7, "deep": {"organization_id": "org-b"}, "role": "admin"}
    body = call(era, "docs.find", claimed, _meta={"user_id": "user-bob"})
    exchange = through(listener).post(body, None, era, SPOOFED, http2=http2)
    received = exchange.forwarded()
    assert received.body == encoded(call(era, "docs.find", {"q": 1.0, "deep": {}}, _meta={}))
    is_nobodys(received)
    assert {"source": "anonymous", "summary": "`docs.*` allows it to all callers"} in exchange.record["evidence"]
    assert not [key for key in exchange.record if key.startswith("enduser")]


@ERAS
def test_an_anonymous_call_without_identity_arguments_is_unchanged(gateway: Gateway, era: str) -> None:
    like = call(era, "docs.find", {"*": 0})
    body = encoded(like).replace(b'{"*":0}', b'{ "q" : 1.0, "t": "\\u00e9" }')
    gateway.post(body, None, era, like=like).forwarded(body)


@ERAS
def b28_identity_arguments_of_anonymous_calls_are_refused_or_removed(gateway: Gateway, era: str) -> None:
    for arguments in ({"impersonate": "user-bob"}, {"note": '{"user_id": "user-bob"}'}):
        gateway.post(call(era, "docs.find", arguments), None, era).refused(200, -32602, "blocked")
    # What a rule of the tool would add from the token is not added.
    received = gateway.post(call(era, "docs.mine", {"user_id": "user-bob"}), None, era).forwarded()
    assert received.arguments == {}


def b07_the_header_of_a_removed_argument_goes_with_it(gateway: Gateway) -> None:
    body = call(MODERN, "docs.find", {"user_id": "user-bob"})
    received = gateway.post(body, None, MODERN, [("Mcp-Param-User-Id", "user-bob")]).forwarded()
    assert received.header("mcp-param-user-id") is None
    alone = call(MODERN, "docs.find")
    gateway.post(alone, None, MODERN, [("Mcp-Param-User-Id", "user-bob")]).refused(400, -32020, "blocked")


@HOLDS
@CLIENTS
@ERAS
def test_other_tools_ask_for_a_sign_in(through: Through, listener: str, era: str, http2: bool) -> None:
    gateway = through(listener)
    asked_to_sign_in(gateway.post(call(era, "crm.get_customer"), None, era, http2=http2), era, SCOPE)
    refund = gateway.post(call(era, "crm.refund", {"amount": 5}), None, era, http2=http2)
    asked_to_sign_in(refund, era, SCOPE, "crm:write", "crm:refund")


@ERAS
def test_a_tool_for_every_signed_in_user_asks_for_a_sign_in(through: Through, era: str) -> None:
    """The role named `*` is for every caller with a token."""
    asked_to_sign_in(through("denying").post(call(era, "crm.hello"), None, era), era, SCOPE)
    through("denying").post(call(era, "crm.hello"), tokens.token("stranger"), era).forwarded()


@pytest.mark.parametrize("id", ["a", 0, -7, "\u00e9\"\\"])
def test_the_request_to_sign_in_is_the_answer_to_the_call(gateway: Gateway, id: Any) -> None:
    answer = gateway.post(message(LEGACY, "tools/call", {"name": "crm.get_customer"}, id), None).refused(200)
    assert answer.response.json["id"] == id and "result" in answer.response.json


@ERAS
def test_an_anonymous_tool_can_have_conditions(gateway: Gateway, era: str) -> None:
    rare, fresh = call(era, "docs.rare"), call(era, "docs.fresh")
    asked_to_sign_in(gateway.post(rare, None, era), era, SCOPE, "docs:rare")
    asked_to_sign_in(gateway.post(fresh, None, era), era, SCOPE)
    stranger = tokens.token("stranger", scope="other")
    exchange = gateway.post(rare, stranger, era).refused(403, None, "needs_review")
    assert 'scope="docs:rare"' in (exchange.response.header("www-authenticate") or "")
    gateway.post(rare, tokens.token("stranger", scope="docs:rare"), era).forwarded()
    gateway.post(fresh, stranger, era).forwarded()
    gateway.post(fresh, tokens.token("stranger", iat=int(time.time()) - 300), era).refused(401, None, "needs_review")


@ERAS
def b16_conditions_see_an_anonymous_caller(gateway: Gateway, era: str) -> None:
    gateway.post(call(era, "docs.limited", {"limit": 10}), None, era).forwarded()
    for arguments in ({"limit": 11}, {"limit": None}, {"limit": "1"}, {}):
        gateway.post(call(era, "docs.limited", arguments), None, era).does_not_hold()
    gateway.post(call(era, "docs.guests"), None, era).forwarded()
    gateway.post(call(era, "docs.guests"), tokens.support(), era).does_not_hold()
    gateway.post(call(era, "docs.members"), None, era).does_not_hold()
    gateway.post(call(era, "docs.members"), tokens.support(), era).forwarded()


@ERAS
def b26_a_tool_that_no_role_allows_is_unknown(through: Through, era: str) -> None:
    for tool in ("nope", "hr.fire", "crm_get_customer"):
        unknown_tool(through("crm").post(call(era, tool), None, era), tool)
    unknown_tool(through("denying").post(call(era, "docs.secret"), None, era), "docs.secret")


@ERAS
def b26_a_tool_denied_to_every_role_is_unknown(gateway: Gateway, era: str) -> None:
    """A role allows `crm.*` and denies `crm.purge`: no sign-in would help."""
    unknown_tool(gateway.post(call(era, "crm.purge"), None, era), "crm.purge")


@ERAS
def test_visible_refusals_ask_in_the_same_way(through: Through, era: str) -> None:
    asked_to_sign_in(through("visible").post(call(era, "crm.get_customer"), None, era), era, SCOPE)
    through("visible").post(call(era, "nope"), None, era).refused({LEGACY: 200, MODERN: 403}[era], 403, "blocked")


OTHERS = [
    ("prompts/get", {"name": "customer_summary"}),
    ("prompts/get", {"name": "nobody_has_this"}),
    ("resources/read", {"uri": "crm://public/faq"}),
    ("resources/read", {"uri": "crm://nobody/has/this"}),
]


@ERAS
@pytest.mark.parametrize("method, params", OTHERS)
def test_prompts_and_resources_ask_with_a_401(
    gateway: Gateway, era: str, method: str, params: dict[str, str]
) -> None:
    asked_with_401(gateway.post(message(era, method, params), None, era), SCOPE)


@ERAS
def test_anonymous_prompts_and_resources_pass(gateway: Gateway, era: str) -> None:
    prompt = message(era, "prompts/get", {"name": "help_me", "arguments": {"tone": "x", "user_id": "user-bob"}})
    received = gateway.post(prompt, None, era, SPOOFED).forwarded()
    assert received.arguments == {"tone": "x"}
    is_nobodys(received)
    read = message(era, "resources/read", {"uri": "docs://guide"})
    is_nobodys(gateway.post(read, None, era, SPOOFED).forwarded(encoded(read)))


WRONG = {**SIGNATURES, **CLAIMS, **AUDIENCES}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def b38_a_wrong_token_is_refused_and_not_anonymous(gateway: Gateway, wrong: Callable[[], str]) -> None:
    exchange = gateway.post(call(LEGACY, "docs.find"), wrong()).refused({400, 401})
    assert exchange.status == 400 or "www-authenticate" in dict(exchange.response.headers)


@CLIENTS
@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic dTpw", "bearer x y", "null", "undefined", "Bearer null"])
def b38_a_malformed_authorization_is_refused_and_not_anonymous(gateway: Gateway, value: str, http2: bool) -> None:
    headers: list[tuple[Text, Text]] = [("authorization", value)]
    gateway.post(call(LEGACY, "docs.find"), None, LEGACY, headers, http2=http2).refused(401)
    # An empty one Envoy forgets when there is another.
    headers = [("authorization", value or "x"), ("authorization", f"Bearer {tokens.support()}")]
    gateway.post(call(LEGACY, "docs.find"), None, LEGACY, headers, http2=http2).refused({400, 401})


def test_a_signed_in_user_may_use_anonymous_tools(gateway: Gateway) -> None:
    """Without a role, without the scope, and as themselves."""
    stranger = tokens.token("stranger", scope="other")
    received = gateway.post(call(LEGACY, "docs.find", {"user_id": "user-bob"}), stranger, headers=SPOOFED).forwarded()
    assert received.arguments == {"user_id": tokens.USER}
    assert received.header("x-mcp-user") == tokens.USER
    gateway.post(message(LEGACY, "prompts/get", {"name": "help_me"}), stranger).forwarded()
    gateway.post(message(LEGACY, "resources/read", {"uri": "docs://guide"}), stranger).forwarded()
    # They did sign in, so it would not help.
    unknown_tool(gateway.post(call(LEGACY, "crm.get_customer"), tokens.token("stranger")), "crm.get_customer")


@ERAS
def test_a_signed_in_user_without_roles_may_connect(gateway: Gateway, era: str) -> None:
    """A signed-in user without access may connect and list, like an anonymous caller."""
    stranger = tokens.token("stranger", scope="other")
    methods = [method for each, method in OPENING if each == era]
    for method in methods:
        gateway.post(message(era, method), stranger, era).forwarded()


def test_an_empty_section_allows_only_to_connect(through: Through) -> None:
    gateway = through("nothing")
    gateway.post(rpc("tools/list"), None).forwarded()
    asked_to_sign_in(gateway.post(call(LEGACY, "crm.get_customer"), None), LEGACY, SCOPE)
    unknown_tool(gateway.post(call(LEGACY, "docs.find"), None), "docs.find")


def test_without_the_section_anonymous_clients_are_refused(through: Through) -> None:
    for body in (rpc("initialize"), rpc("tools/list"), rpc("ping"), call(LEGACY, "docs.find")):
        exchange = through("no_section").post(body, None).refused(401, 401, "needs_review")
        assert exchange.record["reason"] == "no_token"
    through("no_section").get().refused(401)


@ERAS
def test_in_observe_mode_no_client_is_asked_to_sign_in(through: Through, era: str) -> None:
    body = call(era, "crm.get_customer", {"user_id": "user-bob"})
    exchange = through("observe").post(body, None, era, SPOOFED)
    assert exchange.received.body == encoded(body)
    assert (exchange.record["decision"], exchange.record["reason"]) == ("draft", "sign_in_needed")


@pytest.mark.parametrize("tool", ["docs.find", "crm.get_customer"])
def b09_a_call_without_an_id_is_refused(gateway: Gateway, tool: str) -> None:
    body = {key: value for key, value in call(LEGACY, tool).items() if key != "id"}
    gateway.post(body, None).refused(400, -32601)
