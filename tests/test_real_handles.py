"""Sessions, resumed streams and tasks of official servers, with the official client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult

from .harness import tokens
from .harness.answers import encoded
from .harness.client import Request, send
from .harness.envoy import Envoy
from .harness.envoy_config import Cluster, Listener
from .harness.handles import EVENT_HEADER, INITIALIZE, SESSION_HEADER
from .harness.http import Response
from .harness.messages import LEGACY, HeaderList, call, common_headers, post, rpc
from .harness.policy import policy
from .harness.resumable_server import PythonServer, TypeScriptServer
from .harness.sdk_client import Work, with_client
from .harness.waiting import PATIENCE_S

LISTENERS = {name: Listener(policy(), name) for name in ("python", "typescript")}

Server = PythonServer | TypeScriptServer
SERVERS = pytest.mark.parametrize("name", LISTENERS)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    """One of each SDK."""
    running: dict[str, Server] = {"python": PythonServer(), "typescript": TypeScriptServer()}
    yield running
    for server in running.values():
        server.close()


@pytest.fixture(scope="module")
def envoy(
    servers: dict[str, Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Envoy]:
    """Envoy in front of them."""
    behind = {name: Cluster(server.port) for name, server in servers.items()}
    running = Envoy(tmp_path_factory.mktemp("handles"), LISTENERS, {**behind, "issuer": Cluster(1)})
    with running.checked():
        yield running


@pytest.fixture
def server(servers: dict[str, Server], name: str) -> Server:
    """The server, with nothing noted."""
    servers[name].reset()
    return servers[name]


class Held:
    """What a client named, and was given, on the wire."""

    def __init__(self) -> None:
        self.session = ""
        self.events: list[str] = []

    async def asked(self, request: httpx2.Request) -> None:
        """Note the event of a request."""
        if event := request.headers.get(EVENT_HEADER):
            self.events.append(event)

    async def answered(self, response: httpx2.Response) -> None:
        """Note the session of an answer."""
        self.session = response.headers.get(SESSION_HEADER, self.session)


@asynccontextmanager
async def connected(port: int, held: Held, **options: Any) -> AsyncIterator[Client]:
    """The SDK's client, as Anna."""
    http = httpx2.AsyncClient(
        headers={"authorization": f"Bearer {tokens.support()}"},
        event_hooks={"request": [held.asked], "response": [held.answered]},
        timeout=PATIENCE_S,
    )
    transport = streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=http)
    async with http, Client(transport, mode="legacy", read_timeout_seconds=PATIENCE_S, **options) as client:
        yield client


def run(envoy: Envoy, name: str, held: Held, work: Work, **options: Any) -> None:
    """Do something with a connected client."""
    with_client(connected(envoy.ports[name], held, **options), work)


def tool_text(result: Any) -> str:
    """What a tool said."""
    assert not result.is_error, result
    return result.content[0].text


def ask(port: int, method: str, token: str, headers: HeaderList) -> Response:
    """A request beside the client's."""
    usual: HeaderList = [*common_headers(token), ("mcp-protocol-version", LEGACY)]
    body = encoded(rpc("tools/list")) if method == "POST" else None
    usual = usual if method == "POST" else usual[1:]
    return send(port, Request(method, "/mcp", [*usual, *headers], body))


def begin(port: int, token: str) -> str:
    """Begin a session without the SDK; what the client holds of it."""
    session = send(port, post(INITIALIZE, token)).header(SESSION_HEADER)
    assert session
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert send(port, post(ready, token, headers=[(SESSION_HEADER, session)])).status == 202
    return session


@SERVERS
def b24_a_session_of_a_real_server_is_its_clients(envoy: Envoy, server: Server, name: str) -> None:
    port, held = envoy.ports[name], Held()

    async def work(client: Client) -> None:
        await client.call_tool("crm.get_customer", {"query": "x"})
        for method in ("POST", "GET", "DELETE"):
            headers: HeaderList = [(SESSION_HEADER, held.session)]
            other = tokens.support(sub="user-bob")
            response = await asyncio.to_thread(ask, port, method, other, headers)
            assert (response.status, response.error_code()) == (404, -32001)
        # The session is as good as before.
        await client.call_tool("crm.get_customer", {"query": "x"})

    run(envoy, name, held, work)
    server.wait_for(4)
    named = {each.session for each in server.named} - {None}
    assert len(named) == 1, "one session of the server's"
    assert held.session not in named
    # Neither does the server's own id open anything.
    assert ask(port, "POST", tokens.support(), [(SESSION_HEADER, named.pop() or "")]).status == 404


