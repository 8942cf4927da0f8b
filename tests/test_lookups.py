"""Records whose owner is looked up before a call: the server executes nothing for a record of another owner."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from mcp import Client

from .harness import tokens
from .harness.answers import (
    PROGRESS,
    Answer,
    encoded,
    event,
    event_stream,
    json_answer,
    raw_stream,
    result,
)
from .harness.client import Connection, send
from .harness.envoy import Envoy, binary
from .harness.envoy_config import Cluster, Listener
from .harness.gateway import Exchange, Gateway
from .harness.handles import SESSION, SESSION_HEADER, HandleGateway, begin
from .harness.http import Received
from .harness.issuer import Issuer
from .harness.messages import LEGACY, MODERN, call, message, post
from .harness.sdk_client import connected, with_client
from .harness.tickets import CLOSE, CLOSE_ALL, GET, OTHER, OWNERS, TITLES, Tickets, asking, owner
from .harness.tokens import ORGANIZATION
from .harness.upstream import Upstream
from .harness.variants import ERAS

MARK = "x-mcp-auth-lookup"
OTHER_RESOURCE = "https://crm.example.com/erp"

LISTENERS = {
    "crm": Listener(asking()),
    "quick": Listener(asking(tools={CLOSE: {"owner": owner(timeout="300ms")}})),
    "cached": Listener(asking(tools={CLOSE: {"owner": owner(cache="2s")}})),
    "expecting": Listener(asking(tools={CLOSE: {"owner": owner(expect={"version": "version"})}})),
    "observed": Listener(asking(mode="observe")),
    "dead": Listener(asking("dead")),
    "missing": Listener(asking("no_such_cluster")),
    "passing": Listener(asking(upstream={"cluster": "upstream", "authorization": "pass"})),
    "buffered": Listener(asking(hold="buffer_filter"), stop_iteration=False, buffer_filter=1024 * 1024),
    "anonymous": Listener(asking(anonymous={"tools": [CLOSE]})),
    # Two policies in one plugin: the second one has no look-ups.
    "both": Listener(
        {"policies": [asking(), asking(resource=OTHER_RESOURCE, tools={}, upstream={}, prompts={})]}
    ),
    "json": Listener(asking("json_tickets"), "json_tickets"),
    "events": Listener(asking("events_tickets"), "events_tickets"),
    "stateless": Listener(asking("stateless_tickets"), "stateless_tickets"),
}

VERSIONS = [None, "1.36"]


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Tickets]]:
    """Ticket systems on the official SDK: with sessions in both styles, and without."""
    running = {
        "json": Tickets(json_response=True),
        "events": Tickets(json_response=False),
        "stateless": Tickets(json_response=True, stateless_http=True),
    }
    yield running
    for server in running.values():
        server.close()


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda version: version or "current")
def envoy(
    request: pytest.FixtureRequest,
    clusters: dict[str, Cluster],
    servers: dict[str, Tickets],
    issuer: Issuer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Envoy]:
    """Each Envoy in turn."""
    official = {f"{name}_tickets": Cluster(server.port) for name, server in servers.items()}
    directory = tmp_path_factory.mktemp("lookups")
    running = Envoy(directory, LISTENERS, {**clusters, **official}, binary(request.param))
    with running.checked():
        yield running


@pytest.fixture
def crm(envoy: Envoy, upstream: Upstream) -> Gateway:
    """The listener of most tests."""
    return Gateway(envoy, "crm", upstream)


def ticket(id: str) -> dict[str, Any]:
    """What the server tells about a ticket."""
    if id not in OWNERS:
        return {"isError": True, "content": [{"type": "text", "text": f"no ticket {id}"}]}
    record = {"id": id, "organization_id": OWNERS[id], "title": TITLES[id], "version": 3}
    return {"structuredContent": record, "content": [{"type": "text", "text": json.dumps(record)}]}


def is_lookup(request: Received) -> bool:
    """Whether the filter itself asks."""
    return request.header(MARK) == "1"


def answering(
    lookup: Callable[[Received], Answer] | None = None, other: Callable[[Received], Answer] | None = None
) -> Callable[[Received], Answer]:
    """A server that answers look-ups in this way, and does what it is told."""

    def record(request: Received) -> Answer:
        params = request.json["params"]
        id = params.get("arguments", {}).get("ticket_id") or params.get("uri", "").rpartition("/")[2]
        return json_answer(result(ticket(id), request.json["id"]))

    def done(request: Received) -> Answer:
        text = {"content": [{"type": "text", "text": "done"}]}
        return json_answer(result(text, request.json["id"]))

    return lambda request: ((lookup or record) if is_lookup(request) else (other or done))(request)


def close(gateway: Gateway, id: Any, era: str = LEGACY, token: str | None = None, **more: Any) -> Exchange:
    """An attempt to close a ticket."""
    body = call(era, CLOSE, {"ticket_id": id})
    return gateway.post(body, token or tokens.support(), era, **more)


def lookups(exchange: Exchange) -> list[Received]:
    """What the filter asked."""
    return [each for each in exchange.upstream.requests if is_lookup(each)]


def calls(exchange: Exchange) -> list[Received]:
    """What the server was told to do."""
    return [each for each in exchange.upstream.requests if not is_lookup(each)]


def passed(exchange: Exchange, asked: int = 1) -> Received:
    """The call reached the server, after this many look-ups."""
    assert len(lookups(exchange)) == asked, exchange._summary()
    (received,) = calls(exchange)
    assert exchange.record["decision"] == "approved", exchange.record
    assert exchange.record.get("lookups", 0) == asked
    return received


def blocked(exchange: Exchange, reason: str, asked: int = 1) -> Exchange:
    """The server was told nothing, and the model learns nothing of the record."""
    assert calls(exchange) == [], exchange._summary()
    assert len(lookups(exchange)) == asked, exchange._summary()
    assert (exchange.record["decision"], exchange.record["reason"]) == ("blocked", reason), exchange.record
    assert exchange.record.get("lookups", 0) == asked
    return exchange


@ERAS
def test_l1_a_call_for_ones_own_record_passes_after_a_look_up(crm: Gateway, era: str) -> None:
    crm.upstream.answer = answering()
    exchange = close(crm, "t-1", era, headers=[("x-tenant", "7"), ("x-mcp-organization", OTHER)])
    received = passed(exchange)
    (lookup,) = lookups(exchange)
    assert lookup.json["params"]["name"] == GET
    assert lookup.json["params"]["arguments"] == {"ticket_id": "t-1"}
    assert received.json["params"]["arguments"] == {"ticket_id": "t-1"}
    # Both come from the same caller, in the same version.
    for name in ["x-mcp-user", "x-mcp-organization", "x-mcp-roles", "mcp-protocol-version", "x-tenant", ":authority"]:
        assert lookup.header(name) == received.header(name), name
    assert lookup.header("x-mcp-organization") == ORGANIZATION
    assert lookup.header("authorization") is None
    assert lookup.header("mcp-name") == (GET if era == MODERN else None)
    assert received.header(MARK) is None
    assert lookup.json["id"] != received.json["id"]
    assert lookup.method == "POST" and lookup.path == received.path
    assert exchange.record["lookup_ms"] >= 0


@ERAS
def test_l2_a_record_of_another_owner_and_an_unknown_one_are_refused_alike(crm: Gateway, era: str) -> None:
    crm.upstream.answer = answering()
    other = blocked(close(crm, "t-4", era), "lookup_not_owned")
    none = blocked(close(crm, "t-9", era), "lookup_error")
    # One answer for both.
    assert (other.status, other.response.body) == (none.status, none.response.body)
    names = [name for name, _ in other.response.headers]
    assert names == [name for name, _ in none.response.headers]
    assert other.response.rpc()["result"]["isError"] is True
    shown = other.response.body.decode() + json.dumps(other.record)
    assert not [text for text in [OTHER, TITLES["t-4"], "t-4"] if text in shown]


def _record(**changes: Any) -> dict[str, Any]:
    return {"structuredContent": {"organization_id": ORGANIZATION, **changes}}


def _whole(text: str, content_type: str = "application/json") -> Callable[[Received], Answer]:
    """A body with the right id at %ID%."""
    return lambda request: json_answer(
        text.replace("%ID%", str(request.json["id"])).encode(), content_type=content_type
    )


def _of(value: dict[str, Any]) -> Callable[[Received], Answer]:
    return lambda request: json_answer(result(value, request.json["id"]))


def _events(*messages: Any) -> Callable[[Received], Answer]:
    return lambda request: event_stream(
        *[result(each, request.json["id"]) if "structuredContent" in each else each for each in messages]
    )


OWN = encoded(result(_record(), 0)).decode().replace('"id":0', '"id":%ID%')

# Every fault of a look-up: how the server answers, and the reason in the log.
FAULTS: dict[str, tuple[Callable[[Received], Answer], str]] = {
    "another_owner": (_of(_record(organization_id=OTHER)), "lookup_not_owned"),
    "no_owner": (_of({"structuredContent": {"title": "x"}}), "lookup_no_owner"),
    "empty": (_of({"content": []}), "lookup_no_owner"),
    "prose": (_of({"content": [{"type": "text", "text": f"organization_id: {ORGANIZATION}"}]}), "lookup_no_owner"),
    "several_owners": (_of({"structuredContent": {"organization_id": [ORGANIZATION, OTHER]}}), "lookup_not_owned"),
    "owner_spelled_twice": (_of(_record(organizationId=OTHER)), "lookup_not_owned"),
    "copies_disagree": (
        _of({**_record(), "content": [{"type": "text", "text": json.dumps({"organization_id": OTHER})}]}),
        "lookup_not_owned",
    ),
    "error_result": (_of({**_record(), "isError": True}), "lookup_error"),
    "json_rpc_error": (
        lambda request: json_answer({"jsonrpc": "2.0", "id": request.json["id"], "error": {"code": 1, "message": ""}}),
        "lookup_error",
    ),
    "asks_back": (_of({**_record(), "resultType": "input_required"}), "lookup_unreadable"),
    "duplicate_keys": (
        _whole(OWN.replace('"organization_id":', f'"organization_id":"{OTHER}","organization_id":')),
        "lookup_unreadable",
    ),
    "two_documents": (_whole(OWN + OWN), "lookup_unreadable"),
    "batch": (_whole(f"[{OWN}]"), "lookup_unreadable"),
    "wrong_id": (_whole(OWN.replace("%ID%", "1")), "lookup_unreadable"),
    "id_as_text": (_whole(OWN.replace("%ID%", '"%ID%"')), "lookup_unreadable"),
    "html": (_whole("<html>organization_id</html>", "text/html"), "lookup_unreadable"),
    "html_as_json": (_whole("<html>organization_id</html>"), "lookup_unreadable"),
    "wrong_content_type": (_whole(OWN, "text/plain"), "lookup_unreadable"),
    "json_as_events": (_whole(OWN, "text/event-stream"), "lookup_unreadable"),
    "no_content": (_whole(""), "lookup_unreadable"),
    "too_deep": (_of({"structuredContent": json.loads("[" * 80 + "]" * 80)}), "lookup_unreadable"),
    "compressed": (
        lambda request: json_answer(encoded(result(_record(), request.json["id"]))).with_(
            headers=[("content-type", "application/json"), ("content-encoding", "gzip")],
            chunks=[b"\x1f\x8b\x08\x00"],
            sized=False,
        ),
        "lookup_unreadable",
    ),
    "too_large": (_of(_record(title="x" * 300_000)), "lookup_too_large"),
    "huge": (_of(_record(title="x" * 5_000_000)), "lookup_too_large"),
    "huge_event": (_events(_record(title="x" * 5_000_000)), "lookup_too_large"),
    "two_responses": (_events(_record(), _record()), "lookup_unreadable"),
    "events_without_response": (_events(PROGRESS), "lookup_unreadable"),
    "batch_in_event": (
        lambda request: raw_stream(event([result(_record(), request.json["id"])])),
        "lookup_unreadable",
    ),
    "status_500": (lambda request: json_answer(result(_record(), request.json["id"]), 500), "lookup_status"),
    "status_401": (lambda request: json_answer(result(_record(), request.json["id"]), 401), "lookup_status"),
    "status_404": (lambda request: json_answer(result(_record(), request.json["id"]), 404), "lookup_status"),
    "redirect": (
        lambda request: Answer(307, [("location", "/other")], sized=True),
        "lookup_status",
    ),
    "status_503": (lambda request: json_answer(result(_record(), request.json["id"]), 503), "lookup_unavailable"),
    "reset": (lambda request: Answer(200, [("content-type", "application/json")], [b"{"], cut=True), "lookup_unavailable"),
    "reset_at_once": (lambda request: Answer(200, [], [], cut=True), "lookup_unavailable"),
}


@pytest.mark.parametrize(("lookup", "reason"), FAULTS.values(), ids=FAULTS)
def test_l4_every_fault_of_a_look_up_refuses_the_call(
    crm: Gateway, lookup: Callable[[Received], Answer], reason: str
) -> None:
    crm.upstream.answer = answering(lookup)
    exchange = blocked(close(crm, "t-1"), reason)
    assert exchange.status == 200
    text = exchange.response.rpc()["result"]["content"][0]["text"]
    assert text == "The policy does not allow this call with these arguments."
    assert exchange.response.header("retry-after") is None


SLOW: dict[str, Callable[[Received], Answer]] = {
    "no_answer": lambda request: _of(_record())(request).with_(delay=3),
    "slow_body": lambda request: _of(_record())(request).split(10).with_(pause=1, sized=False),
    "endless_events": lambda request: raw_stream(event(PROGRESS)).with_(endless=True),
    "endless_after_the_response": lambda request: raw_stream(event(result(_record(), request.json["id"]))).with_(
        endless=True
    ),
}


@pytest.mark.parametrize("lookup", SLOW.values(), ids=SLOW)
def test_l5_a_look_up_has_its_own_time_limit(
    envoy: Envoy, upstream: Upstream, lookup: Callable[[Received], Answer]
) -> None:
    gateway = Gateway(envoy, "quick", upstream)
    upstream.answer = answering(lookup)
    started = time.monotonic()
    exchange = blocked(close(gateway, "t-1"), "lookup_timed_out")
    assert time.monotonic() - started < 2
    assert 250 <= exchange.record["lookup_ms"] < 1500
    upstream.answer = answering()
    passed(close(gateway, "t-1"))


@pytest.mark.parametrize("listener", ["dead", "missing"])
def test_l1_a_server_that_cannot_be_reached_refuses(envoy: Envoy, upstream: Upstream, listener: str) -> None:
    gateway = Gateway(envoy, listener, upstream)
    exchange = close(gateway, "t-1")
    assert exchange.upstream.requests == []
    assert exchange.record["reason"] == "lookup_unavailable"


@ERAS
def test_l1_an_answer_as_event_stream_counts_like_json(crm: Gateway, era: str) -> None:
    crm.upstream.answer = answering(_events(PROGRESS, _record()))
    passed(close(crm, "t-1", era))


@ERAS
def test_l3_several_records_are_asked_for_at_once(crm: Gateway, era: str) -> None:
    def slow(request: Received) -> Answer:
        id = request.json["params"]["arguments"]["ticket_id"]
        return json_answer(result(ticket(id), request.json["id"])).with_(delay=0.2)

    crm.upstream.answer = answering(slow)
    many = lambda ids: crm.post(call(era, CLOSE_ALL, {"ticket_ids": ids}), tokens.support(), era)  # noqa: E731
    started = time.monotonic()
    passed(many(["t-1", "t-2", "t-1"] * 8), 2)
    assert time.monotonic() - started < 1
    blocked(many(["t-1", "t-4", "t-2"]), "lookup_not_owned", 3)
    blocked(many([f"t-{each}" for each in range(17)]), "record_not_named", 0)
    blocked(many([]), "record_not_named", 0)


@pytest.mark.parametrize("arguments", [{}, {"ticket_id": None}, {"ticket_id": {"$ne": ""}}, {"ticket_id": True}])
def test_l3_a_call_that_names_no_record_is_refused_with_the_reason(crm: Gateway, arguments: dict[str, Any]) -> None:
    crm.upstream.answer = answering()
    exchange = crm.post(call(LEGACY, CLOSE, arguments), tokens.support())
    blocked(exchange, "record_not_named", 0)
    assert "`ticket_id`" in exchange.response.rpc()["error"]["message"]


@pytest.mark.parametrize("other", ["Ticket-ID", "ticketId", "ticket_id[]", "ticket_id.x"])
def test_l3_another_spelling_beside_the_argument_is_refused(crm: Gateway, other: str) -> None:
    crm.upstream.answer = answering()
    exchange = crm.post(call(LEGACY, CLOSE, {"ticket_id": "t-1", other: "t-4"}), tokens.support())
    blocked(exchange, "argument_misspelled", 0)


@ERAS
def test_l1_a_resource_can_be_looked_up(crm: Gateway, era: str) -> None:
    def record(request: Received) -> Answer:
        assert request.json["method"] == "resources/read"
        uri = request.json["params"]["uri"]
        assert request.header("mcp-name") == (uri if era == MODERN else None)
        owner = OWNERS.get(uri.removeprefix("crm://tickets/"), OTHER)
        text = json.dumps({"organization_id": owner})
        return json_answer(result({"contents": [{"uri": uri, "text": text}]}, request.json["id"]))

    crm.upstream.answer = answering(record)
    reopen = lambda id: crm.post(call(era, "crm.reopen_ticket", {"ticket_id": id}), tokens.support(), era)  # noqa: E731
    passed(reopen("t-1"))
    blocked(reopen("t-4"), "lookup_not_owned")
    blocked(reopen("t-4/../t-1"), "lookup_not_possible", 0)


@ERAS
def test_l1_prompts_have_records_too(crm: Gateway, era: str) -> None:
    crm.upstream.answer = answering()
    body = lambda id: message(era, "prompts/get", {"name": "close_politely", "arguments": {"ticket_id": id}})  # noqa: E731
    passed(crm.post(body("t-1"), tokens.support(), era))
    blocked(crm.post(body("t-4"), tokens.support(), era), "lookup_not_owned")


def test_l1_a_known_record_is_not_asked_for_again(envoy: Envoy, upstream: Upstream) -> None:
    gateway = Gateway(envoy, "cached", upstream)
    upstream.answer = answering()
    passed(close(gateway, "t-2"), 1)
    passed(close(gateway, "t-2"), 0)
    passed(close(gateway, "t-2", MODERN), 0)
    # Of another caller, another organization, another role: another record.
    passed(close(gateway, "t-2", token=tokens.support(sub="user-bob")), 1)
    blocked(close(gateway, "t-2", token=tokens.support(org_id=OTHER)), "lookup_not_owned", 1)
    passed(close(gateway, "t-2", token=tokens.token("support", "extra")), 1)
    passed(close(gateway, "t-1"), 1)
    # A refusal is not remembered.
    for _ in range(2):
        blocked(close(gateway, "t-4"), "lookup_not_owned", 1)
    time.sleep(3)
    passed(close(gateway, "t-2"), 1)


@ERAS
def test_l1_observe_mode_logs_what_it_would_have_said(envoy: Envoy, upstream: Upstream, era: str) -> None:
    gateway = Gateway(envoy, "observed", upstream)
    upstream.answer = answering()
    for id, reason, would_be in [("t-1", "allowed", "approved"), ("t-4", "lookup_not_owned", "blocked")]:
        exchange = close(gateway, id, era)
        (received,) = calls(exchange)
        (lookup,) = lookups(exchange)
        assert received.json == call(era, CLOSE, {"ticket_id": id})
        record = exchange.record
        assert (record["decision"], record["reason"], record["would_be"]) == ("draft", reason, would_be)
        # As the server is asked today.
        assert lookup.header("authorization") == received.header("authorization")


def test_l1_the_look_up_has_the_session_and_the_credential_of_the_call(
    envoy: Envoy, upstream: Upstream
) -> None:
    gateway = HandleGateway(envoy, "passing", upstream)
    token = tokens.support()
    session = begin(gateway, token)
    upstream.answer = answering()
    exchange = close(gateway, "t-1", token=token, headers=[(SESSION_HEADER, session)])
    passed(exchange)
    (lookup,) = lookups(exchange)
    assert lookup.header(SESSION_HEADER) == SESSION
    assert lookup.header("authorization") == f"Bearer {token}"


def test_l1_a_session_that_the_server_has_forgotten_begins_again(envoy: Envoy, upstream: Upstream) -> None:
    gateway = HandleGateway(envoy, "passing", upstream)
    token = tokens.support()
    session = begin(gateway, token)
    upstream.answer = answering(lambda request: json_answer({}, 404))
    exchange = close(gateway, "t-1", token=token, headers=[(SESSION_HEADER, session)])
    assert (exchange.status, exchange.record["reason"]) == (404, "unknown_session")
    assert calls(exchange) == []
    blocked(close(gateway, "t-1", token=token), "lookup_status")


@ERAS
def test_l1_the_version_of_the_record_goes_with_the_call(envoy: Envoy, upstream: Upstream, era: str) -> None:
    gateway = Gateway(envoy, "expecting", upstream)
    upstream.answer = answering()
    send_call = lambda arguments: gateway.post(call(era, CLOSE, arguments), tokens.support(), era)  # noqa: E731
    received = passed(send_call({"ticket_id": "t-1"}))
    assert received.json["params"]["arguments"] == {"ticket_id": "t-1", "version": 3}
    received = passed(send_call({"ticket_id": "t-1", "version": 3}))
    assert received.json["params"]["arguments"] == {"ticket_id": "t-1", "version": 3}
    blocked(send_call({"ticket_id": "t-1", "version": 4}), "record_changed")
    # Of a record of another owner nothing is told.
    blocked(send_call({"ticket_id": "t-4", "version": 4}), "lookup_not_owned")


def test_l1_a_caller_without_an_organization_owns_nothing(envoy: Envoy, upstream: Upstream) -> None:
    upstream.answer = answering()
    gateway = Gateway(envoy, "anonymous", upstream)
    exchange = gateway.post(call(LEGACY, CLOSE, {"ticket_id": "t-1"}), None)
    blocked(exchange, "lookup_not_owned", 0)


@ERAS
def test_l1_headers_may_have_gone_before_the_look_up(envoy: Envoy, upstream: Upstream, era: str) -> None:
    gateway = Gateway(envoy, "buffered", upstream)
    upstream.answer = answering()
    passed(close(gateway, "t-1", era))
    blocked(close(gateway, "t-4", era), "lookup_not_owned")


def test_l1_the_policies_of_one_plugin_have_look_ups_of_their_own(envoy: Envoy, upstream: Upstream) -> None:
    gateway = Gateway(envoy, "both", upstream)
    upstream.answer = answering()
    blocked(close(gateway, "t-4"), "lookup_not_owned")
    token = tokens.support(aud=OTHER_RESOURCE)
    passed(close(gateway, "t-4", token=token, path="/erp"), 0)


def test_l6_a_client_cannot_pass_off_a_call_as_a_look_up(crm: Gateway) -> None:
    crm.upstream.answer = answering()
    blocked(close(crm, "t-1", headers=[(MARK, "1")]), "lookup_nested", 0)
    # Other calls lose the header.
    exchange = crm.post(call(LEGACY, "crm.search_x", {}), tokens.support(), headers=[(MARK, "1")])
    assert exchange.received.header(MARK) is None


def test_l6_a_client_cannot_steer_envoys_call(crm: Gateway) -> None:
    crm.upstream.answer = answering()
    steering = [
        ("x-envoy-upstream-rq-timeout-ms", "1"),
        ("x-envoy-retry-on", "5xx"),
        ("range", "bytes=0-3"),
        ("if-none-match", "*"),
        ("expect-ct", "x"),
    ]
    exchange = close(crm, "t-1", headers=steering)
    passed(exchange)
    (lookup,) = lookups(exchange)
    assert not [name for name, _ in steering[:4] if lookup.header(name)]
    crm.upstream.answer = answering(lambda request: json_answer({}, 503))
    blocked(close(crm, "t-1", headers=steering), "lookup_unavailable")


def test_l5_many_calls_of_one_caller_do_not_keep_others_waiting(crm: Gateway) -> None:
    """A slow server: one caller has 32 look-ups at most, and others still get theirs."""

    def slow(request: Received) -> Answer:
        return json_answer(result(ticket("t-1"), request.json["id"])).with_(delay=0.6)

    crm.upstream.answer = answering(slow)
    ids = [f"id-{each}" for each in range(16)]
    body = call(LEGACY, CLOSE_ALL, {"ticket_ids": ids})
    request = lambda sub: post(body, tokens.support(sub=sub))  # noqa: E731
    with ThreadPoolExecutor(8) as pool:
        greedy = [pool.submit(send, crm.port, request("user-greedy")) for _ in range(5)]
        time.sleep(0.2)
        other = pool.submit(send, crm.port, request("user-other"))
        statuses = sorted(each.result().status for each in greedy)
        assert statuses == [200, 200, 503, 503, 503]
        assert other.result().status == 200
    reasons = sorted(line.record["reason"] for line in crm.lines(6) if line.record)
    assert reasons == ["allowed"] * 3 + ["lookup_busy"] * 3
    crm.upstream.take()
    crm.upstream.answer = answering()
    passed(close(crm, "t-1"))


def test_l5_a_client_that_leaves_during_a_look_up_leaves_nothing_behind(envoy: Envoy, upstream: Upstream) -> None:
    gateway = Gateway(envoy, "crm", upstream)
    upstream.answer = answering(lambda request: _of(_record())(request).with_(delay=0.5))
    request = post(call(LEGACY, CLOSE, {"ticket_id": "t-1"}), tokens.support())
    with Connection(gateway.port) as connection:
        connection.start(request)
        connection.send(request.body or b"")
        upstream.wait_for(1)
        connection.abort()
    (line,) = gateway.lines(1)
    assert line.record is not None and line.record["reason"] == "client_gone"
    time.sleep(0.8)
    assert [is_lookup(each) for each in upstream.take().requests] == [True]
    upstream.answer = answering()
    passed(close(gateway, "t-1"))


# The official server, in sessions of earlier versions and without.
PEERS = [
    ("json", "legacy"),
    ("json", MODERN),
    ("events", "legacy"),
    ("events", MODERN),
    ("stateless", "legacy"),
]


@pytest.mark.parametrize(("name", "mode"), PEERS)
def test_l1_an_official_server_closes_ones_own_tickets_only(
    envoy: Envoy, servers: dict[str, Tickets], name: str, mode: str
) -> None:
    server = servers[name]
    server.reset()

    async def work(client: Client) -> None:
        for id, expected in [("t-1", "closed"), ("t-4", None), ("t-9", None)]:
            answer = await client.call_tool(CLOSE, {"ticket_id": id})
            assert answer.is_error == (expected is None), answer
        answer = await client.call_tool(CLOSE_ALL, {"ticket_ids": ["t-2", "t-1"]})
        assert not answer.is_error
        answer = await client.call_tool(CLOSE_ALL, {"ticket_ids": ["t-2", "t-4"]})
        assert answer.is_error
        assert not (await client.call_tool("crm.reopen_ticket", {"ticket_id": "t-1"})).is_error
        assert (await client.call_tool("crm.reopen_ticket", {"ticket_id": "t-4"})).is_error

    with_client(connected(envoy.ports[name], mode, False, tokens.support()), work)
    assert server.done() == ["t-1", "t-2", "t-1", "t-1"]
    assert {each["read"] for each in server.calls if "read" in each} == {"t-1", "t-2", "t-4", "t-9"}


def test_l1_without_the_filter_the_server_closes_every_ticket() -> None:
    with closing(Tickets(json_response=True)) as server:

        async def work(client: Client) -> None:
            assert not (await client.call_tool(CLOSE, {"ticket_id": "t-4"})).is_error

        with_client(connected(server.port, MODERN, False, None), work)
        assert server.done() == ["t-4"]
