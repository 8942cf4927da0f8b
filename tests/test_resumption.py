"""Streams that go on after a break: the event to go on from is its owner's only, and what a
resumed stream brings is looked at like any answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import Answer, encoded, event, event_stream, listing, raw_stream, result
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.handles import (
    BUFFERED,
    EVENT,
    EVENT_HEADER,
    ID_LINE,
    INITIALIZE,
    INITIALIZED,
    NO_KEY,
    OBSERVE,
    SERVERS,
    SESSION,
    SESSION_HEADER,
    STRANGERS,
    TASK,
    HandleGateway,
    Sealed,
    Stranger,
    begin,
    bodyless,
    forgeries,
    with_session,
)
from .harness.messages import LEGACY, HeaderList, call, rpc
from .harness.policy import policy
from .harness.variants import CLIENTS

LISTENERS = {
    **SERVERS,
    "crm_h2": Listener(policy(), "upstream_h2"),
    "buffered": BUFFERED,
    "no_key": NO_KEY,
    "observe": OBSERVE,
}

LINE_ENDS = pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])


def lines(*fields: str, newline: bytes = b"\n") -> bytes:
    """An event, written by hand."""
    return b"".join(field.encode() + newline for field in (*fields, ""))


def held_ids(gateway: HandleGateway, response_body: bytes) -> list[str]:
    """The event ids a client would resume from."""
    text = re.sub(rb"\r\n?", b"\n", response_body)
    return [gateway.hold(each.decode()) for each in ID_LINE.findall(text)]


def wanted(session: str | None, event: str) -> HeaderList:
    """The headers that ask for the rest of a stream."""
    headers: HeaderList = [(EVENT_HEADER, event)]
    return headers if session is None else [(SESSION_HEADER, session), *headers]


def resume(
    gateway: HandleGateway, token: str, session: str | None, event: str, http2: bool = False
) -> Exchange:
    """Ask for the rest of a stream."""
    return bodyless(gateway, "GET", token, wanted(session, event), http2)


def broken_off(
    gateway: HandleGateway, token: str, session: str | None, body: dict[str, Any], event: str = EVENT
) -> str:
    """Make a request whose stream breaks off before the answer; the event to resume from."""
    gateway.upstream.answer = raw_stream(lines(f"id: {event}", "data:", "retry: 100"))
    headers = [] if session is None else [(SESSION_HEADER, session)]
    exchange = gateway.post(body, token, headers=headers)
    exchange.forwarded()
    (held,) = held_ids(gateway, exchange.response.body)
    return held


# Fields of events as servers write them, priming events and bare comments among them.
STREAM = [
    (f"id: {EVENT}-0", "data:", "retry: 3000"),
    (": a comment",),
    ("event: message", f"id:{EVENT}-1", 'data: {"jsonrpc":"2.0",', 'data: "method":"notifications/x"}'),
    ('data: {"jsonrpc":"2.0","method":"notifications/y"}', f"id: {EVENT}-2", ": behind the data"),
    ("event: message", 'data: {"jsonrpc":"2.0","method":"notifications/z"}'),
    (f"id: {EVENT}-ignored", f"id: {EVENT}-3", "data: {}"),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
@LINE_ENDS
def b15_every_event_id_is_sealed_however_the_stream_is_cut(
    sealed: Sealed, newline: bytes, size: int, method: str
) -> None:
    gateway, token = sealed("crm"), tokens.support()
    session = begin(gateway, token)
    stream = b"".join(lines(*fields, newline=newline) for fields in STREAM)
    gateway.upstream.answer = raw_stream(stream).split(size).with_(pause=0)
    headers = [(SESSION_HEADER, session)]
    if method == "GET":
        exchange = bodyless(gateway, "GET", token, headers)
    else:
        exchange = gateway.post(call(LEGACY, "crm.get_customer"), token, headers=headers)
    exchange.forwarded()
    held = held_ids(gateway, exchange.response.body)
    # Nothing else of the stream is another.
    seen = exchange.response.body
    for number, each in enumerate(held):
        seen = seen.replace(b"id: " + each.encode(), f"id: {EVENT}-{number}".encode())
    expected = stream.replace(f"id: {EVENT}-ignored".encode() + newline, b"")
    assert seen == expected.replace(f"id:{EVENT}-1".encode(), f"id: {EVENT}-1".encode())
    for number, each in enumerate(held):
        received = resume(gateway, token, session, each).forwarded()
        assert received.header(EVENT_HEADER) == f"{EVENT}-{number}"
        assert received.header(SESSION_HEADER) == SESSION


@CLIENTS
@pytest.mark.parametrize("listener", ["crm", "crm_h2", "buffered"])
def b15_an_owner_resumes_a_stream(sealed: Sealed, listener: str, http2: bool) -> None:
    gateway, token = sealed(listener), tokens.support()
    session = begin(gateway, token)
    event = broken_off(gateway, token, session, call(LEGACY, "crm.get_customer"))
    answer = result({"content": []})
    gateway.upstream.answer = event_stream(answer)
    exchange = resume(gateway, token, session, event, http2)
    received = exchange.forwarded()
    assert received.header(EVENT_HEADER) == EVENT
    assert received.header(SESSION_HEADER) == SESSION
    assert exchange.response.rpc() == answer


def b15_a_refreshed_token_resumes_a_stream(sealed: Sealed) -> None:
    gateway = sealed("crm")
    session = begin(gateway, tokens.support())
    event = broken_off(gateway, tokens.support(), session, call(LEGACY, "crm.get_customer"))
    exchange = resume(gateway, tokens.support(client_id="other"), session, event)
    assert exchange.forwarded(status=200).header(EVENT_HEADER) == EVENT


@STRANGERS
@pytest.mark.parametrize("with_sessions", [True, False])
@CLIENTS
def b15_b24_the_event_of_another_caller_is_unknown(
    sealed: Sealed, stranger: Stranger, with_sessions: bool, http2: bool
) -> None:
    """Also where there are no sessions, and where both have the same one."""
    owners = sealed("crm")
    session = begin(owners, tokens.support()) if with_sessions else None
    event = broken_off(owners, tokens.support(), session, call(LEGACY, "crm.get_customer"))
    gateway, token = sealed(stranger.listener), stranger.token()
    session = begin(gateway, token) if with_sessions else None
    own = broken_off(gateway, token, session, call(LEGACY, "crm.get_customer"))
    assert resume(gateway, token, session, own).forwarded().header(EVENT_HEADER) == EVENT
    exchange = resume(gateway, token, session, event, http2)
    exchange.refused(400, -32600, "blocked")
    assert exchange.record["reason"] == "unknown_event"
    assert exchange.record["next_action"]


def b15_b24_the_event_of_another_session_is_unknown(sealed: Sealed) -> None:
    gateway, token = sealed("crm"), tokens.support()
    first, second = begin(gateway, token), begin(gateway, token, f"{SESSION}-2")
    event = broken_off(gateway, token, first, call(LEGACY, "crm.get_customer"))
    assert resume(gateway, token, first, event).forwarded().header(EVENT_HEADER) == EVENT
    for session in (second, None):
        resume(gateway, token, session, event).refused(400, -32600, "blocked")


def b15_b24_a_forged_event_is_unknown(sealed: Sealed) -> None:
    gateway, token = sealed("crm"), tokens.support()
    session = begin(gateway, token)
    event = broken_off(gateway, token, session, call(LEGACY, "crm.get_customer"))
    for forged in [EVENT, "", "0", session, f"{event},{event}", *forgeries(event)]:
        exchange = resume(gateway, token, session, forged)
        exchange.refused(400, -32600, "blocked")
        assert exchange.record["reason"] == "unknown_event"
    exchange = bodyless(gateway, "GET", token, [(SESSION_HEADER, event)])
    exchange.refused(404, -32001, "blocked")


@CLIENTS
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def b15_an_event_id_is_ignored_by_other_methods(sealed: Sealed, method: str, http2: bool) -> None:
    gateway, token = sealed("crm"), tokens.support()
    for event in (EVENT, "x"):
        headers: HeaderList = [(EVENT_HEADER, event)]
        if method == "POST":
            exchange = gateway.post(rpc("ping"), token, headers=headers, http2=http2)
        else:
            exchange = bodyless(gateway, method, token, headers, http2)
        received = exchange.forwarded(status=exchange.status)
        assert received.header(EVENT_HEADER) is None


@pytest.mark.parametrize("name", ["last_event_id", "Last_Event-ID"])
def b15_an_event_header_in_other_spelling_does_not_reach_the_server(sealed: Sealed, name: str) -> None:
    exchange = bodyless(sealed("crm"), "GET", tokens.support(), [(name, EVENT)])
    received = exchange.forwarded(status=405)
    assert not any("event" in name.lower() for name, _ in received.headers)


TOOLS = [{"name": name} for name in ("crm.get_customer", "crm.purge", "hr.secret")]


@LINE_ENDS
@pytest.mark.parametrize("size", [1, 10_000])
def b15_a_list_on_a_resumed_stream_is_filtered(sealed: Sealed, newline: bytes, size: int) -> None:
    gateway, token = sealed("crm"), tokens.support()
    session = begin(gateway, token)
    event = broken_off(gateway, token, session, rpc("tools/list"))
    answer = encoded(listing("tools", TOOLS)).decode()
    stream = lines(f"id: {EVENT}-1", f"data: {answer}", newline=newline)
    gateway.upstream.answer = raw_stream(stream).split(size).with_(pause=0)
    exchange = resume(gateway, token, session, event)
    exchange.forwarded()
    assert exchange.response.rpc()["result"]["tools"] == TOOLS[:1]
    assert b"crm.purge" not in exchange.response.body
    assert exchange.record["hidden_items"] == 2
    assert len(held_ids(gateway, exchange.response.body)) == 1


def created_task(task: str = TASK) -> dict[str, Any]:
    """The answer to a call that became a task (2025-11-25)."""
    return result({"task": {"taskId": task, "status": "working"}})


def get_task(gateway: HandleGateway, token: str, task: str) -> Exchange:
    """Ask how a task goes."""
    return gateway.post(rpc("tasks/get", {"taskId": task}), token)


@pytest.mark.parametrize("breaks", [1, 2])
def b15_b24_a_task_on_a_resumed_stream_is_its_tools(sealed: Sealed, breaks: int) -> None:
    """Which tool it was, only the event can tell; also when the stream breaks again."""
    gateway, token = sealed("crm"), tokens.manager()
    session = begin(gateway, token)
    event = broken_off(gateway, token, session, call(LEGACY, "crm.report", task={"ttl": 1}))
    for _ in range(breaks - 1):
        gateway.upstream.answer = raw_stream(lines(f"id: {EVENT}-again", "data:"))
        exchange = resume(gateway, token, session, event)
        exchange.forwarded()
        (event,) = held_ids(gateway, exchange.response.body)
    gateway.upstream.answer = event_stream(created_task())
    exchange = resume(gateway, token, session, event)
    exchange.forwarded()
    task = gateway.hold(exchange.response.rpc()["result"]["task"]["taskId"])
    gateway.upstream.answer = event_stream(created_task())
    exchange = get_task(gateway, token, task)
    assert exchange.forwarded().json["params"]["taskId"] == TASK
    assert exchange.record["gen_ai.tool.name"] == "crm.report"
    assert get_task(gateway, tokens.support(), task).refused(200, -32602).record["reason"] == "no_role"


def b24_a_task_on_a_stream_of_no_call_is_left_out(sealed: Sealed) -> None:
    """Its owner is unknown. Later events are forwarded."""
    gateway, token = sealed("crm"), tokens.manager()
    news = {"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": {"taskId": TASK}}
    behind = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "x"}}
    gateway.upstream.answer = event_stream(news, behind)
    exchange = bodyless(gateway, "GET", token, [])
    exchange.forwarded()
    assert [json.loads(each) for each in exchange.response.events()] == [behind]


def b15_the_stream_of_initialize_is_resumed_in_its_session(sealed: Sealed) -> None:
    """The session is as new as the stream: its events are the session's."""
    gateway, token = sealed("crm"), tokens.support()
    priming = raw_stream(lines(f"id: {EVENT}", "data:"))
    gateway.upstream.answer = with_session(priming)
    exchange = gateway.post(INITIALIZE, token)
    exchange.forwarded()
    session = gateway.hold(exchange.response.header(SESSION_HEADER) or "")
    (event,) = held_ids(gateway, exchange.response.body)
    gateway.upstream.answer = event_stream(INITIALIZED)
    exchange = resume(gateway, token, session, event)
    assert exchange.forwarded().header(EVENT_HEADER) == EVENT
    assert exchange.response.rpc() == INITIALIZED


