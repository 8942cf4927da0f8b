"""Tasks of both eras belong to their caller, and need what their tool needs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import Answer, encoded, event_stream, json_answer, raw_stream, result
from .harness.gateway import Exchange
from .harness.handles import (
    SECONDS,
    SERVERS,
    SHORT,
    STRANGERS,
    TASK,
    HandleGateway,
    Sealed,
    Stranger,
    begin,
    forgeries,
)
from .harness.messages import LEGACY, MODERN, call, mirrored, rpc, sentinel
from .harness.tasks import (
    OPERATIONS,
    RELATED,
    about,
    asks,
    create,
    named,
    task_call,
    task_state,
    unknown,
)
from .harness.variants import CLIENTS, ERAS, STYLED
from .harness.waiting import wait_until

LISTENERS = {**SERVERS, "short": SHORT}


@OPERATIONS
@STYLED
@CLIENTS
def b24_the_server_is_asked_about_its_own_task(
    sealed: Sealed, era: str, method: str, style: Callable[[Any], Answer], http2: bool
) -> None:
    gateway, token = sealed("crm"), tokens.support()
    held = create(gateway, token, era, style=style)
    # What a tool says under the same name is its own affair.
    data = {"taskId": "data", "structuredContent": {"taskId": "data"}}
    gateway.upstream.answer = style(
        result({"taskId": TASK, "status": "completed", "result": data, "content": []})
    )
    exchange = about(gateway, token, era, method, held, http2)
    received = exchange.forwarded()
    assert received.json["params"]["taskId"] == TASK
    if era == MODERN:
        assert received.header("mcp-name") == TASK
    answered = exchange.response.rpc()["result"]
    assert answered == {"taskId": held, "status": "completed", "result": data, "content": []}
    assert exchange.record["gen_ai.tool.name"] == "crm.get_customer"


def b24_a_task_id_of_any_characters_comes_back(sealed: Sealed) -> None:
    gateway, token = sealed("crm"), tokens.support()
    for task in ('"\\\n/é😀', "", " x ", "=?base64?eA==?=", "a\r\nx-mcp-user: eve", "x" * 9000):
        gateway.upstream.answer = json_answer(task_state(MODERN, task))
        exchange = gateway.post(task_call(MODERN, "crm.get_customer"), token, MODERN)
        held = gateway.hold(named(exchange.response.rpc()))
        gateway.upstream.answer = json_answer(result({"taskId": task}))
        exchange = about(gateway, token, MODERN, "tasks/get", held)
        received = exchange.forwarded()
        assert received.json["params"]["taskId"] == task
        # Text that looks encoded has to be.
        expected = sentinel(task) if task.startswith("=?") else mirrored(task)
        assert received.header("mcp-name") == expected
        assert received.all("x-mcp-user") == [tokens.USER]
        assert named(exchange.response.rpc()) == held


@STRANGERS
@OPERATIONS
def b24_the_task_of_another_caller_is_unknown(sealed: Sealed, stranger: Stranger, era: str, method: str) -> None:
    held = create(sealed("crm"), tokens.support(), era)
    gateway, token = sealed(stranger.listener), stranger.token()
    own = create(gateway, token, era)
    assert about(gateway, token, era, method, own).forwarded().json["params"]["taskId"] == TASK
    unknown(about(gateway, token, era, method, held))


@OPERATIONS
def b24_a_forged_task_is_unknown(sealed: Sealed, era: str, method: str) -> None:
    gateway, token = sealed("crm"), tokens.support()
    held = create(gateway, token, era)
    session = begin(gateway, token, TASK)
    for forged in [TASK, "", session, "A" * 20_000, *forgeries(held)]:
        unknown(about(gateway, token, era, method, forged))
    exchange = gateway.post(rpc("ping"), token, headers=[("mcp-session-id", held)])
    exchange.refused(404, -32001, "blocked")


@ERAS
def b24_a_task_may_be_followed_in_the_other_era(sealed: Sealed, era: str) -> None:
    """It is the same caller, and the same server."""
    other = {LEGACY: MODERN, MODERN: LEGACY}[era]
    gateway, token = sealed("crm"), tokens.support()
    held = create(gateway, token, era)
    assert about(gateway, token, other, "tasks/get", held).forwarded().json["params"]["taskId"] == TASK


@OPERATIONS
def b24_a_task_ends_with_the_role_for_its_tool(sealed: Sealed, era: str, method: str) -> None:
    gateway = sealed("crm")
    held = create(gateway, tokens.manager(), era, "crm.report")
    about(gateway, tokens.manager(), era, method, held).forwarded()
    for token in (tokens.support(), tokens.token("nobody")):
        exchange = about(gateway, token, era, method, held)
        exchange.refused(200, -32602, "blocked")
        assert exchange.record["reason"] == "no_role"
        assert exchange.record["gen_ai.tool.name"] == "crm.report"


@OPERATIONS
def b24_a_task_needs_the_scope_of_its_tool(sealed: Sealed, era: str, method: str) -> None:
    gateway = sealed("crm")
    held = create(gateway, tokens.manager(scope="crm:export"), era, "crm.export")
    about(gateway, tokens.manager(scope="crm:export"), era, method, held).forwarded()
    exchange = about(gateway, tokens.manager(), era, method, held)
    exchange.refused(403, 403, "needs_review")


@OPERATIONS
def b24_arguments_are_judged_when_the_task_is_made(sealed: Sealed, era: str, method: str) -> None:
    """A later request about it has none, and is no reason to deny."""
    gateway, token = sealed("crm"), tokens.manager()
    refused = gateway.post(task_call(era, "crm.discount", percent=50), token, era)
    if era == MODERN:
        refused.does_not_hold()
    else:
        # The answer of such a call would be a task.
        refused.refused(200, -32602, "blocked")
    held = create(gateway, token, era, "crm.discount", percent=5)
    about(gateway, token, era, method, held).forwarded()


@ERAS
def b24_a_task_expires(sealed: Sealed, era: str) -> None:
    gateway, token = sealed("short"), tokens.support()
    begun = time.time()
    held = create(gateway, token, era)
    made = time.time()
    exchange = about(gateway, token, era, "tasks/get", held)
    # Seconds are counted whole. On a very slow machine the task has expired by now, and this says nothing.
    if time.time() < begun + SECONDS - 1:
        exchange.forwarded()
    wait_until(made + SECONDS + 0.1)
    unknown(about(gateway, token, era, "tasks/get", held))
    about(gateway, token, era, "tasks/get", create(gateway, token, era)).forwarded()


@ERAS
def b24_a_request_about_a_task_does_not_extend_it(sealed: Sealed, era: str) -> None:
    """A task that is told about is the same text as before, with the same end."""
    gateway, token = sealed("crm"), tokens.support()
    held = create(gateway, token, era)
    time.sleep(1.1)
    gateway.upstream.answer = json_answer(result({"taskId": TASK, "status": "working"}))
    exchange = about(gateway, token, era, "tasks/get", held)
    assert named(exchange.response.rpc()) == held


@pytest.mark.parametrize("other", [TASK, "another"])
def b07_b24_the_header_names_the_task_of_the_body(sealed: Sealed, other: str) -> None:
    gateway, token = sealed("crm"), tokens.support()
    held = create(gateway, token, MODERN)
    body = asks(MODERN, "tasks/get", taskId=held)
    for headers in ([("mcp-name", other)], []):
        gateway.post(body, token, MODERN, headers).refused(400, -32020, "blocked")


def listen(gateway: HandleGateway, token: str, *tasks: str) -> Exchange:
    """Ask for news of tasks."""
    body = asks(MODERN, "subscriptions/listen", notifications={"taskIds": list(tasks)})
    return gateway.post(body, token, MODERN)


def news(task: str, method: str = "notifications/tasks", **more: Any) -> dict[str, Any]:
    """What a server tells of a task."""
    return {"jsonrpc": "2.0", "method": method, "params": {"taskId": task, "status": "working", **more}}


@pytest.mark.parametrize("size", [1, 10_000])
def b24_task_notifications_reach_their_caller_only(sealed: Sealed, size: int) -> None:
    gateway, token = sealed("crm"), tokens.manager()
    held = create(gateway, token, MODERN)
    acknowledged = "notifications/subscriptions/acknowledged"
    told = [{"jsonrpc": "2.0", "method": acknowledged, "params": {"notifications": {"taskIds": [TASK]}}}]
    told += [news(TASK), news(f"{TASK}-of-another"), news(TASK, result={"taskId": "data"})]
    stream = event_stream(*told).chunks
    gateway.upstream.answer = raw_stream(*stream).split(size).with_(pause=0)
    exchange = listen(gateway, token, held)
    received = exchange.forwarded()
    assert received.json["params"]["notifications"]["taskIds"] == [TASK]
    expected = [json.loads(json.dumps(each).replace(TASK, held)) for each in told]
    assert [json.loads(each) for each in exchange.response.events()] == expected[:2] + expected[3:]


def b24_only_own_tasks_can_be_listened_to(sealed: Sealed) -> None:
    gateway = sealed("crm")
    held = create(gateway, tokens.manager(), MODERN)
    reported = create(gateway, tokens.manager(), MODERN, "crm.report")
    listen(gateway, tokens.manager(), held, reported).forwarded()
    for token, task in (
        (tokens.manager(), TASK),
        (tokens.manager(), forgeries(held)[0]),
        (tokens.manager(sub="user-bob"), held),
    ):
        unknown(listen(gateway, token, held, task) if task != held else listen(gateway, token, task))
    # Its tool is not allowed any more; of the other one it is.
    listen(gateway, tokens.support(), held).forwarded()
    exchange = listen(gateway, tokens.support(), held, reported)
    assert exchange.refused(200, -32602, "blocked").record["reason"] == "no_role"


def b24_a_question_about_a_task_and_its_answer(sealed: Sealed) -> None:
    """2025-11-25: the server asks on the way to the result; both name the task in `_meta`."""
    gateway, token = sealed("crm"), tokens.support()
    held = create(gateway, token, LEGACY)
    asks = rpc("elicitation/create", {"message": "?", "_meta": {RELATED: {"taskId": TASK}}}, 9)
    told = result({"content": [], "_meta": {RELATED: {"taskId": TASK}}})
    gateway.upstream.answer = event_stream(asks, told)
    exchange = about(gateway, token, LEGACY, "tasks/result", held)
    exchange.forwarded()
    for sent, seen in zip((asks, told), exchange.response.events(), strict=True):
        assert json.loads(seen) == json.loads(json.dumps(sent).replace(TASK, held))

    def answer(token: str, task: str) -> Exchange:
        gateway.upstream.answer = Answer(202, sized=True)
        filled_in = {"action": "accept", "content": {"user_id": "user-eve"}}
        return gateway.post(result({**filled_in, "_meta": {RELATED: {"taskId": task}}}, 9), token)

    received = answer(token, held).forwarded(status=202)
    assert received.json["result"]["_meta"][RELATED] == {"taskId": TASK}
    assert received.json["result"]["content"] == {"user_id": tokens.USER}
    for refused in (answer(tokens.support(sub="user-bob"), held), answer(token, TASK)):
        assert refused.refused({200, 400}, -32602, "blocked").record["reason"] == "unknown_task"


@ERAS
def b24_only_requests_about_tasks_name_one(sealed: Sealed, era: str) -> None:
    gateway, token = sealed("crm"), tokens.support()
    held = create(gateway, token, era)
    gateway.upstream.answer = json_answer(result({"content": []}))
    for task in (held, TASK):
        body = call(era, "crm.get_customer", {"query": "x"}, taskId=task)
        unknown(gateway.post(body, token, era))
        related = call(era, "crm.get_customer", _meta={RELATED: {"taskId": task}})
        exchange = gateway.post(related, token, era)
        if task == held:
            assert exchange.forwarded().json["params"]["_meta"][RELATED] == {"taskId": TASK}
        else:
            unknown(exchange)


@ERAS
@pytest.mark.parametrize("method", ["tasks/list", "tasks/get/x", "tasks/GET", "tasks/delete"])
def b24_other_methods_about_tasks_are_unknown(sealed: Sealed, era: str, method: str) -> None:
    gateway, token = sealed("crm"), tokens.support()
    body = asks(era, method, taskId=create(gateway, token, era))
    gateway.post(body, token, era).refused({200, 404}, -32601, "blocked")


@pytest.mark.parametrize(("era", "method"), [(LEGACY, "tasks/update"), (MODERN, "tasks/result")])
def b24_methods_of_the_other_era_are_unknown(sealed: Sealed, era: str, method: str) -> None:
    gateway, token = sealed("crm"), tokens.support()
    body = asks(era, method, taskId=create(gateway, token, era))
    gateway.post(body, token, era).refused({200, 404}, -32601, "blocked")


def b24_a_task_status_from_a_client_is_refused(sealed: Sealed) -> None:
    body = {"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": {"taskId": TASK}}
    sealed("crm").post(body, tokens.support()).refused({400, 404}, None, "blocked")


@OPERATIONS
def b24_a_task_has_to_be_named(sealed: Sealed, era: str, method: str) -> None:
    gateway, token = sealed("crm"), tokens.support()
    for params in ({}, {"taskId": None}, {"taskId": 1}, {"taskid": TASK}, {"taskId": [TASK]}):
        body = asks(era, method, **params)
        gateway.post(body, token, era).refused({200, 400}, {-32602, -32600, -32020}, "blocked")


@ERAS
def b24_a_server_that_cannot_be_understood_hands_out_no_task(sealed: Sealed, era: str) -> None:
    gateway = sealed("crm")
    broken = encoded(task_state(era, TASK))[:-1]
    for answer in (json_answer(broken), event_stream(broken), json_answer([task_state(era, TASK)])):
        gateway.upstream.answer = answer
        exchange = gateway.post(task_call(era, "crm.get_customer"), tokens.support(), era)
        assert exchange.response.error_code() == -32603
        assert exchange.record["reason"] == "upstream_answer_uncheckable"
