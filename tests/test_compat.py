"""The filter completes incomplete requests of clients, if the policy allows it."""

from __future__ import annotations

from typing import Any

import pytest

from .harness import tokens
from .harness.answers import default_answer, encoded, event_stream, json_answer, listing, result
from .harness.client import Request, send
from .harness.envoy import Envoy
from .harness.envoy_config import Listener
from .harness.gateway import Gateway, Through
from .harness.handles import INITIALIZE, TASK, Sealed
from .harness.http import Response, Text
from .harness.mcp_server import McpServer
from .harness.messages import LEGACY, META, MODERN, HeaderList, call, message, post, sentinel
from .harness.policy import policy
from .harness.tasks import asks, create
from .harness.upstream import Upstream
from .harness.variants import CLIENTS, ERAS

ACCEPT = {"missing_accept": True}
HEADERS = {"missing_mcp_headers": True}
BUFFERED: dict[str, Any] = {"stop_iteration": False, "buffer_filter": 1024 * 1024}
REGION = {"crm.get_customer": {"param_headers": {"region": "Region"}}}

OFFICIAL_SERVERS = True
LISTENERS = {
    "strict": Listener(policy()),
    "accept": Listener(policy(compat=ACCEPT)),
    "accept_http2": Listener(policy(compat=ACCEPT), "upstream_h2"),
    "accept_buffered": Listener(policy(compat=ACCEPT, hold="buffer_filter"), **BUFFERED),
    "accept_observe": Listener(policy(compat=ACCEPT, mode="observe")),
    "headers": Listener(policy(compat=HEADERS)),
    "headers_http2": Listener(policy(compat=HEADERS), "upstream_h2"),
    "headers_buffered": Listener(policy(compat=HEADERS, hold="buffer_filter"), **BUFFERED),
    "headers_observe": Listener(policy(compat=HEADERS, mode="observe")),
    "headers_region": Listener(policy(compat=HEADERS, tools=REGION)),
    "anonymous": Listener(policy(compat={**ACCEPT, **HEADERS}, anonymous={"tools": ["docs.*"]})),
    "real": Listener(policy(compat={**ACCEPT, **HEADERS}), "json_server"),
    "real_strict": Listener(policy(), "json_server"),
}

BOTH = "application/json, text/event-stream"
MCP_HEADERS = ("mcp-protocol-version", "mcp-method", "mcp-name")
CALL = call(MODERN, "crm.get_customer", {"query": "x"})


@pytest.fixture
def style() -> str:
    """How the official server answers here."""
    return "json"


def accepted(gateway: Gateway, era: str, *values: Text, **more: Any) -> list[str]:
    """What the server is told of what the client accepts."""
    headers: HeaderList = [("accept", value) for value in values]
    body = call(era, "crm.get_customer", {"query": "x"})
    exchange = gateway.post(body, tokens.support(), era, headers, drop=("accept",), **more)
    return exchange.forwarded(encoded(body)).all("accept")


INCOMPLETE = [[], [""], ["*/*"], ["application/json"], ["text/event-stream"], ["application/*", "text/*"], [b"\xff"]]
COMPLETE = [
    [BOTH],
    ["text/event-stream,application/json"],
    ["Application/JSON", "TEXT/event-stream"],
    ["application/json;q=0.9, text/event-stream;q=0.8, */*;q=0.1"],
]


@ERAS
@CLIENTS
@pytest.mark.parametrize("values", INCOMPLETE)
@pytest.mark.parametrize("listener", ["accept", "accept_http2", "accept_buffered"])
def test_an_accept_header_is_completed(
    through: Through, listener: str, values: list[Text], era: str, http2: bool
) -> None:
    assert accepted(through(listener), era, *values, http2=http2) == [BOTH]


@CLIENTS
@pytest.mark.parametrize("values", COMPLETE)
@pytest.mark.parametrize("listener", ["strict", "accept", "accept_buffered"])
def test_a_complete_accept_header_stays(through: Through, listener: str, values: list[Text], http2: bool) -> None:
    received = ",".join(accepted(through(listener), LEGACY, *values, http2=http2))
    assert received.replace(" ", "") == ",".join(map(str, values)).replace(" ", "")


