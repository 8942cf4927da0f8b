"""What ends a conversation, and with it the accounts that are linked in it: a newer one, idle time, the end of the
lifetime, the end of the session. The provider is told each time, once, whatever replica did it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from ..harness.sdk_client import connected
from ..harness.waiting import eventually
from .assistant import LEGACY, Assistant
from .browser import Person
from .connect import asked, connect, link_in
from .providers import ACCOUNTS
from .replicas import Replicas
from .sites import notes
from .stage import Stage

# In seconds.
SHORT = 10

SITES = {
    "short": notes(connection={"lifetime": f"{SHORT}s"}),
    "idle": notes(vault={"idle": f"{SHORT}s"}),
    "one": notes(vault={"conversations": 1}),
    "by_claim": notes(vault={"conversation": {"claim": "sid"}}),
    "across": notes(vault={"conversation": {"claim": "sid"}, "sessions": "shared"}),
    "meta": notes(vault={"conversation": {"meta": ["openai/session", "vscode.conversationId"]}, "sessions": "shared"}),
}

People = Callable[..., Person]
Start = Callable[..., Assistant]


def revocations(stage: Stage) -> list[str]:
    """The tokens that the resource's provider was told to revoke, with 200."""
    stage.resource.settle()
    asked = [each for each in stage.resource.requests if each.path == "/token/revocation"]
    assert {each.status for each in asked} <= {200}
    return [each.parameters["token"] for each in asked]


def granted(stage: Stage) -> list[dict[str, Any]]:
    """What the resource's provider gave for codes, in order."""
    return [each.answer for each in stage.resource.grants("authorization_code")]


def wait_until_nothing_is_kept(stage: Stage) -> None:
    """Only the number of codes that were redeemed for the user is left, for ten minutes."""
    eventually(lambda: len(stage.etcd.entries()) <= 1, "no account is kept", stage.etcd.entries)


