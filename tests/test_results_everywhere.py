"""Rules for results apply in every place of a server's message that can hold data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import answer, encoded, event_stream, json_answer, result
from .harness.blocks import base64_of, block, link, resource
from .harness.gateway import Exchange, Gateway, Through
from .harness.messages import MODERN, message
from .harness.results import (
    HIDING,
    OTHERS,
    OWNING,
    RULED,
    SSN,
    ask,
    foreign,
    hides,
    own,
    texts,
)
from .harness.variants import ERAS, STYLES

LISTENERS = RULED

# A field that is hidden, as JSON in a text, and a customer of another organization.
INNER = json.dumps({"deep": [{"ssn": SSN, "n": 1}]})
FOREIGN = json.dumps(foreign())


def error(**more: Any) -> dict[str, Any]:
    """A JSON-RPC error."""
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "{}", **more}}


def hidden_places(inner: str, data: Any) -> dict[str, Any]:
    """Messages with these data in one place each: `inner` is the same as `data`, as JSON."""
    return {
        "structured": result({"content": [], "structuredContent": data}),
        "structured_list": result({"content": [], "structuredContent": [data]}),
        "structured_text": result({"content": [], "structuredContent": inner}),
        "text": texts(inner),
        "text_with_spaces": texts(f" \n{inner}\n"),
        "text_of_text": texts(json.dumps([inner])),
        "second_block": texts("[]", inner),
        "error_text": result({"isError": True, "content": [block(inner)]}),
        "resource_text": result({"content": [resource(text=inner, mimeType="application/json")]}),
        "resource_blob": result({"content": [resource(blob=base64_of(inner))]}),
        "resource_contents": result({"contents": [{"uri": "x", "text": "{}"}, {"uri": "y", "text": inner}]}),
        "resource_contents_blob": result({"contents": [{"uri": "x", "blob": base64_of(inner)}]}),
        "prompt": result({"messages": [{"role": "user", "content": block(inner)}]}),
        "prompt_with_blocks": result({"messages": [{"role": "user", "content": [block("{}"), block(inner)]}]}),
        "prompt_with_resource": result({"messages": [{"role": "user", "content": resource(text=inner)}]}),
        "completion": result({"completion": {"values": ["{}", inner]}}),
        "task_result": result({"taskId": "t", "status": "completed", "result": {"content": [block(inner)], "structuredContent": data}}),
        "task_error": result({"taskId": "t", "status": "failed", "error": {"code": 1, "message": inner, "data": data}}),
        "error_message": error(message=inner),
        "error_data": error(data=data),
        "error_data_text": error(data=inner),
        "meta": result({"content": [], "_meta": {"com.example/trace": data}}),
        "block_meta": result({"content": [{**block("{}"), "_meta": {"trace": data}}]}),
        "link_meta": result({"content": [link(_meta={"trace": data})]}),
        "link_description": result({"content": [link(description=inner)]}),
        "link_title": result({"content": [link(title=inner)]}),
        "prompt_description": result({"description": inner, "messages": []}),
    }


# What no specification has, and what a lenient server may say and a lenient client read.
def odd_places(inner: str, data: Any) -> dict[str, Any]:
    """Messages with these data where they do not belong."""
    return {
        "batch": [result({"content": [], "structuredContent": data})],
        "batch_of_errors": [error(data=data)],
        "only_text": inner,
        "only_data": data,
        "only_list": [data],
        "beside_the_result": {**texts("{}"), "extra": data},
        "other_case": {"jsonrpc": "2.0", "id": 1, "Result": {"structuredContent": data}},
        "other_case_inside": result({"StructuredContent": data, "content": []}),
        "other_case_of_content": result({"Content": [block(inner)]}),
        "result_text": {"jsonrpc": "2.0", "id": 1, "result": inner},
        "result_list": {"jsonrpc": "2.0", "id": 1, "result": [data]},
        "error_only_text": {"jsonrpc": "2.0", "id": 1, "error": inner},
        "error_list": {"jsonrpc": "2.0", "id": 1, "error": [data]},
        "error_details": error(details=data),
        "other_member": result({"content": [], "customers": [data]}),
        "member_of_lists": result({"content": [], "tools": [data], "resources": [data], "prompts": [data]}),
        "member_of_tasks": result({"content": [], "status": data, "ttl": data, "taskId": data}),
        "member_of_handshakes": result({"content": [], "capabilities": data, "serverInfo": data, "instructions": inner}),
        "content_text": result({"content": inner}),
        "content_object": result({"content": block(inner)}),
        "content_of_texts": result({"content": [inner]}),
        "content_in_content": result({"content": [[block(inner)]]}),
        "content_in_a_block": result({"content": [{"type": "group", "content": [block(inner)]}]}),
        "text_object": result({"content": [block(data)]}),
        "text_list": result({"content": [block([data])]}),
        "block_data": result({"content": [{"type": "json", "data": data}]}),
        "block_json": result({"content": [{"type": "json", "json": data}]}),
        "block_annotations": result({"content": [{**block("{}"), "annotations": {"of": data}}]}),
        "resource_only_text": result({"content": [{"type": "resource", "resource": inner}]}),
        "resource_text_object": result({"content": [resource(text=data)]}),
        "resource_blob_object": result({"content": [resource(blob=data)]}),
        "resource_blob_is_text": result({"content": [resource(blob=inner)]}),
        "contents_object": result({"contents": {"uri": "x", "text": inner}}),
        "contents_texts": result({"contents": [inner]}),
        "messages_texts": result({"messages": [inner]}),
        "messages_object": result({"messages": {"role": "user", "content": inner}}),
        "message_member": result({"messages": [{"role": "user", "content": "{}", "customer": data}]}),
        "completion_text": result({"completion": {"values": inner}}),
        "completion_objects": result({"completion": {"values": [data]}}),
        "completion_member": result({"completion": {"values": [], "labels": [data]}}),
    }


PLACES = sorted(hidden_places("", None))
# Texts about an answer, which may be withheld instead.
LABELS = {"link_description", "link_title", "prompt_description"}
ODD_PLACES = sorted(odd_places("", None))


@HIDING
@STYLES
@ERAS
@pytest.mark.parametrize("place", PLACES)
def b33_a_field_is_hidden_in_every_place(through: Through, place: str, era: str, style: str, listener: str) -> None:
    said = hidden_places(INNER, json.loads(INNER))[place]
    exchange = ask(through(listener), said, style, era)
    hides(exchange)
    # It is what is left, and not the whole answer, that went missing.
    assert exchange.forwarded()
    assert exchange.record["redacted"] == ["ssn"] or place in LABELS


@HIDING
@STYLES
@pytest.mark.parametrize("place", ODD_PLACES)
def b33_a_field_is_hidden_where_it_does_not_belong(through: Through, place: str, style: str, listener: str) -> None:
    hides(ask(through(listener), odd_places(INNER, json.loads(INNER))[place], style))


@OWNING
@STYLES
@pytest.mark.parametrize("place", PLACES)
def b33_a_customer_of_others_is_taken_out_of_every_place(
    through: Through, place: str, style: str, listener: str
) -> None:
    said = hidden_places(f"[{FOREIGN}]", [foreign()])[place]
    hides(ask(through(listener), said, style))


@OWNING
@STYLES
@pytest.mark.parametrize("place", PLACES)
def b34_the_callers_own_data_stays_in_every_place(through: Through, place: str, style: str, listener: str) -> None:
    said = hidden_places(json.dumps([own()]), [own()])[place]
    exchange = ask(through(listener), said, style)
    if listener != "owned_in_texts":
        # The name of a link is a text without fields.
        said = json.loads(json.dumps(said).replace('"name": "n"', '"name": "[withheld]"'))
    assert exchange.forwarded() and exchange.response.rpc() == said


@OWNING
@pytest.mark.parametrize("place", ODD_PLACES)
def b33_a_customer_of_others_is_taken_out_where_it_does_not_belong(
    through: Through, place: str, listener: str
) -> None:
    hides(ask(through(listener), odd_places(FOREIGN, foreign())[place]))


# Messages of the server before its answer, or on a stream of their own.
def announcements(inner: str, data: Any) -> dict[str, Any]:
    """Notifications and requests with these data."""
    notify = {"jsonrpc": "2.0"}
    schema = {"type": "object", "properties": {"ssn": {"type": "string", "default": data}}}
    return {
        "log": notify | {"method": "notifications/message", "params": {"level": "info", "data": data}},
        "log_text": notify | {"method": "notifications/message", "params": {"level": "info", "data": inner}},
        "progress": notify | {"method": "notifications/progress", "params": {"progressToken": 1, "progress": 1, "message": inner}},
        "cancelled": notify | {"method": "notifications/cancelled", "params": {"requestId": 1, "reason": inner}},
        "elicitation": notify | {"id": 5, "method": "elicitation/create", "params": {"message": inner, "requestedSchema": {}}},
        "elicitation_schema": notify | {"id": 5, "method": "elicitation/create", "params": {"message": "{}", "requestedSchema": schema}},
        "sampling": notify | {"id": 5, "method": "sampling/createMessage", "params": {"messages": [{"role": "user", "content": block(inner)}], "systemPrompt": inner}},
        "meta": notify | {"method": "notifications/message", "params": {"level": "info", "data": "", "_meta": {"of": data}}},
        "unknown": notify | {"method": "notifications/example", "params": {"of": data, "text": inner}},
        "params_list": notify | {"method": "notifications/example", "params": [data]},
        "params_text": notify | {"method": "notifications/example", "params": inner},
    }


ANNOUNCEMENTS = sorted(announcements("", None))


@HIDING
@pytest.mark.parametrize("stream", ["POST", "GET"])
@pytest.mark.parametrize("kind", ANNOUNCEMENTS)
def b33_messages_before_the_answer_are_inspected(
    through: Through, kind: str, stream: str, listener: str
) -> None:
    said = event_stream(announcements(INNER, json.loads(INNER))[kind], texts("{}"))
    exchange = on(stream, through(listener), said)
    hides(exchange)
    assert len(exchange.response.events()) == 2


@OWNING
@pytest.mark.parametrize("stream", ["POST", "GET"])
@pytest.mark.parametrize("kind", ANNOUNCEMENTS)
def b33_messages_before_the_answer_have_no_data_of_others(
    through: Through, kind: str, stream: str, listener: str
) -> None:
    said = event_stream(announcements(f"[{FOREIGN}]", [foreign()])[kind], texts("[]"))
    hides(on(stream, through(listener), said))


def on(stream: str, gateway: Gateway, said: Any) -> Exchange:
    """The stream of a call, or a GET stream."""
    if stream == "POST":
        return ask(gateway, said)
    gateway.upstream.answer = said
    return gateway.get(token=tokens.support())


@STYLES
@HIDING
def b33_requests_of_the_server_are_inspected(through: Through, listener: str, style: str) -> None:
    """In 2026-07-28 its requests are a part of its answer."""
    asked = {
        "who": {"method": "elicitation/create", "params": {"message": INNER, "requestedSchema": {}}},
        "what": {"method": "sampling/createMessage", "params": {"messages": [{"role": "user", "content": block(INNER)}]}},
    }
    said = result({"resultType": "input_required", "inputRequests": asked, "requestState": "s"})
    exchange = ask(through(listener), said, style, MODERN)
    hides(exchange)
    assert set(exchange.response.rpc()["result"]["inputRequests"]) == {"who", "what"}


OPERATIONS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "resources/read": (
        "resources/read",
        {"uri": "crm://public/faq"},
        {"contents": [{"uri": "crm://public/faq", "text": INNER}, {"uri": "x", "blob": base64_of(INNER)}]},
    ),
    "prompts/get": (
        "prompts/get",
        {"name": "customer_summary"},
        {"messages": [{"role": "user", "content": block(INNER)}]},
    ),
    "completion": (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "customer_summary"}, "argument": {"name": "x", "value": ""}},
        {"completion": {"values": [INNER]}},
    ),
    "template_completion": (
        "completion/complete",
        {"ref": {"type": "ref/resource", "uri": "crm://org-a/{id}"}, "argument": {"name": "id", "value": ""}},
        {"completion": {"values": [INNER]}},
    ),
}


@HIDING
@STYLES
@ERAS
@pytest.mark.parametrize(("method", "params", "said"), OPERATIONS.values(), ids=OPERATIONS)
def b33_resources_prompts_and_completions(
    through: Through, method: str, params: Any, said: Any, era: str, style: str, listener: str
) -> None:
    gateway = through(listener)
    gateway.upstream.answer = answer(result(said), style)
    exchange = gateway.post(message(era, method, params), tokens.support(), era)
    exchange.forwarded()
    hides(exchange)
    assert exchange.record["redacted"] == ["ssn"]


def b33_texts_of_links_are_withheld(through: Through) -> None:
    hides(ask(through("hides"), result({"content": [link(description=f"The number is {SSN}")]})))


def b33_links_to_data_of_others_are_hidden(through: Through) -> None:
    hides(ask(through("owned"), result({"content": [link(name=OTHERS, uri="crm://org-b/7")]})))


ERROR_BODIES: dict[str, bytes] = {
    "detail": encoded({"detail": f"no customer {SSN}", "ssn": SSN}),
    "text": encoded({"error": INNER}),
    "problem": encoded({"type": "about:blank", "title": "x", "customer": {"ssn": SSN}}),
    "rpc": encoded(error(message=INNER, data={"ssn": SSN})),
    "list": encoded([{"ssn": SSN}]),
}


@HIDING
@pytest.mark.parametrize("status", [400, 404, 422, 500])
@pytest.mark.parametrize("body", ERROR_BODIES.values(), ids=ERROR_BODIES)
def b33_an_error_of_the_server_hides_as_much(through: Through, body: bytes, status: int, listener: str) -> None:
    exchange = ask(through(listener), json_answer(body, status))
    hides(exchange)
    assert exchange.status == exchange.logged_status == status


@pytest.mark.parametrize("content_type", ["text/html", "text/plain; charset=utf-8", "application/problem+json", ""])
@pytest.mark.parametrize("status", [400, 404, 500, 503])
def b33_an_error_page_is_not_passed(through: Through, status: int, content_type: str) -> None:
    exchange = ask(through("hides_in_texts"), json_answer(b"<h1>" + SSN.encode(), status, content_type))
    hides(exchange)
    assert exchange.status == exchange.logged_status == status
    assert exchange.response.header("content-type") == "application/json"
    assert exchange.response.error_code() == -32603
