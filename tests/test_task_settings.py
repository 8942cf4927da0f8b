"""Tasks without a key, behind a buffer filter, and in observe mode."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .harness import tokens
from .harness.answers import Answer, encoded, json_answer
from .harness.gateway import Gateway
from .harness.handles import BUFFERED, NO_KEY, OBSERVE, SERVERS, TASK, Sealed
from .harness.messages import LEGACY, MODERN, call
from .harness.tasks import (
    CAPABILITIES,
    OPERATIONS,
    TASKS,
    about,
    create,
    named,
    task_call,
    task_state,
    unknown,
)
from .harness.variants import ERAS, STYLED

LISTENERS = {**SERVERS, "no_key": NO_KEY, "buffered": BUFFERED, "observe": OBSERVE}


def b24_without_a_key_no_call_may_become_a_task(sealed: Sealed) -> None:
    for task in ({"ttl": 60}, {}):
        body = call(LEGACY, "crm.get_customer", {"query": "x"}, task=task)
        exchange = sealed("no_key").post(body, tokens.support())
        exchange.refused(500, -32603, "blocked")
        assert exchange.record["reason"] == "no_seal_key"
        assert "seal" in exchange.record["next_action"]


@OPERATIONS
def b24_without_a_key_no_task_is_known(sealed: Sealed, era: str, method: str) -> None:
    token = tokens.support()
    for task in (create(sealed("crm"), token, era), TASK):
        unknown(about(sealed("no_key"), token, era, method, task))


@STYLED
def b24_without_a_key_a_task_is_not_given_out(sealed: Sealed, style: Callable[[Any], Answer]) -> None:
    """The server was not offered tasks, and answers with one all the same."""
    gateway = sealed("no_key")
    gateway.upstream.answer = style(task_state(MODERN, TASK))
    exchange = gateway.post(task_call(MODERN, "crm.get_customer"), tokens.support(), MODERN)
    assert exchange.response.error_code() == -32603
    assert exchange.record["decision"] == "blocked"
    assert exchange.record["reason"] == "no_seal_key"
    assert exchange.status == (502 if style is json_answer else 200)


OTHER = '"com.example/other":{"a":1}'
EXTENSIONS = [
    (f'{{"{TASKS}":{{}}}}', "{}"),
    (f'{{"{TASKS}":{{"deep":[1,{{"a":"}}"}}]}},{OTHER}}}', f"{{{OTHER}}}"),
    (f'{{{OTHER},"{TASKS}":{{}}}}', f"{{{OTHER}}}"),
    (f'{{{OTHER}, "{TASKS}" : {{}} ,"z":2}}', f'{{{OTHER},"z":2}}'),
    (f'{{"io.modelcontextprotocol\\/ta\\u0073ks":{{}},{OTHER}}}', f"{{{OTHER}}}"),
    (f"{{{OTHER}}}", f"{{{OTHER}}}"),
]


@pytest.mark.parametrize("listener", ["no_key", "crm"])
@pytest.mark.parametrize(("written", "kept"), EXTENSIONS, ids=range(len(EXTENSIONS)))
def b24_without_a_key_tasks_are_not_offered_to_the_server(
    sealed: Sealed, listener: str, written: str, kept: str
) -> None:
    body = call(MODERN, "crm.get_customer", {"n": 1})
    body["params"]["_meta"][CAPABILITIES] = {"extensions": "*", "sampling": {}}
    text = encoded(body).decode().replace('"*"', written).replace('"n":1', '"n":1.50')
    received = sealed(listener).post(text.encode(), tokens.support(), MODERN, like=body).forwarded()
    if listener == "crm" or written == kept:
        assert received.body == text.encode()
        return
    capabilities = received.json["params"]["_meta"][CAPABILITIES]
    assert capabilities == {"extensions": json.loads(kept), "sampling": {}}
    assert b'"n":1.50' in received.body


def b24_a_look_alike_of_the_tasks_extension_is_refused(sealed: Sealed) -> None:
    body = call(MODERN, "crm.get_customer")
    for look_alike in ({"extensions": {TASKS.upper(): {}}}, {"Extensions": {TASKS: {}}}):
        body["params"]["_meta"][CAPABILITIES] = look_alike
        exchange = sealed("no_key").post(body, tokens.support(), MODERN)
        exchange.refused(400, {-32600, -32700}, "blocked")


@pytest.mark.parametrize("method", ["tasks/get", "tasks/result", "tasks/cancel"])
def b24_tasks_behind_a_buffer_filter(sealed: Sealed, method: str) -> None:
    gateway, token = sealed("buffered"), tokens.support()
    held = create(gateway, token, LEGACY)
    assert about(gateway, token, LEGACY, method, held).forwarded().json["params"]["taskId"] == TASK
    unknown(about(gateway, tokens.support(sub="user-bob"), LEGACY, method, held))


def b24_a_header_that_has_gone_on_cannot_name_a_task(sealed: Sealed) -> None:
    """With a buffer filter, `Mcp-Name` is at the server's door before the body is judged."""
    gateway, token = sealed("buffered"), tokens.support()
    held = create(gateway, token, MODERN)
    exchange = about(gateway, token, MODERN, "tasks/get", held).refused(500, -32603, "blocked")
    assert exchange.record["reason"] == "headers_already_sent"


@ERAS
def test_observe_mode_leaves_tasks_as_they_are(through: Callable[[str], Gateway], era: str) -> None:
    gateway, token = through("observe"), tokens.support()
    gateway.upstream.answer = json_answer(task_state(era, "of the server"))
    body = task_call(era, "crm.get_customer")
    exchange = gateway.post(body, token, era)
    assert exchange.received.body == encoded(body)
    assert named(exchange.response.rpc()) == "of the server"
    exchange = about(gateway, token, era, "tasks/get", "of the server")
    assert exchange.received.json["params"]["taskId"] == "of the server"
    assert exchange.record["decision"] == "draft"
