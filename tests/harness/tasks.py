"""Requests that have to do with tasks, in both eras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .answers import Answer, json_answer, result
from .gateway import Exchange, Gateway
from .handles import TASK, HandleGateway
from .messages import LEGACY, META, MODERN, call, message, mirrored

TASKS = f"{META}tasks"
CAPABILITIES = f"{META}clientCapabilities"
RELATED = f"{META}related-task"

# What a client of 2026-07-28 says with every request that has to do with tasks.
OFFERED = {CAPABILITIES: {"extensions": {TASKS: {}}}}

OPERATIONS = pytest.mark.parametrize(
    ("era", "method"),
    [
        (LEGACY, "tasks/get"),
        (LEGACY, "tasks/result"),
        (LEGACY, "tasks/cancel"),
        (MODERN, "tasks/get"),
        (MODERN, "tasks/update"),
        (MODERN, "tasks/cancel"),
    ],
)


def task_call(era: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """A call that may become a task."""
    if era == LEGACY:
        return call(era, tool, arguments, task={"ttl": 60_000})
    return call(era, tool, arguments, _meta=OFFERED)


def task_state(era: str, task: str, **more: Any) -> dict[str, Any]:
    """How a server says that a call became a task."""
    state = {"taskId": task, "status": "working", "createdAt": "2026-11-22T00:00:00Z", **more}
    return result({"task": state} if era == LEGACY else {"resultType": "task", **state})


def named(answer: dict[str, Any]) -> str:
    """The task an answer is about."""
    told = answer["result"]
    return told.get("task", told)["taskId"]


def create(
    gateway: HandleGateway,
    token: str | None,
    era: str,
    tool: str = "crm.get_customer",
    style: Callable[[Any], Answer] = json_answer,
    **arguments: Any,
) -> str:
    """Call a tool that becomes a task; what the client holds of it."""
    gateway.upstream.answer = style(task_state(era, TASK, pollInterval=5000))
    exchange = gateway.post(task_call(era, tool, **arguments), token, era)
    exchange.forwarded()
    answer = exchange.response.rpc()
    held = gateway.hold(named(answer))
    assert answer == task_state(era, held, pollInterval=5000), "only the id is another"
    return held


def asks(era: str, method: str, **params: Any) -> dict[str, Any]:
    """A request that has to do with tasks."""
    return message(era, method, {**params, "_meta": OFFERED} if era == MODERN else params)


def about(
    gateway: Gateway, token: str | None, era: str, method: str, task: str, http2: bool = False, **params: Any
) -> Exchange:
    """A request about a task."""
    headers = [("mcp-name", mirrored(task))] if era == MODERN else []
    return gateway.post(asks(era, method, taskId=task, **params), token, era, headers, http2=http2)


def unknown(exchange: Exchange) -> None:
    """Refused as an unknown task."""
    exchange.refused(200, -32602, "blocked")
    assert exchange.record["reason"] == "unknown_task"