@SERVERS
def b24_only_its_owner_ends_a_session(envoy: Envoy, server: Server, name: str) -> None:
    port, token = envoy.ports[name], tokens.support()
    session: HeaderList = [(SESSION_HEADER, begin(port, token))]
    assert ask(port, "DELETE", tokens.support(sub="user-bob"), session).status == 404
    assert ask(port, "POST", token, session).status == 200
    assert ask(port, "DELETE", token, session).status == 200
    # Now it is the server that does not know it.
    assert ask(port, "POST", token, session).status == 404
    server.wait_for(5)
    ways = [each.method for each in server.named]
    assert ways == ["POST", "POST", "POST", "DELETE", "POST"], "initialize, initialized, and three"


@SERVERS
def b15_a_call_goes_on_after_its_stream_was_closed(envoy: Envoy, server: Server, name: str) -> None:
    port, held = envoy.ports[name], Held()

    async def work(client: Client) -> None:
        assert tool_text(await client.call_tool("crm.import", {})) == "imported"
        assert held.events, "the stream was resumed"
        other = tokens.support(sub="user-bob")
        own = await asyncio.to_thread(begin, port, other)
        for session, status in ((held.session, 404), (own, 400)):
            headers: HeaderList = [(SESSION_HEADER, session), (EVENT_HEADER, held.events[0])]
            refused = await asyncio.to_thread(ask, port, "GET", other, headers)
            assert refused.status == status

    run(envoy, name, held, work)
    resumed = [each.event for each in server.named if each.event]
    assert resumed and not set(resumed) & set(held.events)


@pytest.mark.parametrize("name", ["python"])
def b24_a_server_asks_within_its_session(envoy: Envoy, server: PythonServer, name: str) -> None:
    held = Held()

    async def answer(_context: Any, _params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"user_id": "user-bob", "note": "x"})

    async def work(client: Client) -> None:
        assert tool_text(await client.call_tool("crm.assign_ticket", {"ticket": 1})) == "assigned"

    run(envoy, name, held, work, elicitation_callback=answer)
    assert server.calls == [{"ticket": 1, "answer": {"user_id": "user-bob", "note": "x"}}]
    assert len({each.session for each in server.named} - {None}) == 1


@pytest.mark.parametrize("name", ["typescript"])
def b24_a_task_of_a_real_server_is_its_callers(envoy: Envoy, server: TypeScriptServer, name: str) -> None:
    port = envoy.ports[name]
    anna, bob = tokens.support(), tokens.support(sub="user-bob")
    sessions = {token: begin(port, token) for token in (anna, bob)}

    def asked(token: str, body: dict[str, Any]) -> dict[str, Any]:
        return send(port, post(body, token, headers=[(SESSION_HEADER, sessions[token])])).rpc()

    made = asked(anna, call(LEGACY, "crm.search_all", task={"ttl": 60_000}))
    task = made["result"]["task"]["taskId"]
    assert asked(anna, rpc("tasks/get", {"taskId": task}))["result"]["taskId"] == task
    done = asked(anna, rpc("tasks/result", {"taskId": task}))["result"]
    assert done["content"] == [{"type": "text", "text": "searched"}]
    # Both began a session with two requests; then there were three.
    server.wait_for(7)
    servers_own = server.named[-1].task or ""
    assert servers_own not in ("", task)
    for token, theirs in ((bob, task), (bob, servers_own), (anna, servers_own)):
        assert asked(token, rpc("tasks/result", {"taskId": theirs}))["error"]["code"] == -32602
    # What the server hears of next is the next request of the owner's.
    asked(anna, rpc("tasks/get", {"taskId": task}))
    server.wait_for(8)
    assert len(server.named) == 8 and server.named[-1].session == server.named[-2].session
