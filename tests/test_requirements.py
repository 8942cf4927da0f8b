"""Requirements of MCP that no other test shows: see docs/conformance.md."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import client, client_h2, tokens
from .harness.answers import event, event_stream, raw_stream, result
from .harness.client import Connection, Request
from .harness.gateway import Gateway
from .harness.handles import SERVERS, SESSION_HEADER, TASK, Sealed, begin, ping
from .harness.messages import LEGACY, META, MODERN, HeaderList, call, message, post, rpc
from .harness.tasks import TASKS
from .harness.upstream import Upstream
from .harness.waiting import eventually
from .harness.variants import CLIENTS, ERAS

LISTENERS = SERVERS

CALL = call(MODERN, "crm.get_customer", {"query": "x"})
LISTEN = message(MODERN, "subscriptions/listen", {"notifications": {"toolsListChanged": True}})
PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1}}

# Requests of 2026-07-28 whose answers may be streams: one that is looked at, and one that is not.
STREAMED = pytest.mark.parametrize("body", [CALL, LISTEN], ids=["tools/call", "subscriptions/listen"])


def begin_stream(connection: Connection | client_h2.Connection, request: Request) -> int:
    """Send a request; the number of its stream in HTTP/2."""
    if isinstance(connection, client_h2.Connection):
        return connection.start(request)
    connection.start(request)
    connection.send(request.body or b"")
    return 0


@STREAMED
@CLIENTS
def test_a_stream_the_client_closes_is_closed_at_the_server(
    gateway: Gateway, upstream: Upstream, body: dict[str, Any], http2: bool
) -> None:
    """To the server, that cancels the request (2026-07-28 "Cancellation")."""
    upstream.answer = event_stream(PROGRESS).with_(endless=True)
    with (client_h2 if http2 else client).Connection(gateway.port) as connection:
        stream = begin_stream(connection, post(body, tokens.support(), MODERN))
        upstream.wait_for(1)
        gateway.wait_for_arrival()
        peer = upstream.peers[upstream.recording.requests[0].connection]
        assert not peer.closed
        if isinstance(connection, client_h2.Connection):
            connection.reset(stream)
            eventually(lambda: peer.closed, "the server's side of the stream is closed")
    eventually(lambda: peer.closed, "the server's side of the stream is closed")
    gateway.lines(1)


@STREAMED
def test_events_comments_and_hints_for_proxies_pass_at_once(
    gateway: Gateway, upstream: Upstream, body: dict[str, Any]
) -> None:
    """Also while the stream goes on, and event by event (2026-07-28 "Receiving Messages")."""
    kept = [b": keep-alive\r\n\r\n", event(PROGRESS), b":\r\n\r\n"]
    answer = raw_stream(*kept).with_(endless=True)
    upstream.answer = answer.with_(headers=[*answer.headers, ("X-Accel-Buffering", "no")])
    with Connection(gateway.port) as connection:
        begin_stream(connection, post(body, tokens.support(), MODERN))
        response = connection.response_head()
        assert response.header("x-accel-buffering") == "no"
        assert response.header("content-type") == "text/event-stream"
        for each in kept:
            assert connection.read_until(each).endswith(each)
        assert not gateway.logged()
    gateway.lines(1)


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_session_without_a_token_is_refused(sealed: Sealed, method: str) -> None:
    """Its owner's session does not stand in for a token (2025-11-25 "Session Hijacking")."""
    gateway, token = sealed("crm"), tokens.support()
    session: HeaderList = [(SESSION_HEADER, begin(gateway, token))]
    ping(gateway, method, "bad", session).refused(401, None, "needs_review")
    request = post(rpc("ping"), None, headers=session)
    if method != "POST":
        request.method, request.body = method, None
    gateway.send(request).refused(401, None, "needs_review")


def test_a_session_id_is_visible_ascii(sealed: Sealed) -> None:
    gateway = sealed("crm")
    for server_side in ("PRIVATE-VALUE", "PRIVATE-VALUE !~\t'\"", "PRIVATE-VALUE" * 50):
        held = begin(gateway, tokens.support(), server_side)
        assert all("!" <= letter <= "~" for letter in held)


