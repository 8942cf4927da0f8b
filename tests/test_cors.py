"""Requests of web pages: preflights, and the answers a page can read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .harness import client, tokens
from .harness.answers import Answer, event_stream, json_answer, listing, result
from .harness.client import Request
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.http import Response
from .harness.messages import LEGACY, MODERN, HeaderList, call, message, post
from .harness.policy import WELL_KNOWN, policy
from .harness.upstream import Upstream
from .harness.variants import CLIENTS

APP = "https://app.example.com"
EVIL = "https://evil.example"

LISTENERS = {
    "crm": Listener(policy(origins=[APP])),
    "buffer": Listener(policy(origins=[APP], hold="buffer_filter"), stop_iteration=False, buffer_filter=65536),
    "applications": Listener(
        policy(origins=["chrome-extension://abcdef", "vscode-webview://*"], origin_headers=["x-trace"])
    ),
    "observing": Listener(policy(origins=[APP], mode="observe")),
    "dead_server": Listener(policy(origins=[APP]), cluster="dead"),
}

ASKED = "authorization,content-type,mcp-param-org,mcp-protocol-version,x-mcp-user"
WIDE_OPEN = [
    ("access-control-allow-origin", "*"),
    ("Access-Control-Allow-Credentials", "true"),
    ("access-control-expose-headers", "x-secret"),
    ("vary", "accept"),
]


def preflight(origin: str, path: str = "/mcp", *more: tuple[str, str]) -> Request:
    """What a browser asks before it sends a call."""
    headers: HeaderList = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", ASKED),
    ]
    return Request("OPTIONS", path, [*headers, *more])


def cors(response: Response) -> dict[str, str]:
    """What an answer says to pages."""
    return {name: value for name, value in response.headers if name.startswith("access-control-")}


def is_readable(response: Response, origin: str = APP) -> None:
    """A page of this origin, and no other, gets to read it."""
    assert response.header("access-control-allow-origin") == origin
    assert response.header("access-control-allow-credentials") is None
    exposed = (response.header("access-control-expose-headers") or "").lower().split(", ")
    assert {"www-authenticate", "mcp-session-id", "dpop-nonce"} <= set(exposed)
    assert "x-secret" not in exposed
    assert "Origin" in (response.header("vary") or "").split(", ")


@CLIENTS
@pytest.mark.parametrize("origin", [APP, "https://crm.example.com"])
def b43_a_preflight_is_answered_without_token_and_server(
    gateway: Gateway, origin: str, http2: bool
) -> None:
    exchange = gateway.send(preflight(origin), http2)
    assert exchange.status == 204 and exchange.response.body == b""
    assert exchange.upstream.bytes == 0
    assert (exchange.record["decision"], exchange.record["reason"]) == ("approved", "preflight_answered")
    said = cors(exchange.response)
    assert int(said.pop("access-control-max-age")) > 0
    assert said == {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "POST, GET, DELETE",
        "access-control-allow-headers": "authorization, content-type, mcp-param-org, mcp-protocol-version",
    }
    assert exchange.response.header("vary") == "Origin"


REFUSED = {
    "other_origin": (preflight(EVIL), 403),
    "no_origin": (preflight("null"), 403),
    "prefix": (preflight(f"{APP}.evil.example"), 403),
    "another_scheme": (preflight("http://app.example.com"), 403),
    "another_port": (preflight(f"{APP}:8443"), 403),
    "two_origins": (preflight(APP, "/mcp", ("origin", EVIL)), 403),
    "another_path": (preflight(APP, "/admin"), 404),
    "with_query": (preflight(APP, "/mcp?x"), 400),
    "no_preflight": (Request("OPTIONS", "/mcp", [("origin", APP)]), 405),
    "not_asked_by_a_page": (Request("OPTIONS", "/mcp", [("access-control-request-method", "POST")]), 405),
}


@CLIENTS
@pytest.mark.parametrize("name", REFUSED)
def b43_other_preflights_are_refused(gateway: Gateway, name: str, http2: bool) -> None:
    request, status = REFUSED[name]
    exchange = gateway.send(request, http2).refused(status, None, "blocked")
    said = cors(exchange.response)
    assert "access-control-allow-methods" not in said
    assert "access-control-allow-headers" not in said
    if status == 403:
        assert said == {}
    # A token does not help.
    with_token = Request(request.method, request.path, [*request.headers, ("authorization", f"Bearer {tokens.manager()}")])
    gateway.send(with_token, http2).refused(status, None, "blocked")


REFUSALS = {
    "no_token": (post(call(LEGACY, "crm.get_customer"), None), 401),
    "bad_token": (post(call(LEGACY, "crm.get_customer"), "bad"), 401),
    "not_json": (post(b"not json", tokens.support()), 400),
    "denied": (post(call(LEGACY, "crm.purge"), tokens.support()), 200),
    "lacks_scope": (post(call(LEGACY, "crm.export"), tokens.manager()), 403),
    "too_large": (post(b"x" * 300_000, tokens.support()), 413),
    "method": (Request("PUT", "/mcp"), 405),
    "path": (Request("GET", "/other"), 404),
}


@CLIENTS
@pytest.mark.parametrize("name", REFUSALS)
def b43_listed_origins_can_read_refusals(gateway: Gateway, name: str, http2: bool) -> None:
    request, status = REFUSALS[name]

    def ask(origin: str | None) -> Exchange:
        own: HeaderList = [("origin", origin)] if origin else []
        changed = Request(request.method, request.path, [*request.headers, *own], request.body)
        return gateway.send(changed, http2)

    exchange = ask(APP).refused(status)
    is_readable(exchange.response)
    if status == 401:
        assert exchange.response.header("www-authenticate")
    assert cors(ask(None).refused(status).response) == {}
    assert cors(ask(EVIL).refused({403, 404}).response) == {}


LIST = message(LEGACY, "tools/list")
ANSWERS: dict[str, tuple[Request, Answer]] = {
    "call": (post(call(LEGACY, "crm.get_customer"), tokens.support()), json_answer(result({"content": []}))),
    "events": (post(call(LEGACY, "crm.get_customer"), tokens.support()), event_stream(result({"content": []}))),
    "list": (post(LIST, tokens.support()), json_answer(listing("tools", [{"name": "crm.purge"}]))),
    "list_as_it_came": (post(LIST, tokens.support()), json_answer(listing("tools", []))),
    "list_in_events": (post(LIST, tokens.support()), event_stream(listing("tools", [{"name": "crm.purge"}]))),
    "list_of_nonsense": (post(LIST, tokens.support()), json_answer(b"nonsense")),
    "list_in_text": (post(LIST, tokens.support()), json_answer(b"nonsense", 200, "text/plain")),
    "error": (post(LIST, tokens.support()), Answer(500, sized=True)),
    "notification": (
        post({"jsonrpc": "2.0", "method": "notifications/initialized"}, tokens.support()),
        Answer(202, sized=True),
    ),
    "stream": (Request("GET", "/mcp", [("authorization", f"Bearer {tokens.support()}")]), event_stream(result({}))),
    "end": (Request("DELETE", "/mcp", [("authorization", f"Bearer {tokens.support()}")]), Answer(204, sized=True)),
}


@CLIENTS
@pytest.mark.parametrize("listener", ["crm", "buffer"])
@pytest.mark.parametrize("name", ANSWERS)
def b43_cors_headers_of_the_server_are_removed(
    through: Callable[[str], Gateway], upstream: Upstream, listener: str, name: str, http2: bool
) -> None:
    request, answer = ANSWERS[name]
    upstream.answer = answer.with_(headers=[*answer.headers, *WIDE_OPEN])
    gateway = through(listener)
    exchange = gateway.send(request, http2)
    assert len(exchange.upstream.requests) == 1
    assert cors(exchange.response) == {}
    assert exchange.response.header("vary") == "accept"
    from_page = Request(request.method, request.path, [*request.headers, ("origin", APP)], request.body)
    exchange = gateway.send(from_page, http2)
    assert len(exchange.upstream.requests) == 1
    is_readable(exchange.response)
    assert exchange.response.header("vary") == "accept, Origin"
    assert b"crm.purge" not in exchange.response.body


def b43_requests_of_unlisted_origins_do_not_reach_the_server(gateway: Gateway) -> None:
    for body, era in ((call(LEGACY, "crm.get_customer"), LEGACY), (call(MODERN, "crm.get_customer"), MODERN)):
        exchange = gateway.post(body, tokens.support(), era, headers=[("origin", EVIL)])
        assert cors(exchange.refused(403, None, "blocked").response) == {}


def test_listed_origins_can_read_answers_of_envoy(through: Callable[[str], Gateway]) -> None:
    gateway = through("dead_server")
    body = call(LEGACY, "crm.get_customer")
    exchange = gateway.post(body, tokens.support(), headers=[("origin", APP)])
    assert exchange.status == 503
    is_readable(exchange.response)


@CLIENTS
@pytest.mark.parametrize("path", [WELL_KNOWN, f"{WELL_KNOWN}/mcp"])
def test_every_origin_can_read_the_metadata(gateway: Gateway, path: str, http2: bool) -> None:
    for origin in (APP, EVIL):
        exchange = gateway.send(preflight(origin, path), http2)
        assert (exchange.status, exchange.upstream.bytes) == (204, 0)
        assert exchange.response.header("access-control-allow-origin") == "*"
        allowed = exchange.response.header("access-control-allow-headers") or ""
        assert "mcp-protocol-version" in allowed.split(", ")
        asked = Request("GET", path, [("origin", origin), ("mcp-protocol-version", LEGACY)])
        exchange = gateway.send(asked, http2)
        assert exchange.status == 200
        assert exchange.response.header("access-control-allow-origin") == "*"
        assert exchange.response.header("access-control-allow-credentials") is None


def test_observe_mode_leaves_cors_to_the_server(through: Callable[[str], Gateway], upstream: Upstream) -> None:
    upstream.answer = Answer(204, WIDE_OPEN, sized=True)
    gateway = through("observing")
    for origin in (APP, EVIL):
        exchange = gateway.send(preflight(origin))
        assert exchange.received.method == "OPTIONS"
        assert exchange.response.header("access-control-allow-origin") == "*"
        assert exchange.record["decision"] == "draft"


def test_a_connection_goes_on_after_a_preflight(gateway: Gateway) -> None:
    with client.Connection(gateway.port) as connection:
        assert connection.request(preflight(APP)).status == 204
        assert connection.request(post(call(LEGACY, "crm.get_customer"), tokens.support())).status == 200
    gateway.lines(2)


@pytest.mark.parametrize("origin", ["chrome-extension://abcdef", "vscode-webview://1a2b-3c"])
def test_r7_extensions_and_applications_can_call(through: Callable[[str], Gateway], origin: str) -> None:
    gateway = through("applications")
    asked = [("access-control-request-headers", "x-trace,x-mcp-user")]
    request = Request("OPTIONS", "/mcp", [("origin", origin), ("access-control-request-method", "POST"), *asked])
    allowed = cors(gateway.send(request).response)
    assert allowed["access-control-allow-origin"] == origin
    assert allowed["access-control-allow-headers"] == "x-trace"
    answer = gateway.post(call(LEGACY, "crm.get_customer"), tokens.support(), headers=[("origin", origin)])
    is_readable(answer.response, origin)


@pytest.mark.parametrize("origin", ["chrome-extension://other", "vscode-webview://a/b", "vscode-webview://", "null"])
def test_r7_other_extensions_are_refused(through: Callable[[str], Gateway], origin: str) -> None:
    through("applications").send(preflight(origin)).refused(403, 403, "blocked")
