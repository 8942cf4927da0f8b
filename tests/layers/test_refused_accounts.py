"""An account that the resource no longer honours: the server answers 401, or the provider refuses the refresh. The
account ends, and the answer to that very call asks the user again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from ..harness import web
from ..harness.messages import MODERN as OF_2026
from ..harness.messages import call, post
from .assistant import LEGACY, MODERN, Assistant
from .browser import Person
from .connect import asked, connect, text
from .providers import ACCOUNTS
from .replicas import Replicas
from .sites import notes
from .stage import Stage
from .strict_server import FORMS
from .test_conversation import opens
from .test_conversation_ends import granted, revocations

SITES = {
    "notes": notes("notes_strict", auth_tools=True),
    # Tokens that have to be refreshed for each call.
    "refreshed": notes("notes_strict", client={"access_token_lifetime": 5}, auth_tools=True),
}

VERSIONS = {"b": "1.36"}

People = Callable[..., Person]
Start = Callable[..., Assistant]



def client_id(pair: Replicas, site: str = "notes") -> str:
    """The filter's client at the resource."""
    return pair.listeners[site].policy["connections"]["notes"]["client_id"]


def end_at_the_resource(stage: Stage, pair: Replicas, site: str = "notes") -> None:
    """The user ends the access at the resource, where the filter is not told."""
    tokens = granted(stage)[-1]
    stage.resource.revoke(tokens["refresh_token"], client_id(pair, site))
    assert stage.account(tokens["access_token"]).status_code == 401


def connections(client: Assistant) -> list[dict[str, Any]]:
    """What `auth_connections` says."""
    return client.call("auth_connections").structured_content["connections"]


@pytest.mark.parametrize("replica", ["a", "b"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", [MODERN, LEGACY])
def test_a10_an_account_that_was_ended_at_the_resource_is_asked_for_again_at_once(
    around: Stage, pair: Replicas, person: People, assistant: Start, mode: str, form: str, replica: str
) -> None:
    pair.fronts["notes"].use(replica)
    dana, client = person(), assistant("dana", mode=mode)
    connect(dana, asked(client), "dana")
    assert client.notes()["account"] == ACCOUNTS["dana"]
    end_at_the_resource(around, pair)
    around.strict.form = form
    with pair.logs("account_not_accepted") as records:
        link = asked(client)
    [record] = records
    assert record["http.response.status_code"] == 200 and record["connection"] == "notes"
    assert around.strict.refused == 1
    assert not connections(client)[0]["connected"]
    # The next call does not reach the server.
    assert asked(client) and around.strict.refused == 1
    connect(dana, link, "dana")
    assert client.notes()["account"] == ACCOUNTS["dana"]


def test_a_client_that_opens_pages_is_not_sent_round_for_ever(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    """The server refuses every token. The client opens each page that it is asked to open."""
    around.strict.refuses_all = True
    dana = person()
    client = assistant("dana", answer=opens(dana, "dana"))
    result = client.call("notes.list")
    assert result.is_error and "refused again" in text(result) and "operator" in text(result)
    # Once because it was not linked, and once more.
    assert len(client.asked) == 2 and around.strict.refused == 2
    for each in granted(around):
        around.wait_until_refused(each["access_token"])
    assert revocations(around)


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
def test_a_refresh_token_that_the_provider_refuses_ends_the_account(
    around: Stage, pair: Replicas, person: People, assistant: Start, mode: str
) -> None:
    """Without waiting: not 503, and not "connected" until the lifetime ends."""
    pair.fronts["refreshed"].use("a")
    dana, client = person(), assistant("dana", "refreshed", mode)
    connect(dana, asked(client), "dana")
    client.notes()
    refreshed = [*granted(around), *(each.answer for each in around.resource.grants("refresh_token"))]
    around.resource.revoke(refreshed[-1]["refresh_token"], client_id(pair, "refreshed"))
    begun = time.time()
    link = asked(client)
    assert time.time() - begun < 3
    assert not connections(client)[0]["connected"]
    for _ in range(3):
        assert asked(client)
    connect(dana, link, "dana")
    begun = time.time()
    assert client.notes()["account"] == ACCOUNTS["dana"]
    assert time.time() - begun < 3


def test_without_the_store_the_account_stays(
    around: Stage, pair: Replicas, person: People, assistant: Start, token: Callable[..., str]
) -> None:
    """The store goes away while the server judges: the call gets a 503, and nothing is said to have ended."""
    held, dana = token("dana"), person()
    client = assistant("dana", with_token=held)
    connect(dana, asked(client), "dana")
    assert client.notes()["account"] == ACCOUNTS["dana"]
    check = around.strict._refuses  # noqa: SLF001

    async def refuse_without_store(_: str) -> bool:
        await asyncio.to_thread(around.etcd.close)
        return True

    around.strict._refuses = refuse_without_store  # noqa: SLF001
    try:
        sent = post(call(OF_2026, "notes.list"), held, OF_2026)
        headers = [(name, str(value)) for name, value in sent.headers]
        answer = web.post(pair.url("notes"), content=sent.body, headers=headers)
        assert answer.status_code == 503 and "store" in answer.text and answer.headers["retry-after"]
    finally:
        around.strict._refuses = check  # noqa: SLF001
        around.etcd.start()
    assert client.notes()["account"] == ACCOUNTS["dana"]


def test_a_call_without_an_account_keeps_the_server_s_401(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    around.strict.refuses_all = True
    client = assistant("erin")
    connect(person(), asked(client), "erin")
    # It has no token of the filter's, so the server lets it pass.
    assert client.call("crm.get_customer", customer="acme").structured_content == {"customer": "acme"}
    assert connections(client)[0]["connected"]