@pytest.mark.parametrize("values", [[], ["*/*"], ["application/json"]])
def test_without_the_switch_an_accept_header_stays_as_it_is(through: Through, values: list[Text]) -> None:
    assert accepted(through("strict"), LEGACY, *values) == values
    body = call(LEGACY, "crm.get_customer")
    headers: HeaderList = [("accept", value) for value in values]
    observed = through("accept_observe").post(body, tokens.support(), headers=headers, drop=("accept",))
    assert observed.received.all("accept") == values


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("value", ["text/event-stream", "*/*"])
def test_other_methods_keep_their_accept_header(through: Through, method: str, value: str) -> None:
    """A GET asks for events and nothing else."""
    gateway, token = through("accept"), tokens.support()
    headers: HeaderList = [("authorization", f"Bearer {token}"), ("accept", value), ("mcp-protocol-version", LEGACY)]
    exchange = gateway.send(Request(method, headers=headers))
    assert exchange.forwarded(status=405).header("accept") == value


def test_the_answer_comes_as_the_server_gives_it(through: Through, upstream: Upstream) -> None:
    """The client that did not ask for events gets them."""
    upstream.answer = event_stream(result({"content": []}))
    exchange = through("accept").post(
        call(LEGACY, "crm.get_customer"), tokens.support(), headers=[("accept", "application/json")], drop=("accept",)
    )
    exchange.forwarded()
    assert exchange.response.body == b"".join(event_stream(result({"content": []})).chunks)


MISSING = [MCP_HEADERS, *[(name,) for name in MCP_HEADERS], MCP_HEADERS[1:], MCP_HEADERS[:2]]


@CLIENTS
@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("listener", ["headers", "headers_http2"])
def b07_missing_headers_are_made_from_the_body(
    through: Through, listener: str, missing: tuple[str, ...], http2: bool
) -> None:
    exchange = through(listener).post(CALL, tokens.support(), MODERN, drop=missing, http2=http2)
    received = exchange.forwarded(encoded(CALL))
    assert [received.header(name) for name in MCP_HEADERS] == [MODERN, "tools/call", "crm.get_customer"]
    through("strict").post(CALL, tokens.support(), MODERN, drop=missing, http2=http2).refused(400, -32020, "blocked")


def b07_a_made_header_is_encoded_as_the_protocol_requires(through: Through) -> None:
    body = message(MODERN, "resources/read", {"uri": "crm://public/f\u00e4q"})
    received = through("headers").post(body, tokens.support(), MODERN, drop=MCP_HEADERS).forwarded(encoded(body))
    assert received.header("mcp-name") == sentinel("crm://public/f\u00e4q")


def b07_methods_without_a_name_get_no_header_for_one(through: Through, upstream: Upstream) -> None:
    """And their lists are those of 2026-07-28."""
    upstream.answer = json_answer(listing("tools", [{"name": "crm.purge"}]))
    body = message(MODERN, "tools/list")
    exchange = through("headers").post(body, tokens.support(), MODERN, drop=MCP_HEADERS)
    received = exchange.forwarded(encoded(body))
    assert [received.header(name) for name in MCP_HEADERS] == [MODERN, "tools/list", None]
    assert exchange.response.json["result"] == {"cacheScope": "private", "tools": []}


def b24_a_made_header_names_the_task_as_the_server_knows_it(sealed: Sealed) -> None:
    gateway, token = sealed("headers"), tokens.support()
    held = create(gateway, token, MODERN)
    gateway.upstream.answer = default_answer
    exchange = gateway.post(asks(MODERN, "tasks/get", taskId=held), token, MODERN, drop=MCP_HEADERS)
    received = exchange.forwarded()
    assert received.json["params"]["taskId"] == TASK
    assert [received.header(name) for name in MCP_HEADERS] == [MODERN, "tasks/get", TASK]


LIES: list[tuple[str, Text]] = [
    ("mcp-protocol-version", LEGACY),
    ("mcp-protocol-version", "2025-06-18"),
    ("mcp-method", "tools/list"),
    ("mcp-method", ""),
    ("mcp-name", "crm.search_x"),
    ("mcp-name", ""),
    ("mcp-name", b"\xff"),
]


@pytest.mark.parametrize("listener", ["headers", "headers_buffered"])
@pytest.mark.parametrize("name, value", LIES)
def b07_a_header_that_is_there_has_to_agree(through: Through, listener: str, name: str, value: Text) -> None:
    """With any of the other headers missing."""
    for drop in (MCP_HEADERS, (name,)):
        exchange = through(listener).post(CALL, tokens.support(), MODERN, [(name, value)], drop=drop)
        exchange.refused(400, -32020, "blocked")


def b07_underscores_make_no_header(through: Through) -> None:
    headers: HeaderList = [("mcp_name", "crm.purge"), ("mcp_method", "tools/list")]
    exchange = through("headers").post(CALL, tokens.support(), MODERN, headers, drop=MCP_HEADERS)
    received = exchange.forwarded()
    assert received.header("mcp-name") == "crm.get_customer"
    assert not [name for name, _ in received.headers if name.startswith("mcp_")]


