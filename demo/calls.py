"""Calls through the official MCP client, with what was sent and what came back."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from mcp import Client, MCPError

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One request a model may ask its client to make. `subject` is a tool, a prompt or a URI."""

    method: str
    subject: str
    arguments: Arguments = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What the model gets to see, and the request as it left the client."""

    sent: str
    text: str


class Assistant:
    """A model's MCP client: it makes whatever call the model comes up with."""

    def __init__(self, client: Client, sent: list[str]) -> None:
        self._client = client
        self._sent = sent

    async def tool_schemas(self) -> dict[str, Arguments]:
        """The tools it is offered, with the schema of their arguments."""
        tools = (await self._client.list_tools()).tools
        return {tool.name: tool.input_schema for tool in tools}

    async def offers(self) -> list[str]:
        """The names of the tools and prompts and the URIs of the resources it is offered."""
        tools = await self.tool_schemas()
        prompts = (await self._client.list_prompts()).prompts
        resources = (await self._client.list_resources()).resources
        return [*tools, *(each.name for each in prompts), *(str(each.uri) for each in resources)]

    async def make(self, call: Call) -> Answer:
        """Makes a call; a refusal is an answer like any other."""
        self._sent.clear()
        try:
            result = await self._dispatch(call)
            text = result.model_dump_json(by_alias=True, exclude_none=True)
        except MCPError as error:
            text = f"error {error.error.code}: {error.error.message}"
        return Answer(sent=params_of(self._sent, call.method), text=text)

    async def _dispatch(self, call: Call) -> Any:
        match call.method:
            case "tools/call":
                return await self._client.call_tool(call.subject, call.arguments)
            case "prompts/get":
                return await self._client.get_prompt(call.subject, call.arguments)
            case "resources/read":
                return await self._client.read_resource(call.subject)
            case unknown:
                raise ValueError(f"no client method for {unknown}")


@asynccontextmanager
async def assistant(
    url: str, token: str, *, mode: str = "auto", transport: httpx2.AsyncBaseTransport | None = None
) -> AsyncIterator[Assistant]:
    """A connected client that sends the person's token."""
    sent: list[str] = []

    async def note(request: httpx2.Request) -> None:
        if request.method == "POST":
            sent.append((await request.aread()).decode())

    http = httpx2.AsyncClient(
        headers={"authorization": f"Bearer {token}"},
        timeout=30,
        event_hooks={"request": [note]},
        transport=transport,
    )
    async with http, Client(streamable_http_client(url, http_client=http), mode=mode) as client:
        yield Assistant(client, sent)


def params_of(bodies: list[str], method: str) -> str:
    """The parameters of the last body with this method, without the protocol's own metadata."""
    for body in reversed(bodies):
        message = json.loads(body)
        if message.get("method") == method:
            params = {k: v for k, v in message.get("params", {}).items() if k != "_meta"}
            return json.dumps(params, ensure_ascii=False)
    return ""
