"""Lists show a caller what the policy allows, in every form in which a server answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import (
    PROGRESS,
    answer,
    encoded,
    event,
    event_stream,
    gzipped,
    json_answer,
    listing,
    raw_stream,
    result,
)
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.messages import LEGACY, MODERN, message
from .harness.policy import policy
from .harness.upstream import Upstream
from .harness.variants import ERAS

LISTENERS = {
    "crm": Listener(policy()),
    "http2_server": Listener(policy(), cluster="upstream_h2"),
    "small": Listener(policy(max_response="8KiB")),
    "own_tools": Listener(policy(auth_tools=True)),
}

HIDDEN = b"crm.purge"


def tool(name: str) -> bytes:
    """A tool as servers describe it, with text that must survive byte for byte."""
    text = f'{{"name": "{name}", "description":"\\u00e9\\/ \u00e9", "inputSchema":{{"type":"object","x":1.0}},"_meta":{{}}}}'
    return text.encode()


ALLOWED = [tool("crm.get_customer"), tool("crm.search_a"), tool("crm.search_b")]
DENIED = [tool("crm.purge"), tool("crm.purge_all"), tool("other.crm.purge")]


def tools(*items: bytes, more: bytes = b"") -> bytes:
    """A tools/list answer with these items."""
    return b'{"jsonrpc": "2.0","id":1,"result":{"tools":[' + b",".join(items) + b"]" + more + b"}}"


def ask(gateway: Gateway, era: str = LEGACY, method: str = "tools/list", **more: Any) -> Exchange:
    """A list as a support agent asks for it."""
    return gateway.post(message(era, method), tokens.support(), era, **more)


def names(exchange: Exchange) -> list[str]:
    """The tools the caller sees."""
    return [each["name"] for each in exchange.response.rpc()["result"]["tools"]]


def hidden(exchange: Exchange) -> None:
    """No byte of a denied tool reaches the caller; the server was asked once, the log says so once."""
    assert exchange.logged_status == exchange.status == exchange.line.code
    assert HIDDEN not in exchange.response.body
    assert len(exchange.upstream.requests) == 1


ORDERS = {
    "denied_first": [DENIED[0], *ALLOWED],
    "denied_last": [*ALLOWED, DENIED[0]],
    "denied_between": [ALLOWED[0], DENIED[0], ALLOWED[1], DENIED[1], DENIED[2], ALLOWED[2]],
    "denied_only": DENIED,
    "allowed_only": ALLOWED,
    "one_denied": DENIED[:1],
    "none": [],
}


@pytest.mark.parametrize("style", ["json", "events"])
@pytest.mark.parametrize("items", ORDERS.values(), ids=ORDERS)
def b26_denied_tools_leave_the_list_and_the_rest_stays_as_written(
    gateway: Gateway, upstream: Upstream, items: list[bytes], style: str
) -> None:
    upstream.answer = answer(tools(*items, more=b',"nextCursor":"c-1","x":[1.0]'), style)
    exchange = ask(gateway)
    kept = [item for item in items if item not in DENIED]
    expected = tools(*kept, more=b',"nextCursor":"c-1","x":[1.0]')
    if style == "json":
        assert exchange.response.body == expected
        assert exchange.response.header("content-length") == str(len(expected))
    else:
        assert exchange.response.events()[1].encode() == expected
        assert json.loads(exchange.response.events()[0]) == PROGRESS
    assert exchange.response.complete
    exchange.forwarded(message(LEGACY, "tools/list"))


LISTS: dict[str, tuple[str, str, list[str], list[str]]] = {
    "tools/list": ("tools", "name", ["crm.get_customer"], ["crm.purge"]),
    "prompts/list": ("prompts", "name", ["customer_summary"], ["crm.purge"]),
    "resources/list": ("resources", "uri", ["crm://public/faq", "crm://org-a/1"], ["crm://org-b/crm.purge"]),
    "resources/templates/list": (
        "resourceTemplates",
        "uriTemplate",
        ["crm://public/{page}", "crm://org-a/{id}"],
        ["crm://org-b/crm.purge/{id}"],
    ),
}


@ERAS
@pytest.mark.parametrize("style", ["json", "events"])
@pytest.mark.parametrize("method", LISTS)
def b26_every_kind_of_list(gateway: Gateway, upstream: Upstream, method: str, era: str, style: str) -> None:
    member, key, allowed, denied = LISTS[method]
    items = [{key: name, "title": name} for name in denied + allowed]
    upstream.answer = answer(encoded(listing(member, items)), style)
    exchange = ask(gateway, era, method)
    assert [item[key] for item in exchange.response.rpc()["result"][member]] == allowed
    hidden(exchange)


@pytest.mark.parametrize("cursor", ["c-1", "", "\u00e9"])
def b26_every_page_is_filtered_and_the_cursor_kept(gateway: Gateway, upstream: Upstream, cursor: str) -> None:
    upstream.answer = json_answer(listing("tools", [{"name": "crm.purge"}], nextCursor=cursor))
    body = message(LEGACY, "tools/list", {"cursor": cursor})
    exchange = gateway.post(body, tokens.support())
    assert exchange.forwarded(encoded(body)).json["params"]["cursor"] == cursor
    assert exchange.response.json["result"] == {"tools": [], "nextCursor": cursor}


ESCAPED = [
    b'{"name":"crm\\u002epurge"}',
    b'{"n\\u0061me":"crm.purge"}',
    b'{"inputSchema":{"name":"crm.get_customer"},"name":"crm.purge"}',
    b'{"title":"crm.get_customer","name":"crm.purge"}',
    b'{"_meta":{"name":"crm.get_customer"},"annotations":{},"name":"crm.purge"}',
]


@pytest.mark.parametrize("item", ESCAPED)
def b26_names_are_read_and_not_searched_for(gateway: Gateway, upstream: Upstream, item: bytes) -> None:
    upstream.answer = json_answer(tools(item, ALLOWED[0]))
    exchange = ask(gateway)
    assert names(exchange) == ["crm.get_customer"]
    hidden(exchange)


UNREADABLE_ITEMS: dict[str, bytes] = {
    "two_names": tools(b'{"name":"crm.get_customer","name":"crm.purge"}'),
    "look_alike_name": tools(b'{"name":"crm.get_customer","Name":"crm.purge"}'),
    "no_name": tools(b'{"title":"crm.purge"}'),
    "name_list": tools(b'{"name":["crm.purge"]}'),
    "item_text": tools(b'"crm.purge"'),
    "item_list": tools(b'[{"name":"crm.purge"}]'),
    "invalid_utf8": tools(b'{"name":"crm.purge","x":"\xff"}'),
}

UNREADABLE: dict[str, bytes] = {
    "tools_object": b'{"jsonrpc":"2.0","id":1,"result":{"tools":{"name":"crm.purge"}}}',
    "tools_twice": b'{"jsonrpc":"2.0","id":1,"result":{"tools":[],"tools":[{"name":"crm.purge"}]}}',
    "look_alike_tools": b'{"jsonrpc":"2.0","id":1,"result":{"tools":[],"Tools":[{"name":"crm.purge"}]}}',
    "look_alike_result": b'{"jsonrpc":"2.0","id":1,"Result":{"tools":[{"name":"crm.purge"}]}}',
    "result_twice": b'{"jsonrpc":"2.0","id":1,"result":{"tools":[]},"result":{"tools":[{"name":"crm.purge"}]}}',
    "batch": b"[" + tools(tool("crm.purge")) + b"]",
    "two_documents": tools() + tools(tool("crm.purge")),
    "cut": tools(tool("crm.purge"))[:-2],
    "byte_order_mark": b"\xef\xbb\xbf" + tools(tool("crm.purge")),
    "not_json": b"crm.purge",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def b26_a_list_that_is_not_understood_is_not_shown(gateway: Gateway, upstream: Upstream, body: bytes) -> None:
    upstream.answer = json_answer(body)
    exchange = ask(gateway)
    hidden(exchange)
    assert exchange.status == 502
    assert exchange.logged_status == 502
    assert exchange.response.error_code() is not None


@pytest.mark.parametrize("body", UNREADABLE_ITEMS.values(), ids=UNREADABLE_ITEMS)
def b26_an_item_that_is_not_understood_is_not_shown(gateway: Gateway, upstream: Upstream, body: bytes) -> None:
    upstream.answer = json_answer(body)
    exchange = ask(gateway)
    hidden(exchange)
    assert names(exchange) == []


@pytest.mark.parametrize("body", [*UNREADABLE.values(), *UNREADABLE_ITEMS.values()], ids=[*UNREADABLE, *UNREADABLE_ITEMS])
def b30_after_an_unreadable_event_nothing_is_shown_unfiltered(
    gateway: Gateway, upstream: Upstream, body: bytes
) -> None:
    """Neither it nor what follows is shown unfiltered."""
    upstream.answer = event_stream(PROGRESS, body, tools(ALLOWED[0], DENIED[0]))
    exchange = ask(gateway)
    hidden(exchange)


SCOPES = ['"cacheScope":"public"', '"cacheScope" : "public" ', '"cacheScope":"private"', '"cacheScope":null', '"cacheScope":"everybody"']


@pytest.mark.parametrize("style", ["json", "events"])
@pytest.mark.parametrize("items", [ALLOWED, ALLOWED + DENIED], ids=["unfiltered", "filtered"])
@pytest.mark.parametrize("scope", SCOPES)
def b27_filtered_lists_are_private(
    gateway: Gateway, upstream: Upstream, items: list[bytes], scope: str, style: str
) -> None:
    more = f',"resultType":"complete","ttlMs":60000,{scope}'.encode()
    upstream.answer = answer(tools(*items, more=more), style)
    exchange = ask(gateway, MODERN)
    answered = exchange.response.rpc()["result"]
    assert answered["cacheScope"] == "private"
    assert answered["resultType"] == "complete"
    assert len(answered["tools"]) == len(ALLOWED)
    hidden(exchange)


@pytest.mark.parametrize("method", LISTS)
def b27_a_modern_list_without_a_scope_becomes_private(gateway: Gateway, upstream: Upstream, method: str) -> None:
    upstream.answer = json_answer(listing(LISTS[method][0], [], resultType="complete", ttlMs=1))
    assert ask(gateway, MODERN, method).response.json["result"]["cacheScope"] == "private"
    upstream.answer = json_answer(b'{"jsonrpc":"2.0","id":1,"result":{}}')
    assert ask(gateway, MODERN, method).response.json["result"].get("cacheScope", "private") == "private"


def b27_a_legacy_list_gets_no_scope(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = json_answer(tools(*ALLOWED))
    exchange = ask(gateway)
    assert exchange.forwarded() and exchange.response.body == tools(*ALLOWED)


TYPES = ["Application/JSON", "application/json;charset=utf-8", "application/json ; charset=UTF-8", "APPLICATION/JSON"]


@pytest.mark.parametrize("content_type", TYPES)
def b29_media_types_in_any_spelling(gateway: Gateway, upstream: Upstream, content_type: str) -> None:
    upstream.answer = json_answer(tools(*DENIED, *ALLOWED), content_type=content_type)
    exchange = ask(gateway)
    assert len(names(exchange)) == len(ALLOWED)
    hidden(exchange)


@pytest.mark.parametrize("content_type", ["Text/Event-Stream", "text/event-stream; charset=utf-8"])
def b29_event_streams_in_any_spelling(gateway: Gateway, upstream: Upstream, content_type: str) -> None:
    upstream.answer = event_stream(tools(*DENIED, *ALLOWED), content_type=content_type)
    exchange = ask(gateway)
    assert HIDDEN not in exchange.response.body
    assert b"crm.search_b" in exchange.response.body


@pytest.mark.parametrize("content_type", ["text/plain", "text/html", "", "application/octet-stream", "application/json, text/plain"])
@pytest.mark.parametrize("status", [200, 404])
def b29_lists_under_another_name(gateway: Gateway, upstream: Upstream, content_type: str, status: int) -> None:
    upstream.answer = json_answer(tools(*DENIED), status, content_type)
    exchange = ask(gateway)
    hidden(exchange)
    assert exchange.status in (404, 502)


@pytest.mark.parametrize("status", [201, 202, 203, 206, 400, 404, 500])
def b29_lists_under_another_status(gateway: Gateway, upstream: Upstream, status: int) -> None:
    upstream.answer = json_answer(tools(*DENIED, *ALLOWED), status)
    hidden(ask(gateway))


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "br", "identity, gzip"])
def b32_compressed_lists(gateway: Gateway, upstream: Upstream, coding: str) -> None:
    packed = gzipped(json_answer(tools(*DENIED)))
    headers = [("content-type", "application/json"), ("content-encoding", coding)]
    upstream.answer = packed.with_(headers=headers)
    exchange = ask(gateway, headers=[("accept-encoding", "gzip, br")])
    assert exchange.status == 502
    assert exchange.received.header("accept-encoding") in (None, "identity")


def b32_compressed_event_streams(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = gzipped(event_stream(tools(*DENIED)))
    assert ask(gateway).status == 502


NEWLINES = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


def stream_of(newline: bytes) -> list[bytes]:
    """A stream with everything the format allows around one list."""
    body = tools(ALLOWED[0], DENIED[0], "caf\u00e9".join(['{"name":"crm.search_', '"}']).encode())
    half = body.index(b',"result"') + 1
    two_lines = b"id: 8" + newline + b"data:" + body[:half] + newline + b"data: " + body[half:] + newline * 2
    return [
        b": keep-alive" + newline * 2,
        b"id: 0" + newline + b"retry: 3000" + newline + b"data: " + newline * 2,
        event(PROGRESS, newline),
        b": comment" + newline + b"event: message" + newline + b"data: " + body + newline + b"id: 7" + newline * 2,
        two_lines,
        b"data" + newline * 2,
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
@pytest.mark.parametrize("newline", NEWLINES.values(), ids=NEWLINES)
@pytest.mark.parametrize("listener", ["crm", "http2_server"])
def b35_streams_in_any_line_ends_and_chunks(
    through: Callable[[str], Gateway], upstream: Upstream, newline: bytes, size: int, listener: str
) -> None:
    upstream.answer = raw_stream(*stream_of(newline)).split(size).with_(pause=0)
    exchange = ask(through(listener))
    hidden(exchange)
    body = exchange.response.body
    assert body.startswith(b": keep-alive")
    ids = [line for line in body.replace(b"\r", b"\n").split(b"\n") if line.startswith(b"id")]
    assert len(ids) == 3
    assert not {b"id: 0", b"id: 7", b"id: 8"} & set(ids)
    for kept in (b"retry: 3000", b": comment", "crm.search_caf\u00e9".encode()):
        assert kept in body, kept
    answers = [json.loads(data) for data in exchange.response.events() if "tools" in data]
    assert len(answers) == 2
    assert all([each["name"] for each in a["result"]["tools"]][0] == "crm.get_customer" for a in answers)


def b35_a_byte_order_mark_before_the_stream(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answer = raw_stream(b"\xef\xbb\xbf" + event(tools(ALLOWED[0], DENIED[0])))
    exchange = ask(gateway)
    hidden(exchange)


def b35_an_event_that_never_ends_is_not_shown(gateway: Gateway, upstream: Upstream) -> None:
    """The format says that a client discards it; not every client does."""
    unfinished = b"event: message\ndata: " + tools(DENIED[0])
    for tail in (unfinished, unfinished + b"\n"):
        upstream.answer = raw_stream(event(PROGRESS), tail)
        exchange = ask(gateway)
        hidden(exchange)
        assert json.loads(exchange.response.events()[0]) == PROGRESS


@pytest.mark.parametrize("style", ["json", "events"])
def b35_lists_larger_than_the_limit(
    through: Callable[[str], Gateway], upstream: Upstream, style: str
) -> None:
    upstream.answer = answer(tools(*DENIED, tool("crm.search_" + "x" * 9000)), style).split(1000)
    exchange = ask(through("small"))
    hidden(exchange)
    assert exchange.status == 200
    assert exchange.record["reason"] == "upstream_answer_too_large"


@pytest.mark.parametrize("style", ["json", "events"])
@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("listener", ["crm", "http2_server"])
def h01_lists_followed_by_trailers(
    through: Callable[[str], Gateway], upstream: Upstream, listener: str, http2: bool, style: str
) -> None:
    trailers = [("x-checksum", "1")]
    upstream.answer = answer(tools(*DENIED, *ALLOWED), style).with_(trailers=trailers)
    exchange = ask(through(listener), headers=[("te", "trailers")], http2=http2)
    assert len(names(exchange)) == len(ALLOWED)
    hidden(exchange)


@pytest.mark.parametrize("size", [1, 2, 50])
@pytest.mark.parametrize("listener", ["crm", "http2_server"])
def h12_json_lists_in_any_chunks(
    through: Callable[[str], Gateway], upstream: Upstream, size: int, listener: str
) -> None:
    expected = tools(*ALLOWED)
    upstream.answer = json_answer(tools(DENIED[0], *ALLOWED)).split(size).with_(sized=False, pause=0)
    exchange = ask(through(listener))
    assert exchange.response.body == expected
    assert exchange.response.complete


def test_other_answers_are_not_touched(gateway: Gateway, upstream: Upstream) -> None:
    """A tool's result may hold what looks like a list: it answers another question."""
    body = result({"content": [], "structuredContent": {"tools": [{"name": "crm.purge"}], "n": 1.0}})
    upstream.answer = json_answer(body)
    call = message(LEGACY, "tools/call", {"name": "crm.get_customer"})
    exchange = gateway.post(call, tokens.support())
    assert exchange.forwarded() and exchange.response.body == encoded(body)


def test_errors_of_the_server_come_back(gateway: Gateway, upstream: Upstream) -> None:
    error = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "Invalid cursor"}}
    upstream.answer = json_answer(error)
    exchange = ask(gateway)
    assert exchange.forwarded() and exchange.response.json == error


def b15_lists_on_a_get_stream_are_filtered(gateway: Gateway, upstream: Upstream) -> None:
    """A GET stream carries no answers; if it does, they are filtered by their form."""
    upstream.answer = event_stream(PROGRESS, tools(*DENIED, *ALLOWED))
    exchange = gateway.get(token=tokens.support())
    hidden(exchange)
    assert json.loads(exchange.response.events()[0]) == PROGRESS


def test_r9_the_filters_own_tools_have_names_that_all_clients_take(
    through: Callable[[str], Gateway], upstream: Upstream
) -> None:
    gateway = through("own_tools")
    upstream.answer = json_answer(tools())
    own = names(ask(gateway))
    assert len(own) == 3
    assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", name) for name in own), own
    call = {"name": own[0], "arguments": {}}
    exchange = gateway.post(message(LEGACY, "tools/call", call), tokens.support())
    assert exchange.record["reason"] == "auth_tool_answered" and "result" in exchange.response.rpc()
