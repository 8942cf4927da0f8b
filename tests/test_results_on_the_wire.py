"""Rules for results apply in every form in which a server answers, and what passes is complete."""

from __future__ import annotations

import json
import time

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
    raw_stream,
)
from .harness.client import Connection
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Through
from .harness.messages import LEGACY, MODERN, call, post
from .harness.results import (
    HIDES,
    OTHERS,
    SSN,
    TOOL,
    ask,
    content,
    foreign,
    hides,
    judged,
    not_the_callers,
    not_understood,
    own,
    owned,
    structured,
    texts,
    too_large,
)
from .harness.variants import CLIENTS, ERAS, STYLES

BOTH = {**owned(), **HIDES}
BUFFERED = judged(BOTH, hold="buffer_filter")
LIMIT = 1024 * 1024

LISTENERS = {
    "crm": Listener(judged(BOTH)),
    "http2_server": Listener(judged(BOTH), "upstream_h2"),
    "buffered": Listener(BUFFERED, stop_iteration=False, buffer_filter=LIMIT),
    "buffered_http2": Listener(BUFFERED, "upstream_h2", stop_iteration=False, buffer_filter=LIMIT),
    "small": Listener(judged(BOTH, max_response="8KiB")),
    "observe": Listener(judged(BOTH, mode="observe")),
}

SERVERS = pytest.mark.parametrize("listener", ["crm", "http2_server", "buffered", "buffered_http2"])
SIZES = pytest.mark.parametrize("size", [1, 2, 7, 64, 100_000])

# What the server says, and what a client receives of it; with letters of more than one byte.
SAID = structured([own(ssn=SSN, city="K\u00f6ln \U0001f600"), foreign(ssn=SSN), own(ssn="\u00e9\u00e9\u00e9\u00e9\u00e9")])
LEFT = [own(ssn="***", city="K\u00f6ln \U0001f600"), own(ssn="***")]


def received(exchange: Exchange) -> None:
    """The client received what is its own, masked, and all of it."""
    hides(exchange)
    assert content(exchange) == (LEFT, LEFT)
    assert exchange.response.complete
    assert (exchange.record["dropped_items"], exchange.record["redacted"]) == (1, ["ssn"])
    length = exchange.response.header("content-length")
    assert length in (None, str(len(exchange.response.body)))
    exchange.forwarded()


@SERVERS
@SIZES
@ERAS
def h12_results_as_json_in_any_chunks(through: Through, listener: str, size: int, era: str) -> None:
    received(ask(through(listener), json_answer(SAID).split(size).with_(sized=False, pause=0), era=era))


@CLIENTS
@ERAS
@pytest.mark.parametrize("sized", [True, False])
def b31_content_length_is_that_of_the_edited_body(through: Through, sized: bool, era: str, http2: bool) -> None:
    exchange = ask(through("crm"), json_answer(SAID).with_(sized=sized), era=era, http2=http2)
    received(exchange)
    assert exchange.response.header("content-length") == str(len(exchange.response.body))


NEWLINES = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


def stream_of(newline: bytes) -> bytes:
    """Everything the format allows around two answers."""
    body = encoded(SAID)
    half = body.index(b',"structuredContent"') + 1
    two_lines = b"data:" + body[:half] + newline + b"data: " + body[half:] + newline * 2
    fields = b": comment" + newline + b"event: message" + newline + b"data: " + body + newline + b"retry: 5" + newline * 2
    return b": keep-alive" + newline * 2 + event(PROGRESS, newline) + fields + two_lines + b"data" + newline * 2


@SERVERS
@SIZES
@pytest.mark.parametrize("newline", NEWLINES.values(), ids=NEWLINES)
def b35_results_in_events_in_any_line_ends_and_chunks(
    through: Through, newline: bytes, size: int, listener: str
) -> None:
    exchange = ask(through(listener), raw_stream(stream_of(newline)).split(size).with_(pause=0))
    hides(exchange)
    body = exchange.response.body
    assert body.startswith(b": keep-alive" + newline * 2)
    assert b": comment" + newline in body and b"retry: 5" + newline in body
    progress, *answers = [json.loads(data) for data in exchange.response.events()]
    assert progress == PROGRESS
    assert [each["result"]["structuredContent"] for each in answers] == [LEFT, LEFT]
    assert exchange.record["dropped_items"] == 2


