"""Answers as real servers send them: large ones, keep-alive events, JSON that is not strict, text like JSON."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import Answer, answer, encoded, event, event_stream, json_answer, listing, raw_stream, result
from .harness.client import Connection, Request
from .harness.envoy_config import Listener
from .harness.gateway import Gateway, Through
from .harness.http import Response
from .harness.messages import LEGACY, MODERN, common_headers, message, post
from .harness.policy import policy
from .harness.results import HIDES, HIDES_IN_TEXTS, SSN, ask, hides, judged, structured, texts
from .harness.variants import CLIENTS, ERAS, STYLES

MIB = 1024 * 1024

LISTENERS = {
    "crm": Listener(judged(HIDES_IN_TEXTS)),
    "http2_server": Listener(judged(HIDES_IN_TEXTS), "upstream_h2"),
    "withheld": Listener(judged(HIDES)),
    "no_rules": Listener(policy()),
    "small_buffer": Listener(judged(HIDES_IN_TEXTS), buffer_limit=MIB),
}
SERVERS = pytest.mark.parametrize("listener", ["crm", "http2_server"])

# A picture of 3 MB in base64, and what a server says with it.
PICTURE = result({"content": [{"type": "image", "data": "iVBO" * MIB, "mimeType": "image/png"}]})


@STYLES
@CLIENTS
@pytest.mark.parametrize("listener", ["crm", "http2_server", "withheld", "no_rules"])
def test_r1_an_image_of_three_megabytes_gets_through(
    through: Through, listener: str, http2: bool, style: str
) -> None:
    exchange = ask(through(listener), PICTURE, style, http2=http2)
    assert exchange.response.rpc() == PICTURE
    exchange.forwarded()


def large(kind: str) -> Answer:
    """9 MiB, with and without its length, and as one event."""
    said = texts("x" * 9 * MIB)
    match kind:
        case "sized":
            return json_answer(said)
        case "chunked":
            return json_answer(said).with_(sized=False)
        case _:
            return event_stream(said)


@SERVERS
@ERAS
@CLIENTS
@pytest.mark.parametrize("kind", ["sized", "chunked", "event"])
def test_r1_an_answer_over_the_limit_is_an_error_that_names_it(
    through: Through, listener: str, era: str, http2: bool, kind: str
) -> None:
    exchange = ask(through(listener), large(kind), era=era, http2=http2)
    assert exchange.status == exchange.logged_status == 200
    error = exchange.response.rpc()
    assert (error["id"], error["error"]["code"]) == (1, -32603)
    assert "8388608 bytes" in error["error"]["message"] and "`max_response`" in error["error"]["message"]
    assert exchange.record["reason"] == "upstream_answer_too_large"
    assert "per_connection_buffer_limit_bytes" in exchange.record["next_action"]


def test_r1_an_announced_length_is_enough(through: Through) -> None:
    """The caller need not wait for the answer."""
    gateway = through("crm")
    begin = time.monotonic()
    gateway.upstream.answer = json_answer(texts("x" * 9 * MIB)).split(1000).with_(pause=0.05)
    with Connection(gateway.port) as connection:
        response = connection.request(asked("crm.get_customer"))
    assert response.error_code() == -32603 and time.monotonic() - begin < 5
    [line] = gateway.lines(1)
    assert line.record is not None and line.record["reason"] == "upstream_answer_too_large"
    gateway.upstream.take()


def test_r1_what_no_rule_is_for_passes_in_any_size(through: Through) -> None:
    for kind in ("sized", "chunked", "event"):
        exchange = ask(through("no_rules"), large(kind))
        assert exchange.response.rpc() == texts("x" * 9 * MIB)


def test_r1_the_log_tells_that_envoys_buffer_is_too_small(through: Through) -> None:
    exchange = ask(through("small_buffer"), texts("x" * 3 * MIB))
    assert exchange.status == 500
    record = exchange.record
    assert (record["decision"], record["reason"]) == ("failed", "upstream_answer_over_buffer")
    assert "per_connection_buffer_limit_bytes" in record["next_action"]


PINGS = [b"event: ping\ndata: ping\n\n", b"data: [DONE]\n\n", b"event: heartbeat\ndata: 17850\n\n", b": hi\n\n"]
SAID = structured({"organization_id": tokens.ORGANIZATION, "ssn": SSN})


@pytest.mark.parametrize("ping", PINGS)
@pytest.mark.parametrize("listener", ["crm", "withheld", "http2_server", "no_rules"])
def test_r2_an_event_that_is_no_json_does_not_end_a_call(through: Through, listener: str, ping: bytes) -> None:
    exchange = ask(through(listener), raw_stream(ping, event(SAID), ping))
    answers = [json.loads(data) for data in exchange.response.events() if data.startswith("{")]
    assert [each["id"] for each in answers] == [1]
    if listener != "no_rules":
        hides(exchange)
        # The connection stays busy.
        assert exchange.response.body.count(b":") > encoded(SAID).count(b":")
    exchange.forwarded()


@pytest.mark.parametrize("ping", PINGS)
@ERAS
def test_r2_an_event_that_is_no_json_does_not_end_a_list(through: Through, era: str, ping: bytes) -> None:
    gateway = through("crm")
    tools = [{"name": "crm.get_customer"}, {"name": "hr.hidden"}]
    gateway.upstream.answer = raw_stream(ping, event(listing("tools", tools)))
    exchange = gateway.post(message(era, "tools/list"), tokens.support(), era)
    assert [tool["name"] for tool in exchange.response.rpc()["result"]["tools"]] == ["crm.get_customer"]


def get_stream(gateway: Gateway, *chunks: bytes, until: bytes | None) -> Response | bytes:
    """What a client receives on a stream of its own that the server never ends."""
    gateway.upstream.answer = raw_stream(*chunks).with_(endless=True)
    request = asked("crm.get_customer")
    request.method, request.body = "GET", None
    request.headers = [(n, v) for n, v in common_headers(tokens.support()) if n != "content-type"]
    request.headers += [("mcp-protocol-version", LEGACY)]
    with Connection(gateway.port) as connection:
        connection.start(request)
        if until is not None:
            connection.response_head()
            return connection.read_until(until)
        return connection.response("GET")


NOTE = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": {"ssn": SSN, "end": 1}}}
UNREADABLE = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":{"ssn":"' + SSN.encode() + b'","x":NaN}}}'


def test_r2_a_get_stream_goes_on_after_events_that_are_left_out(through: Through) -> None:
    gateway = through("crm")
    received = get_stream(gateway, PINGS[0], event(UNREADABLE), event(NOTE), until=b'"end":1')
    assert isinstance(received, bytes)
    assert SSN.encode() not in received and b'"end":1' in received and b"NaN" not in received
    [line] = gateway.lines(1)
    assert line.record is not None and line.record["withheld"] == {"upstream_answer_uncheckable": 1}
    gateway.upstream.take()


@pytest.mark.parametrize("listener", ["crm", "http2_server"])
def test_r2_a_stream_that_is_given_up_ends(through: Through, listener: str) -> None:
    gateway = through(listener)
    broken = b'{"jsonrpc":"2.0","id":1,"result":{"ssn":"' + SSN.encode() + b'","x":NaN}}'
    begin = time.monotonic()
    response = get_stream(gateway, event(broken), event(NOTE), until=None)
    assert isinstance(response, Response)
    assert time.monotonic() - begin < 5
    assert b"-32603" in response.body and SSN.encode() not in response.body and b'"end":1' not in response.body
    [line] = gateway.lines(1)
    assert line.record is not None and line.record["reason"] == "upstream_answer_uncheckable"
    gateway.upstream.take()


def test_r2_a_call_that_is_given_up_ends(through: Through) -> None:
    gateway = through("crm")
    gateway.upstream.answer = event_stream(b'{"jsonrpc":"2.0","id":1,"result":{"x":NaN}}').with_(endless=True)
    with Connection(gateway.port) as connection:
        response = connection.request(asked("crm.get_customer"))
    assert response.error_code() == -32603
    gateway.lines(1)
    gateway.upstream.take()


def deep(levels: int) -> Any:
    """Objects in objects."""
    inner: Any = 1
    for _ in range(levels):
        inner = {"a": inner}
    return inner


ODD = {
    "deep": encoded(result({"structuredContent": {"error": deep(70)}})),
    "surrogate": rb'{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"error":"\ud800"}}}',
    "not_a_number": b'{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"error":NaN}}}',
}


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
@pytest.mark.parametrize("era", [LEGACY, MODERN])
@STYLES
def test_r10_without_rules_the_name_of_a_member_blocks_no_answer(
    through: Through, style: str, era: str, body: bytes
) -> None:
    said = json_answer(body) if style == "json" else event_stream(body)
    exchange = ask(through("no_rules"), said, era=era)
    assert body in exchange.response.body
    exchange.forwarded()


@pytest.mark.parametrize(("name", "why"), [("deep", "nested too deeply"), ("surrogate", "surrogate"), ("not_a_number", "unexpected")])
def test_r10_the_log_says_why_an_answer_is_withheld(through: Through, name: str, why: str) -> None:
    exchange = ask(through("crm"), json_answer(ODD[name]))
    assert exchange.response.error_code() == -32603
    assert any(why in fact["summary"] for fact in exchange.record["evidence"])
    assert exchange.record["gen_ai.tool.name"] == "crm.get_customer"


@STYLES
def test_r10_a_list_that_is_null_is_empty_and_one_bad_tool_hides_itself_only(through: Through, style: str) -> None:
    gateway = through("crm")
    for said, names in (
        (listing("tools", None), []),  # type: ignore[arg-type]
        (listing("tools", [{"name": "crm.deep", "inputSchema": deep(70)}, {"name": "crm.get_customer"}, {"title": "x"}]), ["crm.get_customer"]),
    ):
        gateway.upstream.answer = answer(said, style)
        exchange = gateway.post(message(LEGACY, "tools/list"), tokens.support())
        shown = [each for each in exchange.response.events() or [exchange.response.body.decode()] if '"tools"' in each]
        assert [tool["name"] for tool in json.loads(shown[0])["result"]["tools"]] == names
        if names:
            assert "crm.deep: nested too deeply" in exchange.record["unreadable_items"]


def test_r11_choices_of_a_form_reach_the_client(through: Through) -> None:
    form = {"type": "object", "properties": {
        "rating": {"type": "string", "enum": ["Very good", "Not good"], "default": "Very good"},
        "ssn": {"type": "string", "oneOf": [{"const": "the last four"}]},
    }}
    ask_user = {"jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": {"mode": "form", "requestedSchema": form}}
    sample = {"jsonrpc": "2.0", "id": 8, "method": "sampling/createMessage", "params": {
        "includeContext": "thisServer", "maxTokens": 5,
        "messages": [{"role": "user", "content": [{"type": "tool_result", "toolUseId": "call 1", "content": []}]}],
    }}
    exchange = ask(through("withheld"), event_stream(ask_user, sample, SAID))
    shown = [json.loads(data) for data in exchange.response.events()]
    assert shown[:2] == [ask_user, sample]


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("{ let x = class_name(); }", True),
        ("[INFO] started {\"a\":1}", True),
        ("[link](https://example.com/a)", True),
        ("[package]\nname = \"x\"", True),
        ('{"ratio": NaN}', True),
        ("{'ssn': '123-45-6789'}", False),
        ('{"a":1}\n{"ssn":"123-45-6789"}', False),
    ],
)
def test_r13_text_that_merely_resembles_json_passes(through: Through, text: str, passes: bool) -> None:
    exchange = ask(through("crm"), texts(text))
    hides(exchange)
    assert (exchange.response.rpc()["result"]["content"][0]["text"] == text) == passes
    assert exchange.record.get("withheld") == (None if passes else {"resembles_json": 1})
    assert ask(through("withheld"), texts(text)).response.rpc()["result"]["content"][0]["text"] == "[withheld]"


def asked(tool: str) -> Request:
    """The call of a tool, to send by hand."""
    return post(message(LEGACY, "tools/call", {"name": tool, "arguments": {}}), tokens.support())
