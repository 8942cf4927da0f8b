"""The official client without a token: it connects, lists tools and reads which of them need a sign-in."""

from __future__ import annotations

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from .harness import tokens
from .harness.anonymous import expected, parameters
from .harness.envoy import Envoy
from .harness.mcp_server import McpServer, in_each_style
from .harness.messages import MODERN
from .harness.policy import policy
from .harness.sdk_client import Work, connected, with_client
from .harness.variants import CLIENTS, MODES, STYLES

FOR_EVERYBODY = {"tools": ["crm.get_customer"], "resources": ["crm://public/*"]}

# No sign-in allows the tool that deletes everything.
ROLES = {"support": {"tools": ["crm.get_customer", "crm.search_*", "crm.assign_ticket"], "prompts": ["customer_*"]}}
POLICY = policy(scopes=["crm:read"], anonymous=FOR_EVERYBODY, roles=ROLES)

OFFICIAL_SERVERS = True
LISTENERS = in_each_style(POLICY)

def run(envoy: Envoy, style: str, mode: str, work: Work, http2: bool = False, token: str | None = None) -> None:
    """Do something with a connected client."""
    with_client(connected(envoy.ports[style], mode, http2, token), work)


@MODES
@STYLES
@CLIENTS
def test_a_client_without_a_token_uses_anonymous_tools(
    envoy: Envoy, server: McpServer, style: str, mode: str, http2: bool
) -> None:
    async def work(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert list(tools) == ["crm.get_customer", "crm.search_slowly", "crm.assign_ticket"]
        needs = {name: [each["type"] for each in (tool.meta or {})["securitySchemes"]] for name, tool in tools.items()}
        assert needs["crm.get_customer"] == ["noauth", "oauth2"]
        assert needs["crm.search_slowly"] == ["oauth2"]
        arguments = {"query": "acme", "user_id": "user-bob", "organization_id": "org-b"}
        answer = await client.call_tool("crm.get_customer", arguments)
        assert not answer.is_error
        assert [str(each.uri) for each in (await client.list_resources()).resources] == ["crm://public/faq"]
        assert (await client.read_resource("crm://public/faq")).contents
        assert (await client.list_prompts()).prompts == []

    run(envoy, style, mode, work, http2)
    assert server.calls == [{"query": "acme", "user_id": "nobody", "organization_id": "none"}]
    sent = {name for headers in server.headers for name in headers}
    assert not {name for name in sent if name.startswith(("x-mcp-", "mcp-param-"))}


@MODES
@STYLES
def test_a_client_reads_what_to_do_from_the_result(envoy: Envoy, server: McpServer, style: str, mode: str) -> None:
    async def work(client: Client) -> None:
        answer = await client.call_tool("crm.search_slowly", {"query": "x"})
        assert answer.is_error and answer.content
        (challenge,) = (answer.meta or {})["mcp/www_authenticate"]
        assert parameters(challenge) == expected("crm:read")
        with pytest.raises(MCPError) as unknown:
            await client.call_tool("crm.purge", {"query": "all"})
        assert unknown.value.code == -32602
        # The connection is as good as before.
        assert not (await client.call_tool("crm.get_customer", {"query": "x"})).is_error

    run(envoy, style, mode, work)
    assert [call["query"] for call in server.calls] == ["x"]


@pytest.mark.parametrize("mode", [MODERN, "auto"])
@STYLES
@pytest.mark.parametrize("method", ["prompt", "resource"])
def test_a_client_is_sent_to_sign_in_for_anything_else(
    envoy: Envoy, server: McpServer, style: str, mode: str, method: str
) -> None:
    """A 401 ends a client that cannot sign in, or is an error: it does not wait."""

    async def work(client: Client) -> None:
        if method == "prompt":
            await client.get_prompt("customer_summary", {"tone": "x"})
        else:
            await client.read_resource("crm://vault/key")

    with pytest.raises(BaseException) as refused:  # noqa: PT011
        run(envoy, style, mode, work)
    assert not isinstance(refused.value, TimeoutError)
    asked = {headers.get("mcp-method") for headers in server.headers}
    assert not {"prompts/get", "resources/read"} & asked


@MODES
@STYLES
def test_a_client_that_signed_in_acts_as_its_user(envoy: Envoy, server: McpServer, style: str, mode: str) -> None:
    async def work(client: Client) -> None:
        await client.list_tools()
        answer = await client.call_tool("crm.get_customer", {"query": "x", "user_id": "user-bob"})
        assert not answer.is_error

    run(envoy, style, mode, work, token=tokens.token("stranger"))
    assert [call["user_id"] for call in server.calls] == [tokens.USER]


@MODES
@STYLES
def b38_a_client_with_a_wrong_token_is_refused(envoy: Envoy, server: McpServer, style: str, mode: str) -> None:
    async def work(client: Client) -> None:
        await client.call_tool("crm.get_customer", {"query": "x"})

    with pytest.raises(BaseException) as refused:  # noqa: PT011
        run(envoy, style, mode, work, token="not-a-token")
    assert not isinstance(refused.value, TimeoutError)
    assert server.headers == []
