"""Sign-outs end linked accounts, and an account can be linked again."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from ..harness import web
from ..harness.waiting import wait_until
from . import links, providers
from .assistant import Assistant
from .browser import Person
from .connect import CONTINUE, asked, connect, open_link
from .providers import ACCOUNTS
from .replicas import NAMES, Replicas
from .sign_in import sign_out
from .sites import notes
from .stage import Stage

TOLD = {"back_channel_logout": True}

SITES = {
    "notes": notes(sign_in=TOLD),
    "by_claim": notes(sign_in=TOLD, vault={"conversation": {"claim": "sid"}}),
}

People = Callable[..., Person]
Start = Callable[..., Assistant]


@pytest.mark.parametrize("site", SITES)
def test_a_sign_out_ends_the_linked_account(
    around: Stage, pair: Replicas, person: People, assistant: Start, site: str
) -> None:
    """The provider calls the session otherwise in logout tokens than in access tokens."""
    front, dana, erin = pair.fronts[site], person(), person()
    front.use()
    client, other = assistant("dana", site), assistant("erin", site)
    connect(dana, asked(client), "dana")
    connect(erin, asked(other), "erin")
    assert client.notes()["account"] == ACCOUNTS["dana"]
    with pair.logs("logged_out") as told:
        sign_out(dana, around.login)
    assert [each["http.response.status_code"] for each in told] == [200]
    for name in NAMES:
        front.use(name)
        assert asked(client)
        assert other.notes()["account"] == ACCOUNTS["erin"]
    # The pages ask her to sign in too. A sign-in in the second of the sign-out would count as an earlier one.
    wait_until(int(time.time()) + 1)
    link = asked(client)
    with pair.logs("signed_in"):
        connect(dana, link, "dana")
    assert client.notes()["account"] == ACCOUNTS["dana"]


def test_a_page_that_was_opened_before_a_sign_out_is_refused(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    dana, client = person(), assistant("dana")
    open_link(dana, asked(client), "dana")
    consent, dana.page = dana.page, dana.run(dana.context.new_page())
    with pair.logs("logged_out"):
        sign_out(dana, around.login)
    dana.page = consent
    assert dana.click(CONTINUE).status == 403
    assert "not signed in any more" in dana.text()
    assert asked(client) and not around.resource.grants("authorization_code")


def test_an_account_that_is_linked_again_stays_linked(
    around: Stage, pair: Replicas, person: People, assistant: Start, token: Callable[..., str]
) -> None:
    """In one browser the provider has one grant for both: whoever ended the tokens of the connection that is
    replaced would end those of the new one."""
    dana, held = person(), token("dana")
    client = assistant("dana", with_token=held)
    link = links.link(pair.origin("notes"), around.login.issuer, "dana", client=links.client_of(held))
    for _ in range(2):
        connect(dana, link, "dana")
        assert client.notes()["account"] == ACCOUNTS["dana"]
    before, after = (each.answer for each in around.resource.grants("authorization_code"))
    assert [around.account(each["access_token"]).status_code for each in (before, after)] == [200, 200]
    providers.tokens.remember(before["refresh_token"])
    registered = pair.listeners["notes"].policy["connections"]["notes"]["client_id"]
    revoked = {"client_id": registered, "token": before["refresh_token"]}
    assert web.post(f"{around.resource.issuer}/token/revocation", data=revoked).status_code == 200
    assert around.account(after["access_token"]).status_code == 401


def test_the_last_page_may_be_loaded_again(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    dana, client = person(), assistant("dana")
    connect(dana, asked(client), "dana")
    said = dana.text()
    with pair.logs("connected_before"):
        assert dana.run(dana.page.reload()).status == 200
    assert dana.text() == said and len(around.resource.grants("authorization_code")) == 1
    assert client.notes()["account"] == ACCOUNTS["dana"]