@pytest.mark.parametrize("version", ["2099-01-01", "2024-10-07", "latest", "2025-11-25, 2025-11-25"])
def test_an_unknown_version_is_a_400_in_every_era(gateway: Gateway, version: str) -> None:
    body = call(LEGACY, "crm.get_customer", {"query": "x"})
    headers = [("mcp-protocol-version", version)]
    exchange = gateway.post(body, tokens.support(), headers=headers, drop=("mcp-protocol-version",))
    exchange.refused(400, -32022, "blocked")


@ERAS
@pytest.mark.parametrize("id", ["a-1", "", 0, -7, 2**70])
def test_a_refusal_has_the_id_of_its_request(gateway: Gateway, era: str, id: str | int) -> None:
    body = message(era, "tools/call", {"name": "crm.purge"}, id)
    refused = gateway.post(body, tokens.support(), era).refused(200, -32602, "blocked")
    assert refused.response.json["id"] == id


def test_refused_notifications_and_responses_get_an_error_status(gateway: Gateway) -> None:
    """Notifications and responses of the client get no body that a client would read (2025-11-25 "Sending Messages")."""
    refused = [
        {"jsonrpc": "2.0", "method": "notifications/x"},
        result({"_meta": {f"{META}related-task": {"taskId": "x"}}}),
    ]
    for body in refused:
        gateway.post(body, tokens.support()).refused(400, None, "blocked")


@pytest.mark.parametrize("method", ["resources/read", "resources/subscribe"])
def test_a_denied_resource_is_not_found(gateway: Gateway, method: str) -> None:
    """With the code of the version: 2026-07-28 forbids the earlier one ("Error Codes")."""
    for era, code in ((LEGACY, -32002), (MODERN, -32602)):
        if (era, method) == (MODERN, "resources/subscribe"):
            continue
        body = message(era, method, {"uri": "crm://vault/1"})
        gateway.post(body, tokens.support(), era).refused(200, code, "blocked")


ABOUT_TASKS = {
    "tasks/get": {"taskId": TASK},
    "tasks/update": {"taskId": TASK, "inputResponses": {}},
    "tasks/cancel": {"taskId": TASK},
    "subscriptions/listen": {"notifications": {"taskIds": [TASK]}},
}


@pytest.mark.parametrize("method", ABOUT_TASKS)
def test_a_client_that_did_not_declare_tasks_is_told_to(gateway: Gateway, method: str) -> None:
    body = message(MODERN, method, ABOUT_TASKS[method])
    headers = [("mcp-name", TASK)] if "taskId" in ABOUT_TASKS[method] else []
    exchange = gateway.post(body, tokens.support(), MODERN, headers)
    error = exchange.refused(400, -32021, "blocked").response.json["error"]
    assert error["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}


def test_header_names_have_any_case_and_values_space_around_them(gateway: Gateway) -> None:
    written: HeaderList = [
        ("MCP-PROTOCOL-VERSION", f" {MODERN} "),
        ("mCp-MeThOd", "\ttools/call"),
        ("MCP-Name", "  crm.get_customer\t"),
        ("MCP-PARAM-REGION", " eu "),
    ]
    dropped = ("mcp-protocol-version", "mcp-method", "mcp-name")
    received = gateway.post(CALL, tokens.support(), MODERN, written, dropped).forwarded(CALL)
    assert received.header("mcp-param-region") == "eu"


@CLIENTS
def test_excessive_headers_are_refused(gateway: Gateway, upstream: Upstream, http2: bool) -> None:
    """More than any tool mirrors, or more than Envoy reads (SEP-2243 "Security Implications")."""
    many: HeaderList = [(f"mcp-param-a{number}", "x") for number in range(33)]
    gateway.post(CALL, tokens.support(), MODERN, many, http2=http2).refused(400, -32020, "blocked")
    gateway.post(CALL, tokens.support(), MODERN, many[:32], http2=http2).forwarded(CALL)
    request = post(CALL, tokens.support(), MODERN, [("mcp-param-a", "x" * 70_000)])
    upstream.take()
    try:
        assert (client_h2 if http2 else client).send(gateway.port, request).status in (0, 431)
    finally:
        assert upstream.take().bytes == 0
        gateway.settle()
