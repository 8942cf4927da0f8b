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

from ..harness.envoy_config import ENVIRONMENT, Listener
from . import links, providers
from .browser import Person
from .notes_api import READ
from .providers import ACCOUNTS, PASSWORD
from .replicas import Replicas
from .sign_in import agree
from .stage import GRANTS, Stage

People = Callable[..., Person]

PICTURES = os.environ.get("MCP_AUTH_PICTURES")


def _site(stage: Stage, url: str) -> Listener:
    pages = url.removesuffix("/mcp") + links.PAGES
    signs_in = providers.register(
        stage.login, redirect_uris=[f"{pages}signed-in"], token_endpoint_auth_method="none"
    )
    connects = providers.register(
        stage.resource, redirect_uris=[f"{pages}callback/notes"], grant_types=GRANTS
    )
    policy = stage.policy(url, store={"etcd": {"cluster": "etcd"}})
    policy["issuers"][0]["sign_in"] = {
        "authorize": f"{stage.login.issuer}/auth",
        "token": {"cluster": "login", "path": "/token"},
        "client_id": signs_in["client_id"],
    }
    policy["connections"] = {
        "notes": {
            "title": "Notes",
            "issuer": stage.resource.issuer,
            "iss": "required",
            "authorize": f"{stage.resource.issuer}/auth",
            "token": {"cluster": "resource", "path": "/token"},
            "client_id": connects["client_id"],
            "client_secret_env": "NOTES_SECRET",
            "scopes": [READ],
            "allows": ["Read your notes"],
            "resource": stage.api.url,
            "account": {"cluster": "api", "path": "/me", "field": "account"},
            "lifetime": "10m",
        }
    }
    policy["tools"] = {"notes.*": {"connection": "notes"}}
    secrets = {**ENVIRONMENT, "NOTES_SECRET": connects["client_secret"]}
    return Listener(policy, "notes", environment=secrets)


SITES = {"notes": _site}


@pytest.fixture
def link(around: Stage, pair: Replicas) -> Callable[..., str]:
    """The link for a user."""
    return lambda user, **more: links.link(pair.origin("notes"), around.login.issuer, user, **more)


def _sign_in(person: Person, link: str, user: str) -> None:
    """Open a link, and sign in where it leads."""
    person.goto(link)
    agree(person, user)


def _go(stage: Stage, person: Person) -> None:
    """Say yes on the page."""
    person.click("Continue to Notes")
    person.run(person.page.wait_for_url(f"{stage.resource.issuer}/**"))


def _connect(stage: Stage, person: Person, link: str, user: str) -> None:
    _sign_in(person, link, user)
    _go(stage, person)
    agree(person, ACCOUNTS[user])


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
    _sign_in(dana, link("dana"), "dana")
    text = dana.text()
    assert "Connect Notes?" in text and "Read your notes" in text and "10 minutes" in text and "dana" in text
    _picture(dana, f"connect-{name}")
    _go(around, dana)
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
    _sign_in(dana, link("dana"), "dana")
    front.use("b")
    _go(around, dana)
    front.use("a")
    agree(dana, ACCOUNTS["dana"])
    front.use()
    assert "Notes is connected" in dana.text()


def b42_another_user_opens_the_link(
    around: Stage, person: People, link: Callable[..., str]
) -> None:
    erin = person()
    _sign_in(erin, link("dana"), "erin")
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
    _connect(around, dana, link("dana"), "dana")
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
    _sign_in(dana, url, "dana")
    dana.goto(around.landing.url)
    frame = f"<iframe src='{url}'></iframe>"
    dana.run(dana.page.set_content(frame, wait_until="load"))
    inside = [each for each in dana.page.frames if each != dana.page.main_frame]
    assert len(inside) == 1 and "Connect Notes" not in dana.run(inside[0].content())


def test_cookies_are_this_origins_only(
    around: Stage, person: People, link: Callable[..., str]
) -> None:
    dana = person()
    _sign_in(dana, link("dana"), "dana")
    for name in ("__Host-mcp-auth", "__Host-mcp-auth-flow"):
        cookie = dana.cookies()[name]
        assert cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/"


def test_an_old_link(person: People, link: Callable[..., str]) -> None:
    dana = person()
    assert dana.goto(link("dana", expires=-1)).status == 400
    assert "expired" in dana.text()
    _picture(dana, "expired")