def b35_a_byte_order_mark_before_the_stream(through: Through) -> None:
    exchange = ask(through("crm"), raw_stream(b"\xef\xbb\xbf" + event(SAID)))
    hides(exchange)
    assert OTHERS.encode() not in exchange.response.body


@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n"])
def b35_an_event_that_never_ends_is_not_shown(through: Through, end: bytes) -> None:
    exchange = ask(through("crm"), raw_stream(event(PROGRESS), b"data: " + encoded(SAID) + end))
    hides(exchange)
    assert json.loads(exchange.response.events()[0]) == PROGRESS


@STYLES
def b35_results_larger_than_the_limit(through: Through, style: str) -> None:
    large = structured([own(ssn=SSN, note="x" * 9000)])
    exchange = ask(through("small"), answer(large, style).split(1000))
    too_large(exchange)
    if style == "events":
        # What came before it had come already.
        assert json.loads(exchange.response.events()[0]) == PROGRESS


def b35_events_after_one_over_the_limit_are_not_shown(through: Through) -> None:
    large = structured([own(note="x" * 9000)])
    exchange = ask(through("small"), event_stream(large, SAID))
    too_large(exchange)
    assert len(exchange.response.events()) == 1


def b35_events_are_forwarded_before_later_ones_arrive(through: Through) -> None:
    """A stream may go on for long: what was judged goes on at once."""
    gateway = through("crm")
    gateway.upstream.answer = raw_stream(event(SAID)).with_(endless=True)
    with Connection(gateway.port) as connection:
        request = post(call(LEGACY, TOOL), tokens.support())
        connection.start(request)
        connection.send(request.body or b"")
        assert connection.response_head().status == 200
        seen = connection.read_until(b"\n\n")
        assert b"K\xc3\xb6ln" in seen
        assert SSN.encode() not in seen and OTHERS.encode() not in seen
    gateway.settle()


TYPES = ["Application/JSON", "application/json;charset=utf-8", "application/json ; charset=UTF-8", " application/json"]


@pytest.mark.parametrize("content_type", TYPES)
def b29_media_types_in_any_spelling(through: Through, content_type: str) -> None:
    exchange = ask(through("crm"), json_answer(SAID, content_type=content_type))
    hides(exchange)
    assert exchange.response.json["result"]["structuredContent"] == LEFT


@pytest.mark.parametrize("content_type", ["Text/Event-Stream", "text/event-stream ; charset=utf-8"])
def b29_event_streams_in_any_spelling(through: Through, content_type: str) -> None:
    exchange = ask(through("crm"), event_stream(SAID, content_type=content_type))
    hides(exchange)
    assert "K\u00f6ln".encode() in exchange.response.body


OTHER_TYPES = ["text/plain", "text/html", "", "application/octet-stream", "application/jsonl", "text/json", "application/vnd.api+json", "application/json, text/plain", "multipart/mixed; boundary=x"]


@pytest.mark.parametrize("status", [200, 201, 302, 404, 500])
@pytest.mark.parametrize("content_type", OTHER_TYPES)
def b29_results_under_another_name(through: Through, content_type: str, status: int) -> None:
    exchange = ask(through("crm"), json_answer(SAID, status, content_type))
    not_understood(exchange, status if status >= 400 else 502)
    assert exchange.response.header("content-type") == "application/json"


def b29_two_content_type_headers_are_refused(through: Through) -> None:
    said = json_answer(SAID)
    twice = said.with_(headers=[*said.headers, ("content-type", "text/plain")])
    hides(ask(through("crm"), twice))


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def b29_one_form_under_the_name_of_the_other(through: Through, content_type: str) -> None:
    """An event stream is no JSON, and JSON has no events."""
    said = event_stream(SAID) if content_type == "application/json" else json_answer(SAID)
    hides(ask(through("crm"), said.with_(headers=[("content-type", content_type)])))


@STYLES
@pytest.mark.parametrize("status", [201, 202, 203, 206, 226, 300, 400, 403, 409, 500])
def b29_results_under_another_status(through: Through, status: int, style: str) -> None:
    exchange = ask(through("crm"), answer(SAID, style).with_(status=status))
    hides(exchange)
    assert exchange.response.rpc()["result"]["structuredContent"] == LEFT
    assert exchange.status == exchange.logged_status == status