def b07_an_unknown_version_is_refused(through: Through) -> None:
    body = message(MODERN, "tools/list", {"_meta": {f"{META}protocolVersion": "2027-01-01"}})
    through("headers").post(body, tokens.support(), MODERN, drop=MCP_HEADERS).refused(400, {-32020, -32022}, "blocked")


@pytest.mark.parametrize("listener", ["headers", "headers_buffered"])
def b07_messages_of_earlier_versions_get_no_headers(through: Through, listener: str) -> None:
    body = call(LEGACY, "crm.get_customer", {"query": "x"})
    for headers in ([("mcp-name", "crm.purge"), ("mcp-method", "ping")], []):
        received = through(listener).post(body, tokens.support(), LEGACY, headers, drop=MCP_HEADERS).forwarded(encoded(body))
        assert not [name for name, _ in received.headers if name.startswith("mcp-")]


def test_a_denied_call_without_headers_is_answered_in_its_own_version(through: Through) -> None:
    purge = call(MODERN, "crm.purge")
    through("headers").post(purge, tokens.support(), MODERN, drop=MCP_HEADERS).refused(200, -32602, "blocked")
    unlisted = message(MODERN, "ping")
    through("headers").post(unlisted, tokens.support(), MODERN, drop=MCP_HEADERS).refused(404, -32601, "blocked")


@CLIENTS
def b19_a_buffer_filter_has_let_the_headers_go(through: Through, http2: bool) -> None:
    """They cannot be added any more, so a server that needs them would refuse the call later."""
    gateway = through("headers_buffered")
    gateway.post(CALL, tokens.support(), MODERN, drop=MCP_HEADERS, http2=http2).refused(500, -32603, "blocked")
    gateway.post(CALL, tokens.support(), MODERN, http2=http2).forwarded(encoded(CALL))


def test_in_observe_mode_no_header_is_made(through: Through) -> None:
    received = through("headers_observe").post(CALL, tokens.support(), MODERN, drop=MCP_HEADERS).received
    assert received.body == encoded(CALL)
    assert not [name for name, _ in received.headers if name.startswith("mcp-")]


def test_headers_of_declared_arguments_are_made_too(through: Through) -> None:
    body = call(MODERN, "crm.get_customer", {"region": "eu"})
    received = through("headers_region").post(body, tokens.support(), MODERN, drop=MCP_HEADERS).forwarded(encoded(body))
    assert received.header("mcp-param-region") == "eu"
    lie: HeaderList = [("mcp-param-region", "us")]
    through("headers_region").post(body, tokens.support(), MODERN, lie, drop=MCP_HEADERS).refused(400, -32020, "blocked")


def test_anonymous_callers_may_omit_headers_too(through: Through) -> None:
    body = call(MODERN, "docs.find", {"q": 1})
    received = through("anonymous").post(body, None, MODERN, drop=(*MCP_HEADERS, "accept")).forwarded(encoded(body))
    assert received.header("mcp-name") == "docs.find" and received.header("accept") == BOTH


# The official server: what it says to the same request directly, without the switches, and with them.


def ask(port: int, body: dict[str, Any], era: str, drop: tuple[str, ...]) -> Response:
    """A request that lacks some headers."""
    return send(port, post(body, tokens.support(), era, drop=drop))


@pytest.mark.parametrize("era", [LEGACY, MODERN])
def test_an_official_server_is_satisfied_with_the_accept_header(envoy: Envoy, server: McpServer, era: str) -> None:
    body = CALL if era == MODERN else INITIALIZE
    for port in (server.port, envoy.ports["real_strict"]):
        assert ask(port, body, era, ("accept",)).status == 406
    answer = ask(envoy.ports["real"], body, era, ("accept",))
    assert answer.status == 200 and "result" in answer.rpc()


@pytest.mark.parametrize("missing", MISSING)
def test_an_official_server_is_satisfied_with_the_made_headers(
    envoy: Envoy, server: McpServer, missing: tuple[str, ...]
) -> None:
    for port in (server.port, envoy.ports["real_strict"]):
        assert ask(port, CALL, MODERN, missing).status == 400
    answer = ask(envoy.ports["real"], CALL, MODERN, (*missing, "accept"))
    assert answer.status == 200 and not answer.rpc()["result"].get("isError")
    assert [called["query"] for called in server.calls] == ["x"]
