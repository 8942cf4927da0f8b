"""Official clients and servers work through the filter as without it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitResult

from .harness import tokens
from .harness.envoy import Envoy
from .harness.issuer import Issuer, keys_answer
from .harness.keys import key
from .harness.mcp_server import McpServer, in_each_style
from .harness.messages import MODERN
from .harness.policy import fetched, policy
from .harness.sdk_client import Work, connected, with_client
from .harness.variants import CLIENTS, MODES, STYLES

KEYS = "/keys/real-peers"
POLICY = policy(issuers=[fetched(KEYS)])

OFFICIAL_SERVERS = True
LISTENERS = in_each_style(POLICY)


@pytest.fixture(scope="module", autouse=True)
def key_set(issuer: Issuer) -> None:
    """What tokens are checked with."""
    issuer.paths[KEYS] = keys_answer(key("ES256"), key("RS256"))


def run(envoy: Envoy, style: str, mode: str, http2: bool, work: Work, **options: Any) -> None:
    """Do something with a connected client, as a support agent unless told otherwise."""
    token = options.pop("token", None) or tokens.support(signer=key("RS256"))
    with_client(connected(envoy.ports[style], mode, http2, token, **options), work)


@MODES
@STYLES
@CLIENTS
def test_lists_show_what_the_caller_may_use(
    envoy: Envoy, server: McpServer, style: str, mode: str, http2: bool
) -> None:
    async def work(client: Client) -> None:
        tools = await client.list_tools()
        assert {tool.name for tool in tools.tools} == {
            "crm.get_customer",
            "crm.search_slowly",
            "crm.assign_ticket",
        }
        prompts = await client.list_prompts()
        assert [prompt.name for prompt in prompts.prompts] == ["customer_summary"]
        resources = await client.list_resources()
        assert [str(resource.uri) for resource in resources.resources] == ["crm://public/faq"]
        templates = await client.list_resource_templates()
        assert templates.resource_templates == []

    run(envoy, style, mode, http2, work)
    assert all("authorization" not in headers for headers in server.headers)


@MODES
@STYLES
@CLIENTS
def test_a_call_runs_as_the_caller(
    envoy: Envoy, server: McpServer, style: str, mode: str, http2: bool
) -> None:
    """Also with an argument that client and server compare with a header."""
    arguments = {"query": "acme", "user_id": "user-bob", "organization_id": "org-b"}
    trusted = {"query": "acme", "user_id": tokens.USER, "organization_id": tokens.ORGANIZATION}

    async def work(client: Client) -> None:
        await client.list_tools()
        answer = await client.call_tool("crm.get_customer", arguments)
        assert not answer.is_error
        assert answer.structured_content == trusted

    run(envoy, style, mode, http2, work)
    assert server.calls == [trusted]
    assert {headers.get("x-mcp-user") for headers in server.headers} == {tokens.USER}


@MODES
@STYLES
@CLIENTS
def test_a_denied_call_is_an_unknown_tool(
    envoy: Envoy, server: McpServer, style: str, mode: str, http2: bool
) -> None:
    async def work(client: Client) -> None:
        with pytest.raises(MCPError) as denied:
            await client.call_tool("crm.purge", {"query": "all"})
        assert denied.value.code == -32602
        # The connection is as good as before.
        assert not (await client.call_tool("crm.get_customer", {"query": "x"})).is_error

    run(envoy, style, mode, http2, work)
    assert [call for call in server.calls if "purged" in call] == []


@MODES
@STYLES
def test_progress_comes_before_the_answer(envoy: Envoy, server: McpServer, style: str, mode: str) -> None:
    seen: list[float] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async def work(client: Client) -> None:
        answer = await client.call_tool("crm.search_slowly", {"query": "x"}, progress_callback=note)
        assert not answer.is_error

    run(envoy, style, mode, False, work)
    assert server.calls == [{"query": "x"}]
    assert {headers.get("x-mcp-user") for headers in server.headers} == {tokens.USER}
    if style == "events":
        assert seen == [0, 1, 2]


@pytest.mark.parametrize("mode", ["legacy"])
@pytest.mark.parametrize("style", ["events"])
def test_r5_an_answer_to_elicitation_has_the_rules_of_its_tool(
    envoy: Envoy, server: McpServer, style: str, mode: str
) -> None:
    """The server asks in the middle of a call; the answer is a request of its own."""

    async def answer(_context: Any, _params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"user_id": "user-bob", "note": "x"})

    async def work(client: Client) -> None:
        assert not (await client.call_tool("crm.assign_ticket", {"ticket": 1})).is_error

    run(envoy, style, mode, False, work, elicitation_callback=answer)
    assert server.calls == [{"ticket": 1, "answer": {"user_id": "user-bob", "note": "x"}}]


@MODES
@STYLES
def test_prompts_and_resources(envoy: Envoy, server: McpServer, style: str, mode: str) -> None:
    async def work(client: Client) -> None:
        prompt = await client.get_prompt("customer_summary", {"tone": "x", "user_id": "user-bob"})
        assert f"Summarize for {tokens.USER}" in str(prompt.messages[0].content)
        assert (await client.read_resource("crm://public/faq")).contents
        for refused in (
            client.get_prompt("secret_prompt"),
            client.read_resource("crm://vault/key"),
            client.read_resource("crm://org-b/1"),
        ):
            with pytest.raises(MCPError):
                await refused

    run(envoy, style, mode, False, work)


@MODES
@STYLES
@pytest.mark.parametrize("token", [None, "not-a-token"])
def test_a_client_without_a_good_token_is_refused(
    envoy: Envoy, server: McpServer, style: str, mode: str, token: str | None
) -> None:
    async def connect() -> None:
        async with connected(envoy.ports[style], mode, False, token) as client:
            await client.list_tools()

    with pytest.raises(BaseException) as refused:  # noqa: PT011
        asyncio.run(asyncio.wait_for(connect(), 20))
    assert not isinstance(refused.value, TimeoutError)
    assert server.headers == []


@STYLES
def test_two_concurrent_callers_get_their_own_answers(envoy: Envoy, server: McpServer, style: str) -> None:
    async def ask(user: str, mode: str) -> None:
        token = tokens.support(sub=user)
        async with connected(envoy.ports[style], mode, False, token) as client:
            for _ in range(5):
                answer = await client.call_tool("crm.get_customer", {"query": "x", "user_id": "user-bob"})
                assert answer.structured_content is not None
                assert answer.structured_content["user_id"] == user

    async def both() -> None:
        await asyncio.gather(ask("user-1", "legacy"), ask("user-2", MODERN), ask("user-3", "legacy"))

    asyncio.run(asyncio.wait_for(both(), 30))
    assert len(server.calls) == 15
