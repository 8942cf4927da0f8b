"""The parts around the filter work as the tests expect."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ..clients.kinds import KINDS, Kind
from ..clients.program import Program
from ..harness import web
from ..harness.envoy_config import Listener
from ..harness.sdk_client import connected
from .browser import Person
from .landing import COOKIE
from .notes_api import READ, SCOPES
from .providers import ACCOUNTS, SCOPE
from .replicas import Replicas
from .sign_in import Client, Visitor, agree, sign_out
from .stage import Stage

SITES = {"notes": lambda stage, url: Listener(stage.policy(url), "notes")}

# One of each SDK and each era.
CLIENTS = {"python-v2", "typescript-v2-legacy"}

People = Callable[..., Person]


def _signed_in(stage: Stage, pair: Replicas, person: Person, user: str) -> str:
    client = stage.client(stage.login)
    asked = {"scope": f"openid {SCOPE}", "resource": pair.url("notes")}
    return client.tokens(person, user, **asked)["access_token"]


def test_etcd_creates_a_key_once(around: Stage) -> None:
    assert around.etcd.create(b"once", b"first")
    assert not around.etcd.create(b"once", b"second")
    assert around.etcd.entries() == {b"once": b"first"}


def test_a_sign_in_in_the_browser_gives_a_token_for_the_server(
    around: Stage, pair: Replicas, person: People
) -> None:
    token = _signed_in(around, pair, person(), "dana")

    async def tools() -> list[str]:
        async with connected(pair.fronts["notes"].port, "auto", False, token) as client:
            return sorted(tool.name for tool in (await client.list_tools()).tools)

    assert asyncio.run(tools()) == ["notes.add", "notes.debug", "notes.list"]


def test_a_session_goes_on_at_the_other_replica(around: Stage, pair: Replicas, person: People) -> None:
    token = _signed_in(around, pair, person(), "erin")
    front = pair.fronts["notes"]

    async def call_at_each() -> dict[str, set[str]]:
        went = {}
        front.use("a")
        async with connected(front.port, "legacy", False, token) as client:
            for name in ("a", "a", "b", "b", "a"):
                front.use(name)
                front.taken.clear()
                answer = await client.call_tool("crm.get_customer", {"customer": name})
                assert answer.structured_content == {"customer": name}
                went[name] = set(front.taken)
        return went

    assert asyncio.run(call_at_each()) == {"a": {"a"}, "b": {"b"}}
    sessions = {each["mcp-session-id"] for each in around.server.headers if "mcp-session-id" in each}
    assert len(sessions) == 1


def test_the_resource_accepts_its_own_tokens_only(around: Stage, pair: Replicas, person: People) -> None:
    dana = person()
    at_resource = around.client(around.resource)
    granted = at_resource.tokens(dana, ACCOUNTS["dana"], scope=" ".join(SCOPES))
    of_login = _signed_in(around, pair, dana, "dana")
    assert _account(around, granted["access_token"]) == (200, ACCOUNTS["dana"])
    assert _account(around, of_login) == _account(around, "nobody's") == (401, None)
    at_resource.revoke(granted["access_token"])
    assert _account(around, granted["access_token"]) == (401, None)


def _account(stage: Stage, token: str) -> tuple[int, str | None]:
    answer = stage.account(token)
    return answer.status_code, answer.json().get("account")


def test_tokens_of_the_resource_are_short_and_renewed_once(around: Stage, person: People) -> None:
    client = around.client(around.resource, access_token_lifetime=7)
    granted = client.tokens(person(), ACCOUNTS["erin"], scope=READ)
    assert granted["expires_in"] == 7
    renew = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
    renewed = client.redeem(**renew)
    assert renewed["refresh_token"] != granted["refresh_token"]
    assert _account(around, renewed["access_token"]) == (200, ACCOUNTS["erin"])


def test_the_resource_knows_clients_by_their_documents(around: Stage, person: People) -> None:
    client = Client(around.resource, around.landing.document, around.landing.url)
    granted = client.tokens(person(), ACCOUNTS["dana"], scope=READ)
    assert _account(around, granted["access_token"]) == (200, ACCOUNTS["dana"])


def test_tools_act_as_the_account_of_the_token(around: Stage, person: People) -> None:
    token = around.client(around.resource).tokens(person(), ACCOUNTS["erin"], scope=" ".join(SCOPES))["access_token"]

    async def add_and_list() -> dict:
        async with connected(around.stateless.port, "auto", False, token) as client:
            await client.call_tool("notes.add", {"text": "milk"})
            return (await client.call_tool("notes.list", {})).structured_content

    assert asyncio.run(add_and_list()) == {"status": 200, "account": ACCOUNTS["erin"], "notes": ["milk"]}


def test_people_have_browsers_of_their_own(around: Stage, person: People, tmp_path: Path) -> None:
    dana, erin = person(), person(java_script_enabled=False)
    around.client(around.resource).tokens(dana, ACCOUNTS["dana"], scope=READ)
    around.client(around.login).tokens(erin, "erin", scope="openid")
    assert set(dana.cookies()) >= {"resource_session", COOKIE} and "login_session" not in dana.cookies()
    assert set(erin.cookies()) >= {"login_session", COOKIE} and "resource_session" not in erin.cookies()
    # Plain HTTP on this machine is as good as HTTPS to it.
    assert dana.cookies()[COOKIE]["secure"]
    erin.screenshot(tmp_path / "phone.png")
    assert (tmp_path / "phone.png").read_bytes().startswith(b"\x89PNG")


def test_a_user_signs_out_and_another_one_in(around: Stage, person: People) -> None:
    someone = person()
    client = around.client(around.login)
    client.tokens(someone, "dana", scope="openid")
    someone.goto(client.authorization_url("v" * 43, "state", scope="openid"))
    assert someone.url().startswith(around.landing.url)
    sign_out(someone, around.login)
    someone.goto(client.authorization_url("v" * 43, "state", scope="openid"))
    someone.fill("User name", "erin")
    someone.fill("Password", "wrong")
    someone.click("Sign in")
    assert "Wrong name or password." in someone.text()
    agree(someone, "erin")
    assert someone.url().startswith(around.landing.url)


@pytest.mark.parametrize("kind", [each for each in KINDS if each.name in CLIENTS], ids=lambda each: each.name)
def test_official_clients_sign_in_through_the_browser(
    around: Stage, pair: Replicas, person: People, tmp_path: Path, kind: Kind
) -> None:
    options = {"url": pair.url("notes"), "issuer": around.login.issuer, "redirect_uri": around.landing.url}
    client = Program(kind, options, Visitor(person(), "erin"), tmp_path / "client.log")
    try:
        assert client.connect() == kind.protocol
        assert json.loads(client.call("crm.get_customer", customer="acme")) == {"customer": "acme"}
    finally:
        client.close()
    assert [each.status for each in around.login.registrations()] == [201]


def test_the_front_passes_over_a_replica_that_ended(around: Stage, pair: Replicas) -> None:
    front = pair.fronts["notes"]
    front.use()
    pair.kill("a")
    try:
        front.taken.clear()
        statuses = {web.post(pair.url("notes")).status_code for _ in range(4)}
        assert (statuses, set(front.taken)) == ({401}, {"b"})
    finally:
        pair.start("a")
    statuses = {web.post(pair.url("notes")).status_code for _ in range(4)}
    assert (statuses, set(front.taken)) == ({401}, {"a", "b"})