UNREADABLE: dict[str, bytes] = {
    "not_json": SSN.encode(),
    "cut": encoded(SAID)[:-2],
    "two_documents": encoded(texts("{}")) + encoded(SAID),
    "byte_order_mark": b"\xef\xbb\xbf" + encoded(SAID),
    "key_twice": b'{"jsonrpc":"2.0","id":1,"result":{},"result":' + encoded(SAID["result"]) + b"}",
    "key_twice_with_escapes": b'{"jsonrpc":"2.0","id":1,"result":{},"resul\\u0074":' + encoded(SAID["result"]) + b"}",
    "field_twice": b'{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"organization_id":"org-a","ssn":"","ssn":"%s"}}}' % SSN.encode(),
    "not_a_number": b'{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"organization_id":"org-a","x":NaN,"ssn":"%s"}}}' % SSN.encode(),
    "invalid_utf8": encoded(SAID).replace(b"K", b"\xff"),
    "utf_16": encoded(SAID).decode().encode("utf-16"),
    "too_deep": b'{"jsonrpc":"2.0","id":1,"result":{"structuredContent":' + b"[" * 200 + encoded(foreign()) + b"]" * 200 + b"}}",
    "comma_at_the_end": encoded(SAID)[:-1] + b",}",
    "empty": b"",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("status", [200, 404])
def b29_a_result_that_is_not_understood_is_not_shown(through: Through, status: int, body: bytes) -> None:
    exchange = ask(through("crm"), json_answer(body, status).with_(sized=bool(body)))
    not_understood(exchange, 502 if status == 200 else 404)


# Data that clients read as no message: it is left out, and the stream goes on.
NO_MESSAGE = {"not_json", "utf_16", "empty"}
BROKEN = {name: body for name, body in UNREADABLE.items() if name not in NO_MESSAGE}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def b30_an_event_that_is_not_understood_ends_the_stream(through: Through, body: bytes) -> None:
    """Neither it nor what follows is shown, judged or not."""
    exchange = ask(through("crm"), event_stream(PROGRESS, body, SAID, PROGRESS))
    hides(exchange)
    before, after = [json.loads(data) for data in exchange.response.events()]
    assert before == PROGRESS
    assert (after["id"], after["error"]["code"]) == (1, -32603)
    assert exchange.record["reason"] == "upstream_answer_uncheckable"
    assert exchange.response.complete


def b30_lines_of_data_are_read_as_one(through: Through) -> None:
    exchange = ask(through("crm"), raw_stream(b"data: {}\ndata: {}\n\n", event(SAID)))
    hides(exchange)
    assert exchange.response.error_code() == -32603


@pytest.mark.parametrize("data", [b"data: " + SSN.encode(), b"data\ndata: x", b"data: " + UNREADABLE["utf_16"]])
def b30_data_that_is_no_message_is_not_shown(through: Through, data: bytes) -> None:
    exchange = ask(through("crm"), raw_stream(data + b"\n\n", event(SAID)))
    hides(exchange)
    assert content(exchange) == (LEFT, LEFT)


@CLIENTS
@ERAS
def b31_a_refused_result_is_the_filters_answer_alone(through: Through, era: str, http2: bool) -> None:
    said = json_answer(structured(foreign(note=SSN)))
    exchange = ask(through("crm"), said, era=era, http2=http2)
    not_the_callers(exchange)
    response = exchange.response
    assert response.json["id"] == 1
    assert response.header("content-length") == str(len(response.body))
    assert (response.header("content-type") or "").startswith("application/json")
    assert response.complete
    assert exchange.record["next_action"]


@CLIENTS
@pytest.mark.parametrize("status", [200, 201, 403, 500])
def b31_an_unreadable_result_has_a_status_of_its_own(through: Through, status: int, http2: bool) -> None:
    exchange = ask(through("crm"), json_answer(b'{"x":' + SSN.encode(), status), http2=http2)
    not_understood(exchange, 502 if status < 400 else status)
    assert exchange.response.header("content-length") == str(len(exchange.response.body))


def b31_headers_wait_for_the_inspected_body(through: Through) -> None:
    gateway = through("crm")
    gateway.upstream.answer = json_answer(SAID).split(200).with_(pause=0.2)
    with Connection(gateway.port) as connection:
        request = post(call(LEGACY, TOOL), tokens.support())
        began = time.monotonic()
        connection.start(request)
        connection.send(request.body or b"")
        response = connection.response_head()
        waited = time.monotonic() - began
        assert response.status == 200
        assert waited > 0.2, "the headers came before the answer was whole"
        length = int(response.header("content-length") or 0)
        assert length and length != len(encoded(SAID))
    gateway.settle()


@CLIENTS
@pytest.mark.parametrize("listener", ["buffered", "buffered_http2"])
def b31_without_held_headers_no_body_comes_unjudged(through: Through, listener: str, http2: bool) -> None:
    """The status has gone on; the body is the filter's all the same."""
    gateway = through(listener)
    received(ask(gateway, SAID, http2=http2))
    not_the_callers(ask(gateway, structured(foreign()), http2=http2))
    exchange = ask(gateway, json_answer(SSN.encode()), http2=http2)
    not_understood(exchange, 200)


@STYLES
@CLIENTS
@SERVERS
def h01_results_followed_by_trailers(through: Through, listener: str, http2: bool, style: str) -> None:
    said = answer(SAID, style).with_(trailers=[("x-checksum", "1")])
    received(ask(through(listener), said, headers=[("te", "trailers")], http2=http2))


@STYLES
@CLIENTS
@SERVERS
def h01_refused_results_followed_by_trailers(through: Through, listener: str, http2: bool, style: str) -> None:
    said = answer(structured(foreign()), style).with_(trailers=[("x-checksum", "1")])
    exchange = ask(through(listener), said, headers=[("te", "trailers")], http2=http2)
    not_the_callers(exchange)


CODINGS = ["gzip", "x-gzip", "br", "zstd", "deflate", "identity, gzip", "gzip, identity", "GZIP", "unknown"]


@STYLES
@pytest.mark.parametrize("coding", CODINGS)
def b32_compressed_results_are_not_passed(through: Through, coding: str, style: str) -> None:
    packed = gzipped(answer(SAID, style))
    kind, _ = packed.headers[0], packed.headers[-1]
    exchange = ask(
        through("crm"), packed.with_(headers=[kind, ("content-encoding", coding)]), headers=[("accept-encoding", "gzip, br")]
    )
    not_understood(exchange)
    assert exchange.response.header("content-encoding") is None
    assert exchange.received.header("accept-encoding") in (None, "identity")


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def b32_uncompressed_results_with_content_encoding_are_refused(through: Through, coding: str) -> None:
    said = json_answer(SAID).with_(headers=[("content-type", "application/json"), ("content-encoding", coding)])
    hides(ask(through("crm"), said))


def b32_an_error_that_is_compressed_is_not_passed(through: Through) -> None:
    exchange = ask(through("crm"), gzipped(json_answer({"detail": SSN}, 500)))
    not_understood(exchange, 500)


@STYLES
@CLIENTS
def b36_answers_of_the_same_id_keep_to_their_callers(through: Through, http2: bool, style: str) -> None:
    """Two organizations at one server, over the same connection to it."""
    gateway = through("http2_server")
    said = structured([own(n=1), foreign(n=2)])
    for token, organization in ((tokens.support(), "org-a"), (tokens.support(sub="user-bob", org_id="org-b"), "org-b")) * 3:
        exchange = ask(gateway, said, style, token=token, http2=http2)
        (customer,), copy = content(exchange)
        assert customer["organization_id"] == organization
        assert copy == [customer]
        assert exchange.record["dropped_items"] == 1


@STYLES
@ERAS
def test_observe_mode_does_not_change_results(through: Through, style: str, era: str) -> None:
    gateway = through("observe")
    for said in (SAID, structured(foreign()), {"detail": SSN}):
        exchange = ask(gateway, said, style, era)
        whole = b"".join(answer(said, style).chunks)
        assert exchange.response.body == whole
        assert exchange.record["decision"] == "draft"
        assert "redacted" not in exchange.record


@STYLES
def test_answers_without_data_pass(through: Through, style: str) -> None:
    for said in (texts(), structured([]), {"jsonrpc": "2.0", "id": 1, "result": {}}):
        exchange = ask(through("crm"), said, style, MODERN if style == "json" else LEGACY)
        assert exchange.forwarded() and exchange.response.rpc() == said
