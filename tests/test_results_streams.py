"""Rules for results apply to later results: resumed streams, tasks, notifications."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import PROGRESS, answer, event_stream, raw_stream, result
from .harness.envoy_config import Listener
from .harness.gateway import Exchange, Gateway
from .harness.handles import (
    EVENT,
    EVENT_HEADER,
    ID_LINE,
    SESSION_HEADER,
    TASK,
    HandleGateway,
    Sealed,
    begin,
    bodyless,
)
from .harness.messages import LEGACY, MODERN, call, message
from .harness.results import (
    OTHERS,
    OWNER,
    SSN,
    foreign,
    hides,
    judged,
    own,
    structured,
)
from .harness.tasks import about, asks, create
from .harness.variants import CLIENTS, ERAS, STYLES

TOOL = "crm.get_customer"

# One rule for each of the tools, and one that is for neither.
RULES = [
    {"tools": [TOOL], "owner": OWNER, "redact": ["ssn"]},
    {"tools": ["crm.search_*"], "redact": ["phone"], "text": "keep"},
    {"prompts": ["*"], "redact": ["note"], "text": "keep"},
]

LISTENERS = {
    "crm": Listener(judged(*RULES)),
    "http2_server": Listener(judged(*RULES), "upstream_h2"),
    "one_rule": Listener(judged(RULES[0])),
    "not_for_managers": Listener(judged({**RULES[0], "unless_role": ["manager"]})),
}

LISTENED = pytest.mark.parametrize("listener", ["crm", "http2_server"])

SAID = structured([own(ssn=SSN, phone="555-0100", note="kept"), foreign(ssn="987-65-4321")])
OF_THE_TOOL = [own(ssn="***", phone="555-0100", note="kept")]
OF_ALL = [own(ssn="***", phone="***", note="***")]


def customers(exchange: Exchange) -> Any:
    """What a client received, which its text repeats."""
    hides(exchange, SSN, OTHERS, "987-65-4321")
    answered = exchange.response.rpc()["result"]
    answered = answered.get("result", answered)
    assert json.loads(answered["content"][0]["text"]) == answered["structuredContent"]
    return answered["structuredContent"]


def broken_off(gateway: HandleGateway, token: str, session: str, body: dict[str, Any]) -> str:
    """Ask for something whose stream breaks off; the event to go on from."""
    gateway.upstream.answer = raw_stream(f"id: {EVENT}\ndata:\n\n".encode())
    exchange = gateway.post(body, token, headers=[(SESSION_HEADER, session)])
    exchange.forwarded()
    (held,) = ID_LINE.findall(exchange.response.body)
    return gateway.hold(held.decode())


@CLIENTS
@LISTENED
def b33_a_resumed_stream_is_judged_as_its_tool(sealed: Sealed, listener: str, http2: bool) -> None:
    gateway, token = sealed(listener), tokens.support()
    session = begin(gateway, token)
    event = broken_off(gateway, token, session, call(LEGACY, TOOL))
    gateway.upstream.answer = event_stream(PROGRESS, SAID)
    headers = [(SESSION_HEADER, session), (EVENT_HEADER, event)]
    assert customers(bodyless(gateway, "GET", token, headers, http2)) == OF_THE_TOOL


def b33_a_resumed_stream_of_a_prompt_is_judged_by_every_rule(sealed: Sealed) -> None:
    gateway, token = sealed("crm"), tokens.support()
    session = begin(gateway, token)
    body = message(LEGACY, "prompts/get", {"name": "customer_summary"})
    event = broken_off(gateway, token, session, body)
    gateway.upstream.answer = event_stream(SAID)
    headers = [(SESSION_HEADER, session), (EVENT_HEADER, event)]
    assert customers(bodyless(gateway, "GET", token, headers)) == OF_ALL


@CLIENTS
@LISTENED
@pytest.mark.parametrize("size", [1, 7, 10_000])
def b33_a_get_stream_is_inspected_by_every_rule(
    sealed: Sealed, listener: str, size: int, http2: bool
) -> None:
    gateway, token = sealed(listener), tokens.support()
    session = begin(gateway, token)
    gateway.upstream.answer = event_stream(PROGRESS, SAID).split(size).with_(pause=0)
    exchange = bodyless(gateway, "GET", token, [(SESSION_HEADER, session)], http2)
    assert customers(exchange) == OF_ALL
    assert json.loads(exchange.response.events()[0]) == PROGRESS
    assert exchange.record["dropped_items"] == 1
    assert sorted(exchange.record["redacted"]) == ["note", "phone", "ssn"]


def b33_a_role_sees_everything_on_every_stream(sealed: Sealed) -> None:
    gateway, token = sealed("not_for_managers"), tokens.manager()
    gateway.upstream.answer = event_stream(SAID)
    assert bodyless(gateway, "GET", token, []).response.rpc() == SAID
    exchange = bodyless(gateway, "GET", tokens.support(), [])
    assert customers(exchange) == OF_THE_TOOL


@STYLES
@CLIENTS
@pytest.mark.parametrize(("era", "method"), [(LEGACY, "tasks/result"), (MODERN, "tasks/get"), (MODERN, "tasks/update")])
def b33_the_result_of_a_task_is_judged_as_its_tool(
    sealed: Sealed, era: str, method: str, style: str, http2: bool
) -> None:
    gateway, token = sealed("crm"), tokens.support()
    held = create(gateway, token, era, TOOL)
    said = SAID if era == LEGACY else result({"taskId": TASK, "status": "completed", "result": SAID["result"]})
    gateway.upstream.answer = answer(said, style)
    exchange = about(gateway, token, era, method, held, http2)
    assert customers(exchange) == OF_THE_TOOL
    assert (exchange.record["dropped_items"], exchange.record["redacted"]) == (1, ["ssn"])


@STYLES
def b33_a_task_about_data_of_another_owner_is_refused(sealed: Sealed, style: str) -> None:
    gateway, token = sealed("crm"), tokens.support()
    held = create(gateway, token, MODERN, TOOL)
    inner = structured(foreign())["result"]
    gateway.upstream.answer = answer(result({"taskId": TASK, "status": "completed", "result": inner}), style)
    exchange = about(gateway, token, MODERN, "tasks/get", held)
    hides(exchange)
    assert exchange.response.error_code() == 403
    assert exchange.record["reason"] == "not_owned"


@ERAS
@STYLES
def b33_the_error_of_a_failed_task_is_hidden(sealed: Sealed, style: str, era: str) -> None:
    gateway, token = sealed("crm"), tokens.support()
    held = create(gateway, token, era, TOOL)
    failed = {"taskId": TASK, "status": "failed", "statusMessage": f"no customer {SSN}"}
    failed |= {"error": {"code": 1, "message": f"bad {SSN}", "data": {"ssn": SSN}}}
    gateway.upstream.answer = answer(result(failed), style)
    hides(about(gateway, token, era, "tasks/get", held))


def news(**more: Any) -> dict[str, Any]:
    """What a server tells of a task."""
    return {"jsonrpc": "2.0", "method": "notifications/tasks", "params": {"taskId": TASK, "status": "completed", **more}}


@CLIENTS
@LISTENED
@pytest.mark.parametrize("size", [1, 10_000])
def b33_task_notifications_are_inspected(sealed: Sealed, listener: str, size: int, http2: bool) -> None:
    gateway, token = sealed(listener), tokens.support()
    held = create(gateway, token, MODERN, TOOL)
    told = event_stream(news(statusMessage="soon"), news(result=SAID["result"]))
    gateway.upstream.answer = told.split(size).with_(pause=0)
    body = asks(MODERN, "subscriptions/listen", notifications={"taskIds": [held]})
    exchange = gateway.post(body, token, MODERN, http2=http2)
    exchange.forwarded()
    hides(exchange, SSN, OTHERS, "987-65-4321")
    soon, done = [json.loads(each)["params"] for each in exchange.response.events()]
    assert (soon["taskId"], done["taskId"]) == (held, held)
    # It cannot be told which rule is for it.
    assert done["result"]["structuredContent"] == OF_ALL


@STYLES
def b36_an_answer_to_another_id_is_inspected(sealed: Sealed, style: str) -> None:
    """A server that confuses requests can send one caller's answer to another."""
    gateway, token = sealed("one_rule"), tokens.support()
    for id in (7, "1", None):
        gateway.upstream.answer = answer({**SAID, "id": id}, style)
        exchange = gateway.post(call(LEGACY, TOOL), token)
        hides(exchange, SSN, OTHERS, "987-65-4321")


@STYLES
@ERAS
def b36_several_answers_on_one_stream_are_all_judged(sealed: Sealed, style: str, era: str) -> None:
    gateway, token = sealed("one_rule"), tokens.support()
    gateway.upstream.answer = event_stream({**SAID, "id": 2}, PROGRESS, SAID, SAID)
    exchange = gateway.post(call(era, TOOL), token, era)
    hides(exchange, SSN, OTHERS, "987-65-4321")
    assert exchange.record["dropped_items"] == 3


def test_both_tools_have_a_rule_of_their_own(through: Callable[[str], Gateway]) -> None:
    gateway = through("crm")
    for tool, hidden in ((TOOL, OF_THE_TOOL), ("crm.search_all", [own(ssn=SSN, phone="***", note="kept"), foreign(ssn="987-65-4321")])):
        gateway.upstream.answer = answer(SAID, "json")
        exchange = gateway.post(call(LEGACY, tool), tokens.support())
        assert exchange.response.json["result"]["structuredContent"] == hidden
