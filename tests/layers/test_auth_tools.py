"""The filter's own tools about linked accounts, and accounts that end with their session."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from ..harness.sdk_client import connected
from ..harness.waiting import eventually
from . import providers
from .browser import Person
from .connect import connect
from .providers import ACCOUNTS, SCOPE
from .replicas import Replicas
from .sites import CONFIDENTIAL, notes
from .stage import Stage

People = Callable[..., Person]


SITES = {"notes": notes(client=CONFIDENTIAL, auth_tools=True)}

PAGE = re.compile(r"http://\S+/connect\?ticket=\S+")


@pytest.fixture
def dana(person: People) -> Person:
    """Dana, at her browser."""
    return person()


@pytest.fixture
def token(around: Stage, pair: Replicas, dana: Person) -> str:
    """Her token for the MCP server."""
    client = around.client(around.login)
    asked = {"scope": f"openid {SCOPE}", "resource": pair.url("notes")}
    return client.tokens(dana, "dana", **asked)["access_token"]


async def _link(client: Client) -> str:
    """Where the client is sent by a tool that needs the account."""
    try:
        answer = await client.call_tool("notes.list", {})
    except MCPError as error:
        said = str(error)
    else:
        assert answer.is_error
        said = answer.content[0].text
    found = PAGE.search(said)
    assert found, said
    return found[0]


async def _said(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    # The filter's own tools say a sentence, those of the server their fields again.
    said = answer.content[0].text
    assert said.endswith(".") if tool.startswith("auth_") else json.loads(said) == answer.structured_content
    return answer.structured_content


def _resource(stage: Stage) -> int:
    """How the resource answers to the token the server got last."""
    sent = [each["authorization"] for each in stage.server.headers if "authorization" in each][-1]
    providers.tokens.remember(sent.removeprefix("Bearer "))
    return stage.account(sent.removeprefix("Bearer ")).status_code


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_an_account_is_listed_used_and_disconnected(
    around: Stage, pair: Replicas, dana: Person, token: str, mode: str
) -> None:
    async def work() -> None:
        async with connected(pair.fronts["notes"].port, mode, False, token) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            own = ["auth_whoami", "auth_connections", "auth_switch", "auth_disconnect"]
            assert names == [*own, "notes.list", "notes.add", "notes.debug"]
            caller = await _said(client, "auth_whoami")
            assert (caller["user"], caller["identified_by"]) == ("dana", "token")
            [notes] = (await _said(client, "auth_connections"))["connections"]
            assert notes == {"name": "notes", "title": "Notes", "connected": False, "tools": ["notes.*"]}

            await asyncio.to_thread(connect, dana, await _link(client), "dana")
            assert (await _said(client, "notes.list"))["account"] == ACCOUNTS["dana"]
            assert _resource(around) == 200
            [notes] = (await _said(client, "auth_connections"))["connections"]
            assert notes["connected"] and notes["account"] == ACCOUNTS["dana"] and notes["since"] < notes["until"]

            ended = await _said(client, "auth_disconnect", connection="notes")
            assert ended == {"connection": "notes", "disconnected": True, "revoked": "confirmed"}
            assert _resource(around) == 401
            await _link(client)
            ended = await _said(client, "auth_disconnect", connection="notes")
            assert ended == {"connection": "notes", "disconnected": False}

    asyncio.run(work())
    own = [record for record in pair.records() if record["reason"] == "auth_tool_answered"]
    assert {line["gen_ai.tool.name"] for line in own} == {"auth_whoami", "auth_connections", "auth_disconnect"}
    assert {line["decision"] for line in own} == {"approved"}
    assert not any(each.get("mcp-name", "").startswith("auth.") for each in around.server.headers)


def test_an_account_ends_with_its_session(around: Stage, pair: Replicas, dana: Person, token: str) -> None:
    async def work() -> None:
        async with connected(pair.fronts["notes"].port, "legacy", False, token) as client:
            await asyncio.to_thread(connect, dana, await _link(client), "dana")
            await client.call_tool("notes.list", {})
            assert _resource(around) == 200
        # The client ends the session as it leaves.
        eventually(lambda: _resource(around) == 401, "the resource refuses the token")

    asyncio.run(work())
