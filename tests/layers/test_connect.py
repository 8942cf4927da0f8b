"""Users link accounts on the filter's pages: real providers, a real browser, two replicas and etcd."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..harness.waiting import eventually
from . import links, providers
from .browser import Person
from .connect import go_on, open_link
from .providers import ACCOUNTS, PASSWORD
from .replicas import Replicas
from .sign_in import agree
from .sites import CONFIDENTIAL, notes
from .stage import Stage

People = Callable[..., Person]

PICTURES = os.environ.get("MCP_AUTH_PICTURES")


SITES = {"notes": notes(client=CONFIDENTIAL)}


@pytest.fixture
def link(around: Stage, pair: Replicas) -> Callable[..., str]:
    """The link for a user."""
    return lambda user, **more: links.link(pair.origin("notes"), around.login.issuer, user, **more)


def _picture(person: Person, name: str) -> None:
    if PICTURES:
        person.screenshot(Path(PICTURES, f"{name}.png"))


@pytest.mark.parametrize("options", [{}, {"java_script_enabled": False, "color_scheme": "dark"}])
def test_an_account_is_connected(
    around: Stage, pair: Replicas, person: People, link: Callable[..., str], options: dict[str, Any]
) -> None:
    dana = person(**options)
    name = "dark" if options else "light"
    open_link(dana, link("dana"), "dana")
    text = dana.text()
    assert "Connect Notes?" in text and "Read your notes" in text and "10 minutes" in text and "dana" in text
    _picture(dana, f"connect-{name}")
    go_on(dana)
    with pair.logs("connected"):
        agree(dana, ACCOUNTS["dana"])
    assert "Notes is connected" in dana.text() and ACCOUNTS["dana"] in dana.text()
    _picture(dana, f"connected-{name}")

    entries, origin = around.etcd.entries(), pair.origin("notes")
    connected = links.account(entries, origin, around.login.issuer, "dana")
    assert connected is not None
    token = connected["access_token"]
    providers.tokens.remember(token)
    assert token.encode() not in b"".join(entries.values()) and connected["account"] == ACCOUNTS["dana"]
    assert around.account(token).json() == {"account": ACCOUNTS["dana"]}
    reasons = lambda: {each["reason"] for each in pair.records()}  # noqa: E731
    expected = {"sign_in_started", "signed_in", "connect_page_shown", "sent_to_connect"}
    eventually(lambda: expected <= reasons(), f"{expected} among the logged reasons", reasons)
    assert "ticket=" not in pair.log() and "state=" not in pair.log()


def test_an_account_is_linked_through_both_replicas(
    around: Stage, pair: Replicas, person: People, link: Callable[..., str]
) -> None:
    dana, front = person(), pair.fronts["notes"]
    front.use("a")
    open_link(dana, link("dana"), "dana")
    front.use("b")
    go_on(dana)
    front.use("a")
    agree(dana, ACCOUNTS["dana"])
    front.use()
    assert "Notes is connected" in dana.text()


def b42_the_user_of_another_account_can_sign_in_again(
    around: Stage, pair: Replicas, person: People, link: Callable[..., str]
) -> None:
    erin = person()
    open_link(erin, link("dana"), "erin")
    text = erin.text()
    assert "another user" in text and "dana" not in text
    assert not erin.has("Continue to Notes")
    _picture(erin, "other-user")
    # If it is hers after all, she signs in as herself.
    erin.click("sign in as another user")
    erin.fill("User name", "dana")
    erin.fill("Password", PASSWORD)
    erin.click("Sign in")
    agree(erin, "dana")
    assert "Connect Notes?" in erin.text()
    assert links.account(around.etcd.entries(), pair.origin("notes"), around.login.issuer, "dana") is None


def test_cookies_are_this_origins_only(
    around: Stage, person: People, link: Callable[..., str]
) -> None:
    dana = person()
    open_link(dana, link("dana"), "dana")
    own = {name: cookie for name, cookie in dana.cookies().items() if name.startswith("__Host-mcp-auth")}
    assert len(own) == 2 and "__Host-mcp-auth" in own
    for cookie in own.values():
        assert cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/"


def test_an_expired_link_is_refused(person: People, link: Callable[..., str]) -> None:
    dana = person()
    assert dana.goto(link("dana", expires=-1)).status == 400
    assert "expired" in dana.text()
    _picture(dana, "expired")
