"""How long linked accounts last, when their tokens are refreshed, and what the store holds."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from mcp import MCPError
from mcp_types import CallToolResult

from ..harness import tokens, web
from ..harness.messages import MODERN as OF_2026
from ..harness.messages import call, post
from ..harness.waiting import PATIENCE_S, eventually
from .assistant import LEGACY, MODERN, Assistant
from .browser import Person
from .connect import asked, connect, link_in, text
from .providers import ACCOUNTS
from .replicas import Replicas
from .sites import notes
from .stage import Stage

# In seconds.
SHORT = 10

SITES = {
    "notes": notes(tools={"notes.add": {"lifetime": f"{SHORT}s"}}),
    "short": notes(connection={"lifetime": f"{SHORT}s"}),
    "refreshed": notes(client={"access_token_lifetime": 3}),
    "not_refreshed": notes(client={"access_token_lifetime": 3}, connection={"refresh": False}),
    # Tokens that are refreshed as soon as they are there, and are good meanwhile.
    "soon": notes(client={"access_token_lifetime": 25}),
    "memory": notes(store="memory"),
}

People = Callable[..., Person]
Start = Callable[..., Assistant]


def connected(person: Person, client: Assistant) -> Assistant:
    """After dana connected her account."""
    connect(person, asked(client), "dana")
    return client


def wait_until_asked(client: Assistant, tool: str, **arguments: str) -> float:
    """When a tool asks to connect (again)."""

    def asking() -> CallToolResult | None:
        answered = client.call(tool, **arguments)
        return answered if answered.is_error else None

    assert link_in(text(eventually(asking, "the tool asks to connect")))
    return time.time()


def test_a_linked_account_ends_after_its_lifetime(around: Stage, person: People, assistant: Start) -> None:
    dana = person()
    short, tool = assistant("dana", "short"), assistant("dana")
    begun = time.time()
    connected(dana, tool)
    added = tool.call("notes.add", text="milk")
    # On a very slow machine the connection has ended by now, and this says nothing.
    assert not added.is_error or time.time() - begun >= SHORT - 1
    short_begun = time.time()
    connected(dana, short)
    listed = short.call("notes.list")
    assert not listed.is_error or time.time() - short_begun >= SHORT - 1
    # Seconds are counted whole.
    assert wait_until_asked(tool, "notes.add", text="more") - begun >= SHORT - 1
    assert tool.notes()["account"] == ACCOUNTS["dana"]
    assert wait_until_asked(short, "notes.list") - short_begun >= SHORT - 1
    # A tool that needs a younger connection gets one the same way.
    connect(dana, asked(tool, "notes.add", text="more"), "dana")
    assert not tool.call("notes.add", text="more").is_error


def test_a_token_is_refreshed_before_it_ends(around: Stage, person: People, assistant: Start) -> None:
    client = connected(person(), assistant("dana", "refreshed"))
    [granted] = around.resource.grants("authorization_code")
    first = granted.answer["access_token"]
    around.wait_until_refused(first)
    assert client.notes()["account"] == ACCOUNTS["dana"]
    [refreshed] = around.resource.grants("refresh_token")
    assert refreshed.status == 200
    # The next one too: each token is refreshed once.
    around.wait_until_refused(refreshed.answer["access_token"])
    assert client.notes()["account"] == ACCOUNTS["dana"]
    assert len(around.resource.grants("refresh_token")) == 2


def test_calls_at_the_same_time_use_a_refresh_token_once(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    """The provider takes it once: the second time would end the connection."""
    pair.fronts["soon"].use()
    held = token("dana", "soon")
    clients = [assistant("dana", "soon", with_token=held) for _ in range(4)]
    connected(person(), clients[0])
    with ThreadPoolExecutor(len(clients)) as pool:
        accounts = [each["account"] for each in pool.map(lambda client: client.notes(), clients * 3)]
    assert accounts == [ACCOUNTS["dana"]] * len(clients) * 3
    refreshed = around.resource.grants("refresh_token")
    used = [each.parameters["refresh_token"] for each in refreshed]
    assert used and len(used) == len(set(used)) and {each.status for each in refreshed} == {200}


def test_a_refresh_goes_to_its_end_without_the_client(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    """The provider takes the old token once: had the new one been lost, it would be asked for again in vain."""
    held = token("dana", "soon")
    client = connected(person(), assistant("dana", "soon", with_token=held))
    around.resource.process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(httpx.ReadTimeout):
            _post(pair.url("soon"), held, timeout=1)
    finally:
        around.resource.process.send_signal(signal.SIGCONT)
    # Its new token is refreshed as well, once it is kept.

    def refreshed() -> list[int]:
        assert client.notes()["account"] == ACCOUNTS["dana"]
        return [each.status for each in around.resource.grants("refresh_token")]

    found = eventually(lambda: each if len(each := refreshed()) >= 2 else None, "two refreshes")
    assert set(found) == {200}


def test_a_token_that_may_not_be_refreshed_ends_the_connection(
    around: Stage, person: People, assistant: Start
) -> None:
    client = assistant("dana", "not_refreshed")
    connect(person(), asked(client), "dana")
    [granted] = around.resource.grants("authorization_code")
    around.wait_until_refused(granted.answer["access_token"])
    assert asked(client)
    assert not around.resource.grants("refresh_token")


def test_the_store_holds_no_readable_secret(around: Stage, person: People, assistant: Start) -> None:
    connected(person(), assistant("dana")).notes()
    stored = b"".join(key + value for key, value in around.etcd.entries().items())
    assert stored
    secret = [part for each in tokens.issued for part in each.split(".")[-2:] if len(part) > 16]
    for known in (*secret, "dana", around.login.issuer, around.resource.issuer):
        assert known.encode() not in stored


def test_a_store_in_memory_is_not_shared_by_replicas(pair: Replicas, person: People, assistant: Start) -> None:
    front = pair.fronts["memory"]
    front.use("a")
    client = connected(person(), assistant("dana", "memory"))
    assert client.notes()["account"] == ACCOUNTS["dana"]
    front.use("b")
    assert asked(client)
    front.use("a")
    assert client.notes()["account"] == ACCOUNTS["dana"]


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
def test_without_the_store_calls_wait_and_then_go_on(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start, mode: str
) -> None:
    held, dana = token("dana"), person()
    client = connected(dana, assistant("dana", with_token=held))
    around.server.reset()
    around.etcd.close()
    try:
        with pair.logs("store_unavailable") as records, pytest.raises(MCPError):
            client.notes()
        assert {each["http.response.status_code"] for each in records} == {503}
        answer = _post(pair.url("notes"), held)
        assert answer.status_code == 503 and answer.headers["retry-after"] and "store" in answer.text
        # Nothing reached the server, and the user is not asked to link the account again.
        assert not [each for each in around.server.headers if each.get("mcp-method") == "tools/call"]
    finally:
        around.etcd.start()
    assert client.notes()["account"] == ACCOUNTS["dana"]


def _post(url: str, token: str, timeout: float = PATIENCE_S) -> httpx.Response:
    sent = post(call(OF_2026, "notes.list"), token, OF_2026)
    headers = [(name, str(value)) for name, value in sent.headers]
    return web.post(url, content=sent.body, headers=headers, timeout=timeout)
