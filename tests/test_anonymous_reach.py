"""The limits of anonymous requests: other tools, prompts, resources and sealed ids stay closed to them."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import tokens
from .harness.anonymous import SCOPE, asked_to_sign_in, asked_with_401, mixed
from .harness.answers import encoded, json_answer, listing, result
from .harness.envoy_config import Listener
from .harness.gateway import Gateway, Through
from .harness.handles import (
    ERP,
    EVENT_HEADER,
    SESSION,
    SESSION_HEADER,
    STATE,
    TASK,
    Sealed,
    begin,
    ping,
)
from .harness.messages import LEGACY, MODERN, call, message, rpc
from .harness.policy import ROLES, fetched, policy
from .harness.tasks import OPERATIONS, about, asks, create, unknown
from .harness.upstream import Upstream
from .harness.variants import ERAS

DESK = "https://desk.example.com/mcp"
SERVERS = [
    mixed(),
    mixed(resource=ERP, path="/erp", anonymous={"tools": ["erp.*"]}),
    policy(resource=DESK, path="/desk"),
]

LISTENERS = {
    "crm": Listener(mixed()),
    "several": Listener({"policies": SERVERS}),
    "no_keys": Listener(mixed(issuers=[fetched("/", jwks={"cluster": "dead"})])),
    "everyone": Listener(mixed(roles={"*": {"prompts": ["*"], "resources": ["*"], "tools": ["*"]}, **ROLES})),
}

METHODS = pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
EVERYONE = pytest.mark.parametrize("listener", ["crm", "everyone"])


def completion(kind: str, key: str, name: str, argument: str = "page") -> dict[str, Any]:
    """What a completion is asked for."""
    return {"ref": {"type": f"ref/{kind}", key: name}, "argument": {"name": argument, "value": ""}}


HIDDEN_REFERENCES = [
    completion("prompt", "name", "customer_summary"),
    completion("resource", "uri", "crm://public/faq"),
    completion("resource", "uri", "crm://public/{page}"),
    completion("resource", "uri", "crm://{organization}/{page}"),
]


@ERAS
@EVERYONE
@pytest.mark.parametrize("params", HIDDEN_REFERENCES)
def b26_completions_of_protected_items_need_a_sign_in(
    through: Through, listener: str, era: str, params: dict[str, Any]
) -> None:
    asked_with_401(through(listener).post(message(era, "completion/complete", params), None, era), SCOPE)


@ERAS
def b26_completions_of_anonymous_items_pass(gateway: Gateway, era: str) -> None:
    for params in (completion("prompt", "name", "help_me"), completion("resource", "uri", "docs://{page}")):
        body = message(era, "completion/complete", params)
        gateway.post(body, None, era).forwarded(encoded(body))
    # They name users, and an anonymous caller is none.
    users = completion("prompt", "name", "help_me", "user_id")
    gateway.post(message(era, "completion/complete", users), None, era).refused(200, -32602, "blocked")


@EVERYONE
@pytest.mark.parametrize("method", ["resources/read", "resources/subscribe", "resources/unsubscribe"])
@pytest.mark.parametrize("uri", ["crm://public/faq", "crm://org-a/1", "file:///etc/passwd", "docs:/guide", "doc://x"])
def b26_resources_of_organizations_need_a_sign_in(through: Through, listener: str, method: str, uri: str) -> None:
    asked_with_401(through(listener).post(rpc(method, {"uri": uri}), None), SCOPE)


ODD_URIS = ["docs://../crm://public", "docs://a/../../x", "docs://%2e%2e/x", "docs://x\\..\\y", "DOCS://x"]


@ERAS
@pytest.mark.parametrize("uri", ODD_URIS)
def b28_unusual_uris_allow_no_more_resources(gateway: Gateway, era: str, uri: str) -> None:
    exchange = gateway.post(message(era, "resources/read", {"uri": uri}), None, era)
    exchange.refused({200, 401})
    assert exchange.record["reason"] in {"odd_uri", "sign_in"}


OTHER_NAMES = ["DOCS.find", " docs.find", "docs", "xdocs.find", "docs_find", "d\u043ecs.find", "crm.searchx"]


@pytest.mark.parametrize("tool", OTHER_NAMES)
def b08_names_similar_to_anonymous_tools_are_refused(through: Through, tool: str) -> None:
    exchange = through("crm").post(call(LEGACY, tool), None).refused(200)
    assert exchange.record["reason"] in {"no_role", "sign_in"}
    asked_to_sign_in(through("everyone").post(call(LEGACY, tool), None), LEGACY, SCOPE)


def listen(**notifications: Any) -> dict[str, Any]:
    """A subscription."""
    return asks(MODERN, "subscriptions/listen", notifications=notifications)


def b26_subscriptions_to_protected_resources_need_a_sign_in(sealed: Sealed) -> None:
    gateway = sealed("crm")
    open_ = listen(toolsListChanged=True, resourceSubscriptions=["docs://guide"])
    received = gateway.post(open_, None, MODERN).forwarded()
    assert received.json["params"]["notifications"] == open_["params"]["notifications"]
    for uris in (["crm://public/faq"], ["docs://guide", "crm://public/faq"]):
        asked_with_401(gateway.post(listen(resourceSubscriptions=uris), None, MODERN), SCOPE)
    held = create(gateway, tokens.support(), MODERN, "crm.search_x")
    for task in (held, TASK):
        unknown(gateway.post(listen(taskIds=[task]), None, MODERN))


UNLISTED = [
    (LEGACY, "tasks/list"),
    (MODERN, "tasks/list"),
    (MODERN, "initialize"),
    (MODERN, "resources/subscribe"),
    (LEGACY, "subscriptions/listen"),
    (LEGACY, "sampling/createMessage"),
    (LEGACY, "roots/list"),
    (LEGACY, "elicitation/create"),
    (LEGACY, "tools/Call"),
    (LEGACY, "x/y"),
]


@pytest.mark.parametrize("era, method", UNLISTED)
def b17_unknown_methods_are_refused_without_a_token(gateway: Gateway, era: str, method: str) -> None:
    params = {"name": "docs.find", "uri": "docs://guide"}
    gateway.post(message(era, method, params), None, era).refused({200, 404}, -32601)


BODIES: dict[str, bytes] = {
    "batch": encoded([call(LEGACY, "docs.find")]),
    "batch_of_two": encoded([call(LEGACY, "docs.find"), call(LEGACY, "crm.get_customer", id=2)]),
    "two_documents": encoded(call(LEGACY, "docs.find")) * 2,
    "two_names": encoded(call(LEGACY, "docs.find")).replace(b'"name":', b'"name":"crm.get_customer","name":', 1),
    "look_alike_name": encoded(call(LEGACY, "docs.find")).replace(b'"name":', b'"Name":"crm.get_customer","name":', 1),
    "two_methods": encoded(call(LEGACY, "docs.find")).replace(b'"method":', b'"method":"ping","method":', 1),
    "nothing": b"",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def b05_ambiguous_bodies_are_refused_without_a_token(gateway: Gateway, body: bytes) -> None:
    gateway.post(body, None).refused(400)


@pytest.mark.parametrize("path", ["/mcp?access_token=", "/mcp/", "//mcp", "/other"])
def b14_other_paths_are_refused_without_a_token(gateway: Gateway, path: str) -> None:
    target = path + tokens.support() if path.endswith("=") else path
    gateway.post(call(LEGACY, "docs.find"), None, path=target).refused({400, 404})


@pytest.mark.parametrize("name", ["x-authorization", "x-access-token", "proxy-authorization", "cookie"])
def b22_a_token_outside_the_authorization_header_is_ignored(gateway: Gateway, name: str) -> None:
    headers = [(name, f"Bearer {tokens.manager()}")]
    asked_to_sign_in(gateway.post(call(LEGACY, "crm.get_customer"), None, headers=headers), LEGACY, SCOPE)
    received = gateway.post(call(LEGACY, "docs.find"), None, headers=headers).forwarded()
    assert received.header("x-mcp-user") is None


def b43_a_page_of_another_origin_is_refused(gateway: Gateway) -> None:
    headers = [("origin", "https://attacker.example")]
    gateway.post(call(LEGACY, "docs.find"), None, headers=headers).refused(403)
    gateway.get(headers=headers).refused(403)


@METHODS
def b24_an_anonymous_session_is_unknown_to_users(sealed: Sealed, method: str) -> None:
    gateway = sealed("crm")
    held = begin(gateway, None)
    session = [(SESSION_HEADER, held)]
    served = ping(gateway, method, None, session).forwarded(status=200 if method == "POST" else 405)
    assert served.header(SESSION_HEADER) == SESSION
    # The client signed in meanwhile: it has to initialize again.
    ping(gateway, method, tokens.support(), session).refused(404, -32001, "blocked")


@METHODS
def b24_a_users_session_is_unknown_to_anonymous_callers(sealed: Sealed, method: str) -> None:
    gateway = sealed("crm")
    held = begin(gateway, tokens.support())
    for session in (held, SESSION, ""):
        ping(gateway, method, None, [(SESSION_HEADER, session)]).refused(404, -32001, "blocked")


def b24_a_users_events_are_unknown_to_anonymous_callers(sealed: Sealed) -> None:
    gateway = sealed("crm")
    for event in (begin(gateway, tokens.support()), "1", ""):
        ping(gateway, "GET", None, [(EVENT_HEADER, event)]).refused(400)


@OPERATIONS
def b24_an_anonymous_task_is_unknown_to_users(sealed: Sealed, era: str, method: str) -> None:
    gateway = sealed("crm")
    held = create(gateway, None, era, "crm.search_x")
    assert about(gateway, None, era, method, held).forwarded().json["params"]["taskId"] == TASK
    unknown(about(gateway, tokens.support(), era, method, held))


@OPERATIONS
def b24_a_users_task_is_unknown_to_anonymous_callers(sealed: Sealed, era: str, method: str) -> None:
    """Also if the tool is anonymous."""
    gateway = sealed("crm")
    held = create(gateway, tokens.support(), era, "crm.search_x")
    for task in (held, TASK, "1"):
        unknown(about(gateway, None, era, method, task))


def b24_a_users_request_state_is_unknown_to_anonymous_callers(sealed: Sealed) -> None:
    gateway = sealed("crm")
    held: dict[str | None, str] = {}
    for token in (tokens.support(), None):
        gateway.upstream.answer = json_answer(result({"resultType": "input_required", "requestState": STATE}))
        exchange = gateway.post(call(MODERN, "crm.search_x"), token, MODERN)
        held[token] = gateway.hold(exchange.response.json["result"]["requestState"])
    for owner in held:
        for token, state in held.items():
            retry = gateway.post(call(MODERN, "crm.search_x", requestState=state), owner, MODERN)
            if token == owner:
                assert retry.forwarded().json["params"]["requestState"] == STATE
            else:
                retry.refused(200, -32602, "blocked")


def b28_identity_in_anonymous_answers_to_elicitation_is_refused(sealed: Sealed) -> None:
    """An anonymous caller answers in its session, without arguments that identify a user."""
    gateway = sealed("crm")
    held = begin(gateway, None)
    content = {"action": "accept", "content": {"user_id": "user-bob", "note": "x"}}
    answer = {"jsonrpc": "2.0", "id": 7, "result": content}
    exchange = gateway.post(answer, None, headers=[(SESSION_HEADER, held)])
    received = exchange.forwarded(status=202)
    assert received.json["result"] == {"action": "accept", "content": {"note": "x"}}


def b39_anonymous_tools_of_one_server_are_not_anonymous_at_another(sealed: Sealed) -> None:
    gateway = sealed("several")
    docs = call(LEGACY, "docs.find")
    gateway.post(docs, None).forwarded(encoded(docs))
    at_erp, at_desk = [("host", "erp.example.com")], [("host", "desk.example.com")]
    gateway.post(docs, None, headers=at_erp, path="/erp").refused(200, -32602, "blocked")
    gateway.post(docs, None, headers=at_desk, path="/desk").refused(401, 401, "needs_review")
    session = [(SESSION_HEADER, begin(gateway, None))]
    gateway.post(docs, None, headers=session).forwarded()
    gateway.post(call(LEGACY, "erp.find"), None, path="/erp", headers=[*session, *at_erp]).refused(404, -32001, "blocked")


def b40_anonymous_requests_do_not_wait_for_keys(through: Through) -> None:
    """A token cannot be checked, and does not become none."""
    through("no_keys").post(call(LEGACY, "docs.find"), None).forwarded()
    asked_to_sign_in(through("no_keys").post(call(LEGACY, "crm.get_customer"), None), LEGACY, SCOPE)
    through("no_keys").post(call(LEGACY, "docs.find"), tokens.support()).refused(503)


LISTED = {
    "prompts/list": ("prompts", "name", ["help_me"], ["customer_summary", "secret_prompt"]),
    "resources/list": ("resources", "uri", ["docs://guide"], ["crm://public/faq", "crm://org-a/1"]),
    "resources/templates/list": (
        "resourceTemplates",
        "uriTemplate",
        ["docs://{page}"],
        ["crm://public/{page}", "crm://{organization}/{page}"],
    ),
}


@ERAS
@EVERYONE
@pytest.mark.parametrize("method", LISTED)
def b26_lists_show_anonymous_items_only(
    through: Through, upstream: Upstream, listener: str, era: str, method: str
) -> None:
    member, key, shown, hidden = LISTED[method]
    upstream.answer = json_answer(listing(member, [{key: name} for name in hidden + shown]))
    exchange = through(listener).post(message(era, method), None, era)
    answered = exchange.response.json["result"]
    assert answered[member] == [{key: name} for name in shown]
    assert answered.get("cacheScope") == ("private" if era == MODERN else None)
