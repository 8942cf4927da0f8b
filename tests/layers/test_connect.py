"""Accounts are connected on the filter's pages: real providers, a real browser, two replicas and etcd."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from . import links, providers
from .browser import Person
from .providers import ACCOUNTS, PASSWORD
from .replicas import Replicas
from .sign_in import agree
from .site import connect, connecting, go, sign_in
from .stage import Stage

People = Callable[..., Person]

PICTURES = os.environ.get("MCP_AUTH_PICTURES")


SITES = {"notes": connecting}


@pytest.fixture
def link(around: Stage, pair: Replicas) -> Callable[..., str]:
    """The link for a user."""
    return lambda user, **more: links.link(pair.origin("notes"), around.login.issuer, user, **more)


def _picture(person: Person, name: str) -> None:
    if PICTURES:
        person.screenshot(Path(PICTURES, f"{name}.png"))


def _records(stage: Stage) -> dict[bytes, bytes]:
    """What is kept beside used states."""
    return {key: value for key, value in stage.etcd.entries().items() if len(value) > 100}


def _reasons(pair: Replicas) -> list[str]:
    """What the log calls each request so far."""
    lines = [line.split("mcp_auth_access ")[1] for line in pair.log().splitlines() if "mcp_auth_access " in line]
    return [json.loads(line)["reason"] for line in lines]


@pytest.mark.parametrize("options", [{}, {"java_script_enabled": False, "color_scheme": "dark"}])
def test_an_account_is_connected(
    around: Stage, pair: Replicas, person: People, link: Callable[..., str], options: dict[str, Any]
) -> None:
    dana = person(**options)
    name = "dark" if options else "light"
    sign_in(dana, link("dana"), "dana")
    text = dana.text()
    assert "Connect Notes?" in text and "Read your notes" in text and "10 minutes" in text and "dana" in text
    _picture(dana, f"connect-{name}")
    go(around, dana)
    agree(dana, ACCOUNTS["dana"])
    assert "Notes is connected" in dana.text() and ACCOUNTS["dana"] in dana.text()
    _picture(dana, f"connected-{name}")

    [(key, value)] = _records(around).items()
    origin = pair.origin("notes")
    connected = links.kept(value, key.decode().rpartition("/")[2], origin, around.login.issuer, "dana")
    token = connected["access_token"]
    providers.tokens.remember(token)
    assert token.encode() not in value and connected["account"] == ACCOUNTS["dana"]
    answer = httpx.get(f"{around.api.url}/me", headers={"authorization": f"Bearer {token}"})
    assert answer.json() == {"account": ACCOUNTS["dana"]}
    for reason in ("page_sign_in", "signed_in", "page_connect", "page_onward", "connected"):
        assert reason in _reasons(pair), reason
    assert "ticket=" not in pair.log() and "state=" not in pair.log()


def test_both_replicas_take_part(
    around: Stage, pair: Replicas, person: People, link: Callable[..., str]
) -> None:
    dana, front = person(), pair.fronts["notes"]
    front.use("a")
    sign_in(dana, link("dana"), "dana")
    front.use("b")
    go(around, dana)
    front.use("a")
    agree(dana, ACCOUNTS["dana"])
    front.use()
    assert "Notes is connected" in dana.text()


def b42_another_user_opens_the_link(
    around: Stage, person: People, link: Callable[..., str]
) -> None:
    erin = person()
    sign_in(erin, link("dana"), "erin")
    text = erin.text()
    assert "somebody else" in text and "dana" not in text
    assert not erin.has("Continue to Notes")
    _picture(erin, "other-user")
    # If it is hers after all, she signs in as herself.
    erin.click("sign in as somebody else")
    erin.fill("User name", "dana")
    erin.fill("Password", PASSWORD)
    erin.click("Sign in")
    agree(erin, "dana")
    assert "Connect Notes?" in erin.text()
    assert not _records(around)


def b42_a_stolen_state_and_a_replayed_one(
    around: Stage, pair: Replicas, person: People, link: Callable[..., str]
) -> None:
    dana, thief = person(), person()
    callbacks: list[str] = []
    dana.page.on("request", lambda request: callbacks.append(request.url))
    connect(around, dana, link("dana"), "dana")
    [callback] = [url for url in callbacks if "/callback/" in url]
    assert set(parse_qs(urlsplit(callback).query)) >= {"code", "state", "iss"}
    assert thief.goto(callback).status == 403
    assert "not for this browser" in thief.text()
    _picture(thief, "other-browser")
    assert dana.goto(f"{callback}&again=1").status == 400
    assert "used before" in dana.text()
    assert len(_records(around)) == 1


def b42_pages_are_not_framed(
    around: Stage, person: People, link: Callable[..., str]
) -> None:
    dana = person()
    url = link("dana")
    sign_in(dana, url, "dana")
    dana.goto(around.landing.url)
    frame = f"<iframe src='{url}'></iframe>"
    dana.run(dana.page.set_content(frame, wait_until="load"))
    inside = [each for each in dana.page.frames if each != dana.page.main_frame]
    assert len(inside) == 1 and "Connect Notes" not in dana.run(inside[0].content())


def test_cookies_are_this_origins_only(
    around: Stage, person: People, link: Callable[..., str]
) -> None:
    dana = person()
    sign_in(dana, link("dana"), "dana")
    for name in ("__Host-mcp-auth", "__Host-mcp-auth-flow"):
        cookie = dana.cookies()[name]
        assert cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/"


def test_an_old_link(person: People, link: Callable[..., str]) -> None:
    dana = person()
    assert dana.goto(link("dana", expires=-1)).status == 400
    assert "expired" in dana.text()
    _picture(dana, "expired")
