"""Handles that name somebody's work: tasks and resumed streams are not accepted."""

from __future__ import annotations

import json

import pytest

from .harness import tokens
from .harness.answers import encoded
from .harness.envoy_config import Listener
from .harness.gateway import Gateway
from .harness.messages import LEGACY, META, MODERN, call, message
from .harness.policy import policy

LISTENERS = {"crm": Listener(policy())}

TASKS = f"{META}tasks"
CAPABILITIES = f"{META}clientCapabilities"


@pytest.mark.parametrize("era", [LEGACY, MODERN])
@pytest.mark.parametrize("method", ["tasks/get", "tasks/cancel", "tasks/update", "tasks/result", "tasks/list"])
def b24_tasks_name_no_owner(gateway: Gateway, era: str, method: str) -> None:
    body = message(era, method, {"taskId": "t-1"})
    headers = [("mcp-name", "t-1")] if era == MODERN else []
    gateway.post(body, tokens.manager(), era, headers).refused({400, 404}, {-32601, -32020}, "blocked")


@pytest.mark.parametrize("era", [LEGACY, MODERN])
def b24_a_call_may_not_become_a_task(gateway: Gateway, era: str) -> None:
    for extra in ({"task": {"ttl": 60}}, {"task": None}, {"taskId": "t-1"}):
        body = call(era, "crm.get_customer", {"query": "x"}, **extra)
        gateway.post(body, tokens.support(), era).refused({400, 404}, None, "blocked")


def b24_listening_may_not_name_tasks(gateway: Gateway) -> None:
    body = message(MODERN, "subscriptions/listen", {"notifications": {"taskIds": ["t-1"]}})
    gateway.post(body, tokens.support(), MODERN).refused({200, 400, 404}, None, "blocked")


def b24_a_task_status_from_a_client_is_refused(gateway: Gateway) -> None:
    body = {"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": {"taskId": "t-1"}}
    gateway.post(body, tokens.support()).refused({400, 404}, None, "blocked")


OTHER = '"com.example/other":{"a":1}'
EXTENSIONS = [
    (f'{{"{TASKS}":{{}}}}', "{}"),
    (f'{{"{TASKS}":{{"deep":[1,{{"a":"}}"}}]}},{OTHER}}}', f"{{{OTHER}}}"),
    (f'{{{OTHER},"{TASKS}":{{}}}}', f"{{{OTHER}}}"),
    (f'{{{OTHER}, "{TASKS}" : {{}} ,"z":2}}', f'{{{OTHER},"z":2}}'),
    (f'{{"io.modelcontextprotocol\\/ta\\u0073ks":{{}},{OTHER}}}', f"{{{OTHER}}}"),
    (f"{{{OTHER}}}", f"{{{OTHER}}}"),
]


@pytest.mark.parametrize("written, kept", EXTENSIONS, ids=range(len(EXTENSIONS)))
def b24_the_tasks_extension_is_not_offered_to_the_server(
    gateway: Gateway, written: str, kept: str
) -> None:
    body = call(MODERN, "crm.get_customer", {"n": 1})
    body["params"]["_meta"][CAPABILITIES] = {"extensions": "*", "sampling": {}}
    text = encoded(body).decode().replace('"*"', written).replace('"n":1', '"n":1.50')
    received = gateway.post(text.encode(), tokens.support(), MODERN, like=body).forwarded()
    capabilities = received.json["params"]["_meta"][CAPABILITIES]
    assert capabilities == {"extensions": json.loads(kept), "sampling": {}}
    assert b'"n":1.50' in received.body
    if written == kept:
        assert received.body == text.encode()


def b24_a_look_alike_of_the_tasks_extension_is_refused(gateway: Gateway) -> None:
    body = call(MODERN, "crm.get_customer")
    body["params"]["_meta"][CAPABILITIES] = {"extensions": {TASKS.upper(): {}}}
    gateway.post(body, tokens.support(), MODERN).refused(400, {-32600, -32700}, "blocked")
    body["params"]["_meta"][CAPABILITIES] = {"Extensions": {TASKS: {}}}
    gateway.post(body, tokens.support(), MODERN).refused(400, {-32600, -32700}, "blocked")