def test_a10_the_end_of_the_lifetime_revokes_the_token_once_without_a_request(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    front, client = pair.fronts["short"], assistant("dana", "short")
    front.use("a")
    # The account is linked later, so that a slow page does not make its lifetime look shorter.
    begun = time.time()
    connect(person(), asked(client), "dana")
    # Both replicas know the account.
    for name in ("a", "b"):
        front.use(name)
        assert client.notes()["account"] == ACCOUNTS["dana"]
    [tokens] = granted(around)
    around.wait_until_refused(tokens["access_token"])
    assert time.time() - begun >= SHORT - 2
    # The other replica had its chance too.
    time.sleep(3)
    assert revocations(around) == [tokens["refresh_token"]]
    wait_until_nothing_is_kept(around)


def test_the_replica_that_is_left_ends_the_account(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    front, client = pair.fronts["short"], assistant("dana", "short")
    front.use("a")
    connect(person(), asked(client), "dana")
    front.use("b")
    assert client.notes()["account"] == ACCOUNTS["dana"]
    pair.kill("a")
    try:
        [tokens] = granted(around)
        around.wait_until_refused(tokens["access_token"])
        assert revocations(around) == [tokens["refresh_token"]]
    finally:
        pair.start("a")


def test_an_idle_conversation_ends_and_one_in_use_does_not(
    around: Stage, pair: Replicas, person: People, assistant: Start, token: Callable[..., str]
) -> None:
    front = pair.fronts["idle"]
    used, idle = (assistant("dana", "idle", LEGACY, token("dana", "idle")) for _ in range(2))
    front.use("a")
    for client in (idle, used):
        connect(person(), asked(client), "dana")
    of_idle, of_used = granted(around)
    until = time.time() + SHORT + 4
    at = 0
    while time.time() < until:
        # The replicas take turns, and see each other's use.
        front.use("ab"[at % 2])
        assert used.notes()["account"] == ACCOUNTS["dana"]
        time.sleep(1)
        at += 1
    assert revocations(around) == [of_idle["refresh_token"]]
    assert asked(idle)
    around.wait_until_refused(of_used["access_token"])
    assert revocations(around)[1:] == [of_used["refresh_token"]]
    assert asked(used)


def test_the_use_of_a_conversation_is_not_written_for_each_call(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    front, client = pair.fronts["short"], assistant("dana", "idle")
    pair.fronts["idle"].use("a")
    connect(person(), asked(client), "dana")
    assert client.notes()["account"] == ACCOUNTS["dana"]
    revision = lambda: around.etcd.ask("kv/range", key=b"x")["header"]["revision"]  # noqa: E731
    before = int(revision())
    begun = time.time()
    for _ in range(20):
        assert client.notes()["account"] == ACCOUNTS["dana"]
    written = int(revision()) - before
    assert written <= 1 + (time.time() - begun) * 10 / SHORT, (written, front)


def test_a_newer_conversation_of_the_same_client_ends_the_oldest(
    around: Stage, pair: Replicas, person: People, assistant: Start, token: Callable[..., str]
) -> None:
    """In one browser the provider has one grant for both links. The old token is revoked before the new account is
    requested: otherwise the new token would end with it."""
    dana, held = person(), token("dana", "one")
    first, second = (assistant("dana", "one", LEGACY, held) for _ in range(2))
    other = assistant("dana", "one", LEGACY)
    connect(dana, asked(first), "dana")
    connect(person(), asked(other), "dana")
    # That another conversation asks ends nothing.
    link = asked(second)
    assert first.notes()["account"] == ACCOUNTS["dana"]
    connect(dana, link, "dana")
    old, of_other, new = granted(around)
    assert second.notes()["account"] == ACCOUNTS["dana"]
    assert other.notes()["account"] == ACCOUNTS["dana"]
    assert asked(first)
    assert revocations(around) == [old["refresh_token"]]
    statuses = [around.account(each["access_token"]).status_code for each in (old, of_other, new)]
    assert statuses == [401, 200, 200]


def test_without_a_limit_two_conversations_of_a_client_go_on(
    around: Stage, person: People, assistant: Start, token: Callable[..., str]
) -> None:
    dana, held = person(), token("dana", "by_claim")
    chats = [assistant("dana", "by_claim", LEGACY, held) for _ in range(2)]
    for chat in chats:
        connect(dana, asked(chat), "dana")
    for chat in chats * 2:
        assert chat.notes()["account"] == ACCOUNTS["dana"]
    assert not revocations(around)


def test_with_a_claim_a_new_session_asks_again_and_delete_ends_its_own_only(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str]
) -> None:
    held = token("dana", "by_claim")
    people = person(), person()
    first, second = (Assistant(pair.fronts["by_claim"].port, held, LEGACY) for _ in range(2))
    try:
        connect(people[0], asked(first), "dana")
        assert first.notes()["account"] == ACCOUNTS["dana"]
        # Another session of the same sign-in.
        connect(people[1], asked(second), "dana")
        of_first, of_second = granted(around)
        # The client ends its session as it leaves.
        first.close()
        around.wait_until_refused(of_first["access_token"])
        assert second.notes()["account"] == ACCOUNTS["dana"]
        assert revocations(around) == [of_first["refresh_token"]]
    finally:
        second.close()
    around.wait_until_refused(of_second["access_token"])
    wait_until_nothing_is_kept(around)


def test_sessions_share_an_account_where_the_policy_says_so(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str]
) -> None:
    held, port = token("dana", "across"), pair.fronts["across"].port
    first = Assistant(port, held, LEGACY)
    connect(person(), asked(first), "dana")
    first.close()
    second = Assistant(port, held, LEGACY)
    assert second.notes()["account"] == ACCOUNTS["dana"]
    second.close()
    assert not revocations(around)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a11_the_meta_of_calls_divides_the_conversations_of_a_client(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], mode: str
) -> None:
    held, dana = token("dana", "meta"), person()

    async def work() -> None:
        async with connected(pair.fronts["meta"].port, mode, False, held) as client:

            async def listed(**meta: str) -> Any:
                return await client.call_tool("notes.list", {}, meta=meta)

            async def link(**meta: str) -> str:
                try:
                    answer = await listed(**meta)
                except Exception as error:  # noqa: BLE001
                    return link_in(str(error))
                return link_in("".join(part.text for part in answer.content))

            one, other = {"openai/session": "chat-1"}, {"openai/session": "chat-2"}
            await asyncio.to_thread(connect, dana, await link(**one), "dana")
            assert (await listed(**one)).structured_content["account"] == ACCOUNTS["dana"]
            for meta in (other, {}, {"vscode.conversationId": "chat-1"}):
                assert await link(**meta)
            # A program that names the chat of another user gets nothing of it.
            erin = token("erin", "meta")
        async with connected(pair.fronts["meta"].port, mode, False, erin) as client:
            assert await link(**one)

    asyncio.run(work())
