"""Requests that the filter cannot inspect are refused."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest

from .harness import tokens
from .harness.answers import encoded
from .harness.client import Request
from .harness.envoy_config import Listener
from .harness.gateway import Gateway
from .harness.messages import LEGACY, MODERN, call, message, post, rpc
from .harness.policy import policy

MAX_BODY = 32 * 1024

LISTENERS = {
    "crm": Listener(policy(max_body="32KiB")),
    "upgradable": Listener(policy(), upgrades=("websocket",)),
    "elsewhere": Listener(policy(path="/tools/mcp")),
}

CALL = call(LEGACY, "crm.get_customer", {"query": "x"})


def padded(size: int, end: str = "") -> bytes:
    """The call as exactly `size` bytes, with `end` before its closing brackets."""
    frame = encoded(call(LEGACY, "crm.get_customer", {"query": "*"})).decode()
    frame = frame.removesuffix("}}") + end + "}}"
    return frame.replace("*", "x" * (size - len(frame) + 1)).encode()


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("chunked", [False, True], ids=["sized", "chunked"])
def b11_the_largest_body_is_forwarded_and_one_byte_more_is_not(
    gateway: Gateway, chunked: bool, http2: bool
) -> None:
    token = tokens.support()
    allowed, too_large = padded(MAX_BODY), padded(MAX_BODY + 1)
    gateway.post(allowed, token, chunked=chunked, http2=http2).forwarded(allowed)
    gateway.post(too_large, token, chunked=chunked, http2=http2).refused(413, None, "blocked")


@pytest.mark.parametrize("at", [4096, 8192, 16384, 32000])
def b11_text_after_a_long_prefix_is_read(gateway: Gateway, at: int) -> None:
    body = padded(at, ',"name":"crm.purge"')
    gateway.post(body, tokens.support()).refused(400, {-32700, -32600}, "blocked")


def b11_a_denied_name_behind_a_long_prefix_is_read(gateway: Gateway) -> None:
    arguments = "x" * 20_000
    body = f'{{"jsonrpc":"2.0","id":1,"params":{{"arguments":{{"q":"{arguments}"}},"name":"crm.purge"}},"method":"tools/call"}}'
    gateway.post(body.encode(), tokens.support()).refused(200, -32602, "blocked")


OTHER_TYPES = [
    "text/plain",
    "text/json",
    "application/json;",
    "application/json ;charset",
    "application/json; charset=iso-8859-1",
    "application/json; charset=utf-16",
    "application/json; charset=utf-8; charset=utf-16",
    "application/json; boundary=x",
    "application/json, text/plain",
    "text/plain, application/json",
    "application/json-rpc",
    "application/vnd.api+json",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "*/*",
    "application/*",
    "json",
    "",
]

# A parameter list that is empty says nothing else than none.
HARMLESS = {"application/json;"}


@pytest.mark.parametrize("content_type", OTHER_TYPES)
def b12_bodies_that_are_not_labelled_json(gateway: Gateway, content_type: str) -> None:
    headers = [("content-type", content_type)]
    exchange = gateway.post(CALL, tokens.support(), headers=headers, drop=("content-type",))
    if content_type in HARMLESS and exchange.status == 200:
        assert exchange.forwarded(CALL).header("content-type") == "application/json"
    else:
        exchange.refused(415, None, "blocked")


def b12_a_missing_content_type(gateway: Gateway) -> None:
    gateway.post(CALL, tokens.support(), drop=("content-type",)).refused(415, None, "blocked")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'application/json; charset="utf-8"',
        " application/json ",
    ],
)
def b12_json_however_it_is_spelled_reaches_the_server_under_one_name(
    gateway: Gateway, content_type: str
) -> None:
    headers = [("Content-Type", content_type)]
    exchange = gateway.post(CALL, tokens.support(), headers=headers, drop=("content-type",))
    assert exchange.forwarded(encoded(CALL)).header("content-type") == "application/json"


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "br", "zstd", "identity, gzip", "x", "identity,identity"])
def b12_encoded_bodies(gateway: Gateway, coding: str) -> None:
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}.get(coding.lower(), bytes)(encoded(CALL))
    headers = [("content-encoding", coding)]
    gateway.post(packed, tokens.support(), headers=headers, like=CALL).refused(415, None, "blocked")


def b12_the_identity_coding_is_no_coding(gateway: Gateway) -> None:
    headers = [("content-encoding", "identity")]
    gateway.post(CALL, tokens.support(), headers=headers).forwarded(encoded(CALL))


@pytest.mark.parametrize("method", ["GET", "POST"])
def b12_protocol_upgrades(through: Callable[[str], Gateway], method: str) -> None:
    headers = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ]
    exchange = through("upgradable").bodyless(method, token=tokens.support(), headers=headers)
    assert 400 <= exchange.status < 500
    exchange.refused(exchange.status, None, "blocked")


NOT_MCP = [
    Request("POST", "/mcp", [("content-type", "text/plain")], b"hello"),
    Request("POST", "/mcp", [("content-type", "application/json")], b"{}"),
    Request("POST", "/mcp", [], b""),
    Request("POST", "/mcp", [("content-type", "application/grpc")], b"\0\0\0\0\0"),
    Request("GET", "/mcp", [("accept", "text/html")]),
    Request("GET", "/", []),
    Request("POST", "/admin", [("content-type", "application/json")], b"{}"),
    Request("GET", "/healthz", []),
    Request("OPTIONS", "/mcp", [("origin", "https://crm.example.com")]),
    Request("PUT", "/mcp", [("content-type", "application/json")], encoded(CALL)),
]


def is_grpc(request: Request) -> bool:
    """Whether Envoy takes this for gRPC."""
    return ("content-type", "application/grpc") in request.headers


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("request_", NOT_MCP, ids=lambda each: f"{each.method} {each.path}")
def b13_requests_that_are_not_mcp_are_refused(
    gateway: Gateway, request_: Request, http2: bool
) -> None:
    exchange = gateway.send(request_, http2)
    # Envoy translates a refusal for what claims to be gRPC: status 200, grpc-status 16.
    statuses = {400, 401, 404, 405, 415} | ({200} if is_grpc(request_) else set())
    exchange.refused(statuses)
    if (request_.method, request_.path) == ("GET", "/mcp"):
        return
    authorized = [*request_.headers, ("authorization", f"Bearer {tokens.manager()}")]
    with_token = Request(request_.method, request_.path, authorized, request_.body)
    gateway.send(with_token, http2).refused(statuses - {401})


PATHS = [
    "/",
    "/mcp/",
    "/mcp/x",
    "//mcp",
    "/mcp//",
    "/mcp;x",
    "/mcp;x=1",
    "/mcp%2f",
    "/mcp%00",
    "/mcp%20",
    "/%6dcp",
    "/%6Dcp",
    "/mc%70",
    "/MCP",
    "/Mcp",
    "/./mcp",
    "/x/../mcp",
    "/mcp/.",
    "/mcp/..",
    "/mcp/../mcp",
    "/%2e/mcp",
    "/x/%2e%2e/mcp",
    "/mcp\\",
    "/mcp.json",
    "/mcp&x",
    "/sse",
    "/messages",
    "/.well-known/oauth-protected-resource/other",
    "/.well-known/oauth-protected-resource/mcp/x",
    "/.well-known/oauth-protected-resource/../../mcp",
    "/.well-known/oauth-protected-resource%2fmcp",
    "/.well-known/../mcp",
    "/.Well-Known/oauth-protected-resource",
]


@pytest.mark.parametrize("path", PATHS)
def b14_paths_that_are_not_the_resource(gateway: Gateway, path: str) -> None:
    token = tokens.manager()
    request = post(CALL, token)
    request.path = path
    gateway.send(request).refused({400, 404}, None, "blocked")
    gateway.get(path, token).refused({400, 404}, None, "blocked")


@pytest.mark.parametrize("query", ["?", "?x=1", "?access_token=PRIVATE-VALUE", "?/mcp", "?%00"])
def b14_queries_on_the_resource(gateway: Gateway, query: str) -> None:
    request = post(CALL, tokens.support())
    request.path = f"/mcp{query}"
    gateway.send(request).refused(400, None, "blocked")
    gateway.get(f"/mcp{query}", tokens.support()).refused(400, None, "blocked")


def b14_only_the_policys_path_is_served(through: Callable[[str], Gateway]) -> None:
    gateway = through("elsewhere")
    request = post(CALL, tokens.support())
    gateway.send(request).refused(404, None, "blocked")
    request.path = "/tools/mcp"
    assert gateway.send(request).forwarded(encoded(CALL)).path == "/tools/mcp"


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "PROPFIND"])
def b15_other_methods(gateway: Gateway, method: str, http2: bool) -> None:
    headers = [("authorization", f"Bearer {tokens.manager()}")]
    gateway.send(Request(method, "/mcp", headers), http2).refused({400, 405}, None, "blocked")
    body = encoded(CALL)
    request = Request(method, "/mcp", [*headers, ("content-type", "application/json")], body)
    if method not in ("HEAD", "TRACE"):
        gateway.send(request, http2).refused(405, None, "blocked")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def b15_streams_and_session_ends_need_a_token(gateway: Gateway, method: str) -> None:
    gateway.bodyless(method).refused(401, None, "needs_review")
    exchange = gateway.bodyless(method, token=tokens.support())
    received = exchange.received
    assert (received.method, received.path) == (method, "/mcp")
    assert received.header("authorization") is None
    assert received.header("x-mcp-user") == tokens.USER
    assert exchange.record["decision"] == "approved"


def b15_a_resumed_stream_could_deliver_anybodys_answer(gateway: Gateway) -> None:
    headers = [("last-event-id", "17")]
    gateway.get(token=tokens.support(), headers=headers).refused(400, None, "blocked")


def b15_a_get_with_a_body_is_not_forwarded(gateway: Gateway) -> None:
    headers = [("authorization", f"Bearer {tokens.manager()}"), ("content-type", "application/json")]
    body = encoded(call(LEGACY, "crm.purge"))
    exchange = gateway.send(Request("GET", "/mcp", headers, body))
    exchange.refused({400, 405, 413}, None, "blocked")


UNKNOWN = [
    "tools/delete",
    "Tools/Call",
    "tools/call ",
    "tools/call/",
    "tools",
    "",
    "rpc.discover",
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
    "notifications/message",
    "resources/write",
    "prompts/delete",
]


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("method", UNKNOWN)
def b17_unknown_methods_are_refused(gateway: Gateway, era: str, method: str) -> None:
    body = message(era, method, {"name": "crm.get_customer"})
    gateway.post(body, tokens.manager(), era).refused(
        {LEGACY: {200}, MODERN: {400, 404}}[era], {-32601, -32600, -32020}, "blocked"
    )


OF_THE_OTHER_ERA = [
    (MODERN, "initialize"),
    (MODERN, "ping"),
    (MODERN, "logging/setLevel"),
    (MODERN, "resources/subscribe"),
    (LEGACY, "server/discover"),
    (LEGACY, "subscriptions/listen"),
]


@pytest.mark.parametrize("era, method", OF_THE_OTHER_ERA)
def b17_methods_of_the_other_era(gateway: Gateway, era: str, method: str) -> None:
    body = message(era, method, {"uri": "crm://public/faq"})
    # In earlier versions, a 404 would say that the session is over.
    gateway.post(body, tokens.manager(), era).refused({LEGACY: 200, MODERN: 404}[era], -32601, "blocked")


NOTIFICATIONS = ["tools/call", "notifications/message", "notifications/elicitation/complete", "x"]


@pytest.mark.parametrize("method", NOTIFICATIONS)
def b17_unknown_notifications_are_refused(gateway: Gateway, method: str) -> None:
    body = {"jsonrpc": "2.0", "method": method, "params": {"name": "crm.get_customer"}}
    gateway.post(body, tokens.manager()).refused({400, 404}, None, "blocked")


@pytest.mark.parametrize("method", ["notifications/initialized", "notifications/cancelled"])
def b17_notifications_of_the_protocol_are_forwarded(gateway: Gateway, method: str) -> None:
    body = {"jsonrpc": "2.0", "method": method, "params": {"requestId": 1}}
    gateway.post(body, tokens.support()).forwarded(encoded(body), 202)


@pytest.mark.parametrize("method", ["initialize", "ping", "logging/setLevel"])
def b17_legacy_session_methods_are_forwarded(gateway: Gateway, method: str) -> None:
    params = {"protocolVersion": LEGACY, "capabilities": {}, "level": "info"}
    body = rpc(method, params)
    gateway.post(body, tokens.support()).forwarded(encoded(body))


def b17_a_modern_client_may_not_post_answers(gateway: Gateway) -> None:
    body = {"jsonrpc": "2.0", "id": 5, "result": {"action": "accept"}}
    gateway.post(body, tokens.support(), MODERN).refused(400, None, "blocked")


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize(
    "reference, allowed",
    [
        ({"type": "ref/prompt", "name": "customer_summary"}, True),
        ({"type": "ref/prompt", "name": "secret_prompt"}, False),
        ({"type": "ref/resource", "uri": "crm://public/faq"}, True),
        ({"type": "ref/resource", "uri": "crm://vault/1"}, False),
        ({"type": "ref/prompt", "name": "customer_summary", "uri": "crm://vault/1"}, False),
        ({"type": "ref/other", "name": "customer_summary"}, False),
        ({"name": "customer_summary"}, False),
    ],
)
def b17_completions_are_judged_by_what_they_complete(
    gateway: Gateway, era: str, reference: dict[str, str], allowed: bool
) -> None:
    params = {"ref": reference, "argument": {"name": "city", "value": "B"}}
    body = message(era, "completion/complete", params)
    exchange = gateway.post(body, tokens.support(), era)
    if allowed:
        exchange.forwarded(encoded(body))
    else:
        exchange.refused({200, 400}, None, "blocked")


@pytest.mark.parametrize("method", ["resources/subscribe", "resources/unsubscribe", "resources/read"])
def b17_subscriptions_are_judged_by_their_resource(gateway: Gateway, method: str) -> None:
    body = rpc(method, {"uri": "crm://public/faq"})
    gateway.post(body, tokens.support()).forwarded(encoded(body))
    gateway.post(rpc(method, {"uri": "crm://org-b/1"}), tokens.support()).refused({200, 400}, None, "blocked")
    gateway.post(rpc(method), tokens.support()).refused({200, 400}, None, "blocked")


def b17_listening_is_judged_by_every_resource(gateway: Gateway) -> None:
    def listen(*uris: str) -> dict[str, object]:
        wanted = {"toolsListChanged": True, "resourceSubscriptions": list(uris)}
        return message(MODERN, "subscriptions/listen", {"notifications": wanted})

    body = listen("crm://public/faq")
    gateway.post(body, tokens.support(), MODERN).forwarded(encoded(body))
    body = listen("crm://public/faq", "crm://org-b/1")
    gateway.post(body, tokens.support(), MODERN).refused({200, 400}, None, "blocked")
