"""What a client program and its test say to each other: one JSON document per line.

Each program runs in the environment of its own SDK, so nothing here needs one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio

Command = Callable[..., Awaitable[dict[str, Any] | list[str]]]

options: dict[str, Any] = json.loads(sys.argv[1])


def say(message: dict[str, Any]) -> None:
    """One line to the test."""
    print(json.dumps(message), flush=True)


async def hear() -> dict[str, Any] | None:
    """One line from the test; None when there are no more."""
    line = await anyio.to_thread.run_sync(sys.stdin.readline)
    return json.loads(line) if line else None


class SignInRefused(Exception):
    """The authorization server sent the user back with an error."""


class Browser:
    """The test plays the browser: it is given an address and hands back where that led."""

    async def open(self, url: str) -> None:
        """Show a page to the user."""
        say({"browse": url})

    async def arrived(self) -> dict[str, str]:
        """The parameters of the redirect back to this program."""
        answer = await hear()
        assert answer is not None
        query = parse_qs(urlsplit(answer["arrived"]).query)
        parameters = {name: values[0] for name, values in query.items()}
        if "error" in parameters:
            raise SignInRefused(parameters["error"])
        return parameters


async def serve(**commands: Command) -> None:
    """Carry out commands until there are no more."""
    while command := await hear():
        [(name, parameters)] = command.items()
        try:
            say({"reply": await commands[name](**parameters)})
        except Exception as error:
            say(failure(error))


async def serve_tools(client: Any, failed: Callable[[Any], bool]) -> None:
    """Carry out commands with a connected client. `failed` says whether a result tells of a failure."""

    async def names() -> list[str]:
        return [tool.name for tool in (await client.list_tools()).tools]

    async def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = await client.call_tool(name, arguments)
        return {"text": "".join(part.text for part in result.content), "failed": failed(result)}

    await serve(list=names, call=call)


def failure(error: BaseException) -> dict[str, Any]:
    """An error, as the test sees it; of a group, the first that is none."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    # MCP's errors carry their JSON-RPC error, in one SDK under `error` and in the other as well.
    code = getattr(getattr(error, "error", None), "code", None)
    return {"error": {"name": type(error).__name__, "code": code, "message": str(error)}}


def run(main: Callable[[], Awaitable[None]]) -> None:
    """The program; what ends it is the last thing it says."""
    try:
        anyio.run(main)
    except BaseException as error:
        say(failure(error))
