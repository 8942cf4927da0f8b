"""A user signs in once and links an account once, and the calls of the conversation use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mcp import MCPError
from mcp_types import ElicitRequestParams, ElicitRequestURLParams

from ..clients.kinds import KINDS, LEGACY as OF_2025, Kind
from ..clients.program import Failed, Program
from .assistant import LEGACY, MODERN, Answer, Assistant
from .browser import Person
from .connect import asked, connect, link_in
from .providers import ACCOUNTS
from .replicas import Replicas
from .sign_in import Visitor
from .sites import notes, shipped
from .stage import Stage

SITES = {
    "notes": notes(),
    "by_claim": notes(vault={"conversation": {"claim": "sid"}, "sessions": "shared"}),
    "memory": notes(store="memory"),
    "shipped": shipped,
}

People = Callable[..., Person]
Start = Callable[..., Assistant]


def opens(person: Person, user: str) -> Answer:
    """A user who opens the link of an elicitation and links an account there."""

    def answer(asked: ElicitRequestParams) -> str:
        assert isinstance(asked, ElicitRequestURLParams)
        connect(person, asked.url, user)
        return "accept"

    return answer


def empty(account: str) -> dict[str, object]:
    """What the tool says of an account without notes."""
    return {"status": 200, "account": account, "notes": []}


@pytest.mark.parametrize("site", SITES)
def test_a_call_asks_the_user_and_then_goes_through(
    around: Stage, pair: Replicas, person: People, assistant: Start, site: str
) -> None:
    pair.fronts[site].use("a")
    dana = person()
    client = assistant("dana", site, answer=opens(dana, "dana"))
    around.server.reset()
    assert client.notes() == empty(ACCOUNTS["dana"])
    client.call("notes.add", text="milk")
    assert client.notes()["notes"] == ["milk"]
    [question] = client.asked
    assert question.mode == "url" and "Notes" in question.message
    # The server saw tokens of the resource only.
    credentials = {each["authorization"] for each in around.server.headers if "authorization" in each}
    assert len(credentials) == 1 and "." not in credentials.pop()


def test_a_client_of_2025_gets_the_link_in_an_error(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client = assistant("dana", mode=LEGACY)
    connect(person(), asked(client), "dana")
    assert client.notes() == empty(ACCOUNTS["dana"])


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.name)
def test_official_clients_that_open_no_pages_show_the_link(
    around: Stage, pair: Replicas, person: People, tmp_path: Path, kind: Kind
) -> None:
    options = {"url": pair.url("notes"), "issuer": around.login.issuer, "redirect_uri": around.landing.url}
    dana = person()
    client = Program(kind, options, Visitor(dana, "dana"), tmp_path / "client.log")
    try:
        assert client.connect() == kind.protocol
        with pytest.raises(Failed) as failed:
            client.call("notes.list")
        assert failed.value.code == (-32042 if kind.protocol == OF_2025 else None)
        # One sign-in is enough for both: the page opens in the browser the client was signed in with.
        connect(dana, link_in(str(failed.value)), "dana")
        assert json.loads(client.call("notes.list")) == empty(ACCOUNTS["dana"])
    finally:
        client.close()


def test_a_linked_account_is_used_at_both_replicas(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    front, dana, held = pair.fronts["notes"], person(), token("dana")
    front.use("a")
    clients = [assistant("dana", mode=mode, with_token=held) for mode in (MODERN, LEGACY)]
    for client in clients:
        connect(dana, asked(client), "dana")
    for name in ("b", "a"):
        front.use(name)
        for client in clients:
            assert client.notes()["account"] == ACCOUNTS["dana"]
    pair.kill("a")
    try:
        front.use()
        for client in clients * 2:
            assert client.notes()["account"] == ACCOUNTS["dana"]
    finally:
        pair.start("a")
    front.use("a")
    for client in clients:
        assert client.notes()["account"] == ACCOUNTS["dana"]


def test_each_user_uses_their_own_account(around: Stage, pair: Replicas, person: People, assistant: Start) -> None:
    of_dana, of_erin = assistant("dana"), assistant("erin")
    connect(person(), asked(of_dana), "dana")
    connect(person(), asked(of_erin), "erin")
    of_dana.call("notes.add", text="of dana")
    assert of_erin.notes() == empty(ACCOUNTS["erin"])
    assert of_dana.notes() == {**empty(ACCOUNTS["dana"]), "notes": ["of dana"]}


def test_an_account_is_linked_again_in_another_session(
    pair: Replicas, person: People, token: Callable[..., str], assistant: Start
) -> None:
    dana, held = person(), token("dana")
    first, second = (assistant("dana", mode=LEGACY, with_token=held) for _ in range(2))
    connect(dana, asked(first), "dana")
    link = asked(second)
    assert first.notes() == empty(ACCOUNTS["dana"])
    passed: list[str] = []
    dana.on("request", lambda request: passed.append(request.post_data or ""))
    connect(dana, link, "dana")
    assert second.notes() == empty(ACCOUNTS["dana"])
    # Both providers know the browser by now.
    assert any("ticket=" in each for each in passed) and not any("password=" in each for each in passed)


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
def test_an_account_is_linked_again_after_another_sign_in(
    around: Stage, person: People, token: Callable[..., str], assistant: Start, mode: str
) -> None:
    dana, program = person(), around.client(around.login)
    first = assistant("dana", "by_claim", mode, token("dana", "by_claim", dana, program))
    connect(dana, asked(first), "dana")
    # With the sign-in that was connected with, and with another one.
    same = assistant("dana", "by_claim", mode, token("dana", "by_claim", dana, program))
    other = assistant("dana", "by_claim", mode, token("dana", "by_claim", client=program))
    assert same.notes() == first.notes() == empty(ACCOUNTS["dana"])
    assert asked(other)
    assert first.notes() == empty(ACCOUNTS["dana"])


def test_an_account_that_the_user_declines_is_not_linked(around: Stage, assistant: Start) -> None:
    client = assistant("dana", answer=lambda _: "decline")
    with pytest.raises(MCPError):
        client.notes()
    assert len(client.asked) == 1
    assert not around.etcd.entries() and not around.api.notes


def test_a_client_that_only_claims_consent_is_asked_again(around: Stage, assistant: Start) -> None:
    """A client that only says that the user was there: it is asked again, as often as it asks."""
    answers = iter(["accept", "accept", "decline"])
    client = assistant("dana", answer=lambda _: next(answers))
    with pytest.raises(MCPError):
        client.notes()
    assert len(client.asked) == 3 and not around.etcd.entries()
