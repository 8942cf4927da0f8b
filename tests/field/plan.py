"""The steps that a client takes with a server, and what came of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

# The longest time for one step.
STEP_LIMIT_S = 12.0

# `result`, `error` or `failed`, and with `asked` what the server asked or told during the step.
Outcome = dict[str, Any]
Step = dict[str, Any]

PYTHON, TYPESCRIPT = "python", "typescript"
CLIENTS = (PYTHON, TYPESCRIPT)

# Stands for the server's directory of the run.
DIRECTORY = "$DIRECTORY"


@dataclass(frozen=True)
class Run:
    """What came of each step, and everything the server sent."""

    outcomes: dict[str, Outcome]
    wire: list[str]


def of_client(steps: list[Step], client: str) -> list[Step]:
    """The steps that this client can take."""
    return [step for step in steps if step.get("only", client) == client]


def placed(steps: list[Step], directory: str) -> list[Step]:
    """The steps, with the server's directory in its place."""
    placed_steps: list[Step] = json.loads(json.dumps(steps).replace(DIRECTORY, directory))
    return placed_steps


def initialize() -> Step:
    """What the server says of itself."""
    return {"name": "initialize", "do": "initialize"}


def ping() -> Step:
    """A ping of the client."""
    return {"name": "ping", "do": "ping"}


def lists(*of: str) -> list[Step]:
    """Every page of these lists."""
    return [{"name": f"list {each}", "do": "list", "of": each} for each in of]


def call(tool: str, arguments: dict[str, Any] | None = None, *, name: str = "", **options: Any) -> Step:
    """A call of a tool.

    Options: `meta`, `progress`, `cancel` (at the first progress), `answer` (to what the server asks).
    """
    return {"name": name or tool, "do": "call", "tool": tool, "arguments": arguments or {}, **options}


def task(tool: str, arguments: dict[str, Any], name: str) -> Step:
    """A call that runs as a task: asked for until it is done. The Python client has no tasks of 2025-11-25."""
    return {"name": name, "do": "task", "tool": tool, "arguments": arguments, "only": TYPESCRIPT}


def prompt(prompt: str, arguments: dict[str, str] | None = None) -> Step:
    """A prompt."""
    return {"name": f"prompt {prompt}", "do": "prompt", "prompt": prompt, "arguments": arguments or {}}


def on_resource(do: str, uri: str) -> Step:
    """`read`, `subscribe` or `unsubscribe`."""
    return {"name": f"{do} {uri}", "do": do, "uri": uri}


def complete(ref: dict[str, str], argument: str, value: str, **known: str) -> Step:
    """The values of an argument that begin so."""
    step = {"do": "complete", "ref": ref, "argument": {"name": argument, "value": value}}
    if known:
        step["context"] = {"arguments": known}
    return {"name": f"complete {argument}", **step}


def level(level: str) -> Step:
    """The level of the server's log messages."""
    return {"name": f"level {level}", "do": "level", "level": level}


def request(step: str, method: str, **params: Any) -> Step:
    """A request that the clients have no function for."""
    return {"name": step, "do": "request", "method": method, "params": params, "only": TYPESCRIPT}


def wait_for(method: str) -> Step:
    """Wait until the server has sent a notification or request of this method."""
    return {"name": f"wait for {method}", "do": "wait", "for": method}