@pytest.mark.parametrize("field", ["id", "id:", "id: "])
def b15_an_event_that_resets_the_id_still_does(sealed: Sealed, field: str) -> None:
    """A client that has no id any more does not ask to resume (HTML "Server-sent events")."""
    gateway = sealed("crm")
    gateway.upstream.answer = raw_stream(lines(f"id: {EVENT}", "data: {}"), lines(field, "data: {}"))
    exchange = bodyless(gateway, "GET", tokens.support(), [])
    exchange.forwarded()
    assert len(held_ids(gateway, exchange.response.body)) == 1
    last = exchange.response.body.split(b"\n\n")[1]
    assert last.split(b"\n")[0].partition(b":")[2].strip() == b""


def b15_an_event_id_beyond_ascii_comes_back(sealed: Sealed) -> None:
    """One that is no UTF-8, or that no header can carry, is taken out."""
    gateway, token = sealed("crm"), tokens.support()
    stream = [b"id: %s\ndata: {}\n\n" % each for each in ("é".encode(), b"\xff", b"\x01")]
    gateway.upstream.answer = raw_stream(*stream)
    exchange = bodyless(gateway, "GET", token, [])
    exchange.forwarded()
    assert exchange.response.events() == ["{}"] * 3
    assert not {b"\xff", b"\x01"} & set(exchange.response.body.split())
    [accented] = held_ids(gateway, exchange.response.body)
    received = resume(gateway, token, None, accented).received
    assert (received.header(EVENT_HEADER) or "").encode("latin-1").decode() == "é"


