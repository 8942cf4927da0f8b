"""Results of the official server SDKs, as the official client receives them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import jsonschema
import pytest
from mcp import Client

from .harness import tokens
from .harness.client import Connection, send
from .harness.customers import (
    CONFORMANCE_SERVER,
    HIDDEN,
    OTHER_TOOL,
    RULES,
    RUST_TOOL,
    TOOL,
    PythonCustomers,
    allowed,
    rust_customers,
    typescript_customers,
)
from .harness.envoy import Envoy
from .harness.envoy_config import Cluster, Listener
from .harness.handles import INITIALIZE, SESSION_HEADER
from .harness.http import Response
from .harness.messages import LEGACY, MODERN, HeaderList, call, post
from .harness.policy import policy
from .harness.sdk_client import Work, connected, with_client
from .harness.variants import CLIENTS

EVERYTHING = {"tools": ["*"], "prompts": ["*"], "resources": ["*"]}
POLICY = policy(roles={"*": EVERYTHING}, arguments={}, results=RULES)

SERVERS: dict[str, Callable[[], Any]] = {
    "python_json": lambda: PythonCustomers(json_response=True),
    "python_events": lambda: PythonCustomers(json_response=False),
    "typescript_v1_json": lambda: typescript_customers("v1", "json"),
    "typescript_v1_events": lambda: typescript_customers("v1", "events"),
    "typescript_v2_json": lambda: typescript_customers("v2", "json"),
    "typescript_v2_events": lambda: typescript_customers("v2", "events"),
    "rust": rust_customers,
}
LISTENERS = {name: Listener(POLICY, name) for name in SERVERS}

# The first line of the TypeScript SDK is older than 2026-07-28.
PEERS = [(name, era) for name in SERVERS for era in ("legacy", MODERN) if era == "legacy" or "v1" not in name]
EVERY_PEER = pytest.mark.parametrize(("name", "mode"), PEERS)
WITH_SCHEMA = pytest.mark.parametrize(("name", "mode"), [peer for peer in PEERS if peer[0] != "rust"])


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    """Envoy in front of all of them."""
    assert CONFORMANCE_SERVER.exists(), f"{CONFORMANCE_SERVER} is missing; build it with `make conformance-server`"
    with ExitStack() as stack:
        running = {name: stack.enter_context(closing(start())) for name, start in SERVERS.items()}
        behind = {name: Cluster(server.port) for name, server in running.items()}
        directory = tmp_path_factory.mktemp("results")
        with Envoy(directory, LISTENERS, {**behind, "issuer": Cluster(1)}).checked() as envoy:
            yield envoy


def run(envoy: Envoy, name: str, mode: str, http2: bool, work: Work) -> None:
    """Do something with a connected client of the first organization."""
    with_client(connected(envoy.ports[name], mode, http2, tokens.support()), work)


def tool_of(name: str) -> str:
    """The tool that tells customers."""
    return RUST_TOOL if name == "rust" else TOOL


def nothing_hidden_in(text: str) -> None:
    """No value of another organization's, and none of a hidden field."""
    assert [value for value in HIDDEN if value in text] == []


@EVERY_PEER
@CLIENTS
def b33_a_client_receives_its_own_customers_masked(envoy: Envoy, name: str, mode: str, http2: bool) -> None:
    async def work(client: Client) -> None:
        answer = await client.call_tool(tool_of(name), {})
        assert not answer.is_error
        assert answer.structured_content == allowed()
        (block,) = answer.content
        assert json.loads(block.text) == allowed()
        nothing_hidden_in(str(answer))

    run(envoy, name, mode, http2, work)


@WITH_SCHEMA
def b34_a_masked_result_fits_the_tools_schema(envoy: Envoy, name: str, mode: str) -> None:
    async def work(client: Client) -> None:
        listed = await client.list_tools()
        (schema,) = [tool.output_schema for tool in listed.tools if tool.name == TOOL]
        assert schema is not None
        # The client checks it too, now that it has seen the schema.
        answer = await client.call_tool(TOOL, {})
        jsonschema.validate(answer.structured_content, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"customers": [{"id": 1}], "total": 1}, schema)

    run(envoy, name, mode, False, work)


def begin(port: int) -> HeaderList:
    """Begin a session; the header that names it."""
    token = tokens.support()
    session = send(port, post(INITIALIZE, token)).header(SESSION_HEADER)
    assert session
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert send(port, post(ready, token, headers=[(SESSION_HEADER, session)])).status == 202
    return [(SESSION_HEADER, session)]


async def ask(port: int, session: HeaderList, tool: str, **arguments: Any) -> Response:
    """A call with the id of every other one here."""
    request = post(call(LEGACY, tool, arguments), tokens.support(), headers=session)

    def exchange() -> Response:
        with Connection(port, timeout=3) as connection:
            connection.start(request)
            connection.send(request.body or b"")
            try:
                return connection.response()
            except TimeoutError:
                # The server has forgotten this request, and keeps its stream open.
                return Response(body=connection.buffer, complete=False)

    return await asyncio.to_thread(exchange)


@pytest.mark.parametrize("name", ["python_json", "python_events", "typescript_v1_json", "typescript_v1_events"])
def b36_an_answer_that_comes_to_another_request_of_its_id_is_judged(envoy: Envoy, name: str) -> None:
    """The server sends an answer wherever a request with its id came last."""
    port = envoy.ports[name]
    session = begin(port)

    async def both() -> list[Response]:
        slow = asyncio.create_task(ask(port, session, TOOL, wait=300))
        await asyncio.sleep(0.1)
        return [await ask(port, session, OTHER_TOOL, wait=1500), await slow]

    answers = asyncio.run(both())
    for response in answers:
        nothing_hidden_in(response.body.decode())