@LINE_ENDS
def b15_without_a_key_a_stream_cannot_be_resumed(sealed: Sealed, newline: bytes) -> None:
    gateway, token = sealed("no_key"), tokens.support()
    gateway.upstream.answer = raw_stream(*[lines(*each, newline=newline) for each in STREAM])
    exchange = bodyless(gateway, "GET", token, [])
    exchange.forwarded()
    kept = [[line for line in each if not line.startswith("id")] for each in STREAM]
    assert exchange.response.body == b"".join(lines(*each, newline=newline) for each in kept)
    resume(gateway, token, None, EVENT).refused(400, -32600, "blocked")


def test_observe_mode_leaves_events_as_they_are(through: Callable[[str], Gateway]) -> None:
    gateway = through("observe")
    stream = b"".join(lines(*each) for each in STREAM)
    gateway.upstream.answer = Answer(200, [("content-type", "text/event-stream")], [stream])
    exchange = bodyless(gateway, "GET", tokens.support(), wanted("s", "of the server"))
    assert exchange.received.header(EVENT_HEADER) == "of the server"
    assert exchange.response.body == stream


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_a_server_of_http_sse_is_not_passed_on(through: Callable[[str], Gateway], newline: bytes) -> None:
    """All its answers come on this stream."""
    gateway = through("crm")
    endpoint = newline.join([b"event: endpoint", b"data: /messages?sessionId=s-1", b"", b""])
    gateway.upstream.answer = raw_stream(endpoint, event({"jsonrpc": "2.0", "id": 1, "result": {}}))
    exchange = bodyless(gateway, "GET", tokens.support(), [])
    assert b"s-1" not in exchange.response.body
    assert "Streamable HTTP" in exchange.response.rpc()["error"]["message"]
    assert exchange.record["reason"] == "http_sse"
