"""Accounts that are not of an authorization server, and the page with all accounts: real parts, two replicas."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError

from ..clients.kinds import KINDS, Kind
from ..clients.program import Failed, Program
from ..harness import web
from ..harness.envoy_config import ENVIRONMENT, Listener
from ..harness.messages import MODERN as OF_2026
from ..harness.messages import message, post
from . import providers
from .assistant import LEGACY, MODERN, Assistant
from .browser import PHONE, Person
from .connect import asked, connect, go_on, link_in, open_link
from .look import look
from .notes_api import NotesApi
from .providers import ACCOUNTS
from .replicas import Replicas, Site
from .sign_in import Visitor, agree
from .sites import ETCD, notes, signs_in
from .stage import GRANTS, Stage

People = Callable[..., Person]
Start = Callable[..., Assistant]

CHECK = {"cluster": "api", "path": "/me", "field": "account"}

KEY = {
    "kind": "key",
    "title": "Notes",
    "check": CHECK,
    "apply": {"headers": {"x-api-key": "{key}"}},
    "help": "You find your key under Settings.",
    "accounts": 2,
    "lifetime": "10m",
}

WITH_PASSWORD = {"kind": "password", "title": "Notes", "check": CHECK, "lifetime": "10m"}

ASSIGNED = {
    "kind": "key",
    "apply": {"headers": {"x-api-key": "{key}"}},
    "credentials": [
        {"organization": "acme", "role": "manager", "env": "KEY_OF_MANAGERS"},
        {"organization": "acme", "env": "KEY_OF_ACME", "account": "acme"},
        {"organization": "globex", "env": "KEY_OF_GLOBEX"},
    ],
}

TEST_USERS = {
    "roles": {
        "support": {"tools": ["notes.*"]},
        "manager": {"tools": ["notes.*"], "view_as": {"users": ["tina", "nobody"]}, "extends": ["support"]},
    },
    "view_as": {
        "header": "x-view-as",
        "users": {"tina": {"roles": ["support"], "connections": ["notes"]}, "nobody": {"roles": ["support"]}},
    },
}


def site(connection: dict[str, Any], cluster: str = "notes_stateless", **policy: Any) -> Site:
    """A site with this connection."""

    def made(stage: Stage, url: str) -> Listener:
        about = stage.policy(url, **{"store": ETCD, **policy})
        about["issuers"][0]["sign_in"] = signs_in(stage, url)
        about["issuers"][0]["identity"]["organization"] = "org_id"
        about["connections"] = {"notes": connection}
        about["tools"] = {"notes.*": {"connection": "notes"}}
        keys = {"KEY_OF_ACME": "key-of-acme\n", "KEY_OF_GLOBEX": "key-of-globex", "KEY_OF_MANAGERS": "key-of-managers"}
        return Listener(about, cluster, environment={**ENVIRONMENT, **keys})

    return made


SITES = {
    "keys": site(KEY, auth_tools=True),
    "three": site({**KEY, "accounts": 3}, auth_tools=True),
    "passwords": site(WITH_PASSWORD),
    "headers": site({**WITH_PASSWORD, "apply": {"headers": {"x-user": "{user}", "x-password": "{password}"}}}),
    "assigned": site(ASSIGNED),
    "hosted": notes("hosted", upstream={"authorization": "connection", "connection": "notes"}, auth_tools=True),
    "hosted_shared": notes(
        "hosted",
        upstream={"authorization": "connection", "connection": "notes"},
        vault={"clients": "shared"},
    ),
    "several": notes("notes_stateless", connection={"accounts": 2}, auth_tools=True, **TEST_USERS),
}


def _said(error: BaseException) -> str:
    """The message of the answer to `initialize`, which the client raises inside groups of errors."""
    if isinstance(error, BaseExceptionGroup):
        return _said(error.exceptions[0])
    return str(error)


def _type_key(person: Person, link: str, key: str) -> None:
    open_link(person, link, "dana")
    person.fill("Key of Notes", key)
    person.click("Connect Notes")


@pytest.mark.parametrize("mode", [LEGACY, MODERN])
def test_a_user_connects_with_a_key(
    around: Stage, pair: Replicas, person: People, assistant: Start, mode: str
) -> None:
    dana, client = person(), assistant("dana", "keys", mode)
    link = asked(client)
    open_link(dana, link, "dana")
    text = dana.text()
    assert "Connect Notes?" in text and "You find your key under Settings." in text
    assert "never sees your key" in text
    dana.fill("Key of Notes", "no-such-key")
    assert dana.click("Connect Notes").status == 403
    assert "It was not accepted" in dana.text()
    dana.fill("Key of Notes", " key-of-dana ")
    with pair.logs("connected") as records:
        dana.click("Connect Notes")
    assert "Notes is connected" in dana.text() and "dana@keys" in dana.text()
    assert client.notes()["account"] == "dana@keys"
    [sent] = [each for each in around.stateless.headers if "x-api-key" in each]
    assert sent["x-api-key"] == "key-of-dana" and "authorization" not in sent
    assert [each["account"] for each in records] and "key-of-dana" not in pair.log()
    stored = b"".join(around.etcd.entries().values())
    assert stored and b"key-of-dana" not in stored
    assert "key-of-dana" not in str(pair.records())


@pytest.mark.parametrize("name", ["keys", "passwords"])
@pytest.mark.parametrize("mode", [LEGACY, MODERN])
def test_a17_a_server_that_repeats_the_credential_does_not_give_it_to_the_client(
    around: Stage, pair: Replicas, person: People, assistant: Start, name: str, mode: str
) -> None:
    dana, client = person(), assistant("dana", name, mode)
    if name == "keys":
        _type_key(dana, asked(client), "key-of-dana")
        secrets = ["key-of-dana"]
    else:
        open_link(dana, asked(client), "dana")
        dana.fill("User name at Notes", "dana")
        dana.fill("Password at Notes", "pass: wörd")
        dana.click("Connect Notes")
        secrets = [base64.b64encode("dana:pass: wörd".encode()).decode(), "pass: wörd"]
    with pair.logs("allowed") as records:
        said = str(client.call("notes.debug"))
    assert "*" * 8 in said, said
    assert not [secret for secret in secrets if secret in said]
    assert [each["withheld"] for each in records] and all(each["withheld"]["credential"] for each in records)
    received = str(around.stateless.headers)
    assert secrets[0] in received


def test_a12_a_client_cannot_bring_a_key_of_its_own(around: Stage, pair: Replicas, token: Callable[..., str]) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    headers = {
        "authorization": f"Bearer {token('dana', 'keys')}",
        "accept": "application/json, text/event-stream",
        "x-api-key": "key-of-ops",
        "mcp-protocol-version": "2025-06-18",
    }
    assert web.post(pair.url("keys"), json=body, headers=headers).status_code == 200
    assert not any("x-api-key" in each for each in around.stateless.headers)


def test_a_user_connects_with_a_password(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    dana, client = person(color_scheme="dark"), assistant("dana", "passwords")
    open_link(dana, asked(client), "dana")
    for password, status in [("pass: word", 403), (NotesApi.PASSWORDS["dana"][0], 200)]:
        dana.fill("User name at Notes", "dana")
        dana.fill("Password at Notes", password)
        assert dana.click("Connect Notes").status == status
    assert client.notes()["account"] == "dana@passwords"
    sent = [each["authorization"] for each in around.stateless.headers if "authorization" in each]
    assert sent and all(each.startswith("Basic ") for each in sent)


def test_a_server_gets_user_name_and_password_in_two_headers(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    dana, client = person(), assistant("dana", "headers")
    open_link(dana, asked(client), "dana")
    # A header cannot have this password.
    for user, status in [("dana", 400), ("ops", 200)]:
        dana.fill("User name at Notes", user)
        dana.fill("Password at Notes", NotesApi.PASSWORDS[user][0])
        assert dana.click("Connect Notes").status == status, dana.text()
    assert client.notes()["account"] == "ops@passwords"
    [sent] = [each for each in around.stateless.headers if "x-user" in each]
    assert (sent["x-user"], sent["x-password"]) == ("ops", "ops: pass") and "authorization" not in sent
    assert "ops: pass" not in pair.log() and b"ops: pass" not in b"".join(around.etcd.entries().values())


def test_more_than_two_accounts_are_kept_and_the_oldest_makes_room(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    dana, client = person(), assistant("dana", "three")
    _type_key(dana, asked(client), "key-of-dana")
    switch = lambda: client.call("auth_switch", connection="notes").structured_content  # noqa: E731
    for name in ("ops", "tests"):
        _type_key(dana, switch()["url"], f"key-of-{name}")
    said = switch()
    assert (said["account"], sorted(said["others"])) == ("tests@keys", ["dana@keys", "ops@keys"])
    _type_key(dana, said["url"], "key-of-acme")
    said = switch()
    assert (said["account"], sorted(said["others"])) == ("acme", ["ops@keys", "tests@keys"])
    dana.goto(said["url"])
    dana.run(dana.page.get_by_role("button", name="Use this account").last.click())
    dana.run(dana.page.wait_for_load_state())
    said = switch()
    assert len(said["others"]) == 2 and "acme" in said["others"]
    assert client.notes()["account"] == said["account"] != "acme"


def test_an_administrator_sets_the_key_of_an_organization(
    around: Stage, pair: Replicas, assistant: Start
) -> None:
    # By the first entry that fits: olga is a manager too, of another organization.
    for user, expected in [("dana", "acme"), ("erin", "acme-managers"), ("olga", "globex")]:
        assert assistant(user, "assigned").notes()["account"] == expected
    around.give_role("erin", "support")
    claims = around.claims.read_text()
    around.claims.write_text(claims.replace('"org_id": "acme"', '"org_id": "initech"'))
    with pair.logs("no_credential_for_caller"), pytest.raises(MCPError, match="no credential of `notes` is for this caller"):
        assistant("erin", "assigned").notes()


@pytest.mark.parametrize("mode", [LEGACY, MODERN])
def test_all_requests_to_a_hosted_server_have_the_account(
    around: Stage, pair: Replicas, person: People, assistant: Start, token: Callable[..., str], mode: str
) -> None:
    held = token("dana", "hosted")
    with pytest.raises(ExceptionGroup) as refused:
        assistant("dana", "hosted", mode, with_token=held)
    link = link_in(_said(refused.value))
    assert not around.hosted.headers
    connect(person(), link, "dana")
    client = assistant("dana", "hosted", mode, with_token=held)
    assert client.notes()["account"] == ACCOUNTS["dana"]
    assert all(each["authorization"].startswith("Bearer ") for each in around.hosted.headers)
    assert not any(held in each["authorization"] for each in around.hosted.headers)


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.name)
def test_official_clients_show_the_link_of_a_hosted_server_and_connect_afterwards(
    around: Stage, pair: Replicas, person: People, tmp_path: Path, kind: Kind
) -> None:
    known = {"redirect_uris": [around.landing.url], "grant_types": GRANTS, "token_endpoint_auth_method": "none"}
    client_id = providers.register(around.login, **known)["client_id"]
    where = {"url": pair.url("hosted"), "issuer": around.login.issuer, "redirect_uri": around.landing.url}
    dana = person()

    def start(log: str) -> Program:
        return Program(kind, {**where, "client_id": client_id}, Visitor(dana, "dana"), tmp_path / log)

    with closing(start("refused.log")) as client, pytest.raises(Failed) as refused:
        client.connect()
    said = str(refused.value)
    assert "This server needs your Notes account for all requests." in said and "then try again" in said
    # A client that can speak 2026-07-28 tries the handshake of 2025-11-25 after the error.
    assert refused.value.code == -32042
    assert not around.hosted.headers
    connect(dana, link_in(said), "dana")
    with closing(start("connected.log")) as client:
        assert client.connect() == kind.protocol
        assert json.loads(client.call("notes.list"))["account"] == ACCOUNTS["dana"]


@pytest.mark.parametrize("mode", [LEGACY, MODERN])
def test_the_account_of_a_hosted_server_can_be_connected_before_the_client(
    around: Stage, pair: Replicas, person: People, assistant: Start, mode: str
) -> None:
    dana = person()
    open_link(dana, f"{pair.origin('hosted_shared')}/.mcp-auth/", "dana")
    assert "This server needs your Notes account for all requests." in dana.text()
    dana.click("Connect Notes")
    go_on(dana)
    agree(dana, ACCOUNTS["dana"])
    # The client never sees an error.
    assert assistant("dana", "hosted_shared", mode).notes()["account"] == ACCOUNTS["dana"]
    dana.goto(f"{pair.origin('hosted_shared')}/.mcp-auth/")
    assert not dana.has("Connect Notes") and ACCOUNTS["dana"] in dana.text()


def test_a_request_of_2026_gets_no_error_code_of_2025(pair: Replicas, token: Callable[..., str]) -> None:
    sent = post(message(OF_2026, "server/discover"), token("dana", "hosted"), OF_2026)
    headers = [(name, str(value)) for name, value in sent.headers]
    error = web.post(pair.url("hosted"), content=sent.body, headers=headers).json()["error"]
    assert error["code"] == 403 and error["data"] == {"url": link_in(error["message"])}


def test_a14_the_user_and_not_the_model_switches_between_accounts(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    dana, client = person(), assistant("dana", "keys")
    _type_key(dana, asked(client), "key-of-dana")
    said = client.call("auth_switch", connection="notes")
    assert said.structured_content["account"] == "dana@keys" and said.structured_content["others"] == []
    assert said.structured_content["url"] in said.content[0].text
    _type_key(dana, said.structured_content["url"], "key-of-ops")
    assert client.notes()["account"] == "ops@keys"
    said = client.call("auth_switch", connection="notes").structured_content
    assert (said["account"], said["others"]) == ("ops@keys", ["dana@keys"])
    dana.goto(said["url"])
    with pair.logs("account_chosen"):
        dana.click("Use this account")
    assert client.notes()["account"] == "dana@keys"


def test_another_account_is_chosen_at_the_provider(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    dana, client = person(), assistant("dana", "several")
    connect(dana, asked(client), "dana")
    dana.goto(client.call("auth_switch", connection="notes").structured_content["url"])
    dana.click("Use another account")
    dana.run(dana.page.wait_for_url(lambda url: "/interaction/" in url))
    around.resource.settle()
    sent = [each.parameters for each in around.resource.requests if each.path == "/auth"]
    assert [each.get("prompt") for each in sent] == [None, "select_account"]
    agree(dana, ACCOUNTS["erin"])
    assert client.notes()["account"] == ACCOUNTS["erin"]
    said = client.call("auth_switch", connection="notes").structured_content
    assert (said["account"], said["others"]) == (ACCOUNTS["erin"], [ACCOUNTS["dana"]])


def test_the_page_shows_and_ends_all_accounts(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    dana = person()
    first, second = assistant("dana", "several"), assistant("dana", "several", LEGACY)
    connect(dana, asked(first), "dana")
    # In one browser both accounts would have one grant at the provider, which ends for both.
    connect(person(), asked(second), "dana")
    page = f"{pair.origin('several')}/.mcp-auth/"
    dana.goto(page)
    text = dana.text()
    assert text.count(ACCOUNTS["dana"]) == 2 and "Disconnect all" in text and "in 9 minutes" in text
    with pair.logs("accounts_ended"):
        dana.run(dana.page.get_by_role("button", name="Disconnect", exact=True).first.click())
        dana.run(dana.page.wait_for_url(lambda url: "done=ended" in url))
    assert dana.text().count(ACCOUNTS["dana"]) == 1
    dana.goto(page)
    erin = person()
    open_link(erin, page, "erin")
    assert ACCOUNTS["dana"] not in erin.text() and "No account of yours is connected" in erin.text()
    dana.click("Disconnect")
    assert "No account of yours is connected" in dana.text()
    for client in (first, second):
        assert asked(client)
    tokens = [each.answer["access_token"] for each in around.resource.requests if each.path == "/token"]
    for token in tokens:
        providers.tokens.remember(token)
        around.wait_until_refused(token)


def test_a_test_user_has_an_account_of_its_own(
    around: Stage, pair: Replicas, person: People, token: Callable[..., str]
) -> None:
    held = token("erin", "several")

    def call(view: str | None) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "notes.list", "arguments": {}}}
        headers = {
            "authorization": f"Bearer {held}",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2025-06-18",
            **({"x-view-as": view} if view else {}),
        }
        return web.post(pair.url("several"), json=body, headers=headers)

    erin = person()
    connect(erin, link_in(call(None).text.replace("\\n", " ")), "erin")
    assert ACCOUNTS["erin"] in call(None).text
    asked_again = call("user:tina")
    assert ACCOUNTS["erin"] not in asked_again.text
    open_link(erin, link_in(asked_again.text.replace("\\n", " ")), "erin")
    assert "You act as the test user tina" in erin.text()
    go_on(erin)
    agree(erin, ACCOUNTS["dana"])
    assert ACCOUNTS["dana"] in call("user:tina").text
    assert ACCOUNTS["erin"] in call(None).text
    assert call("user:nobody").status_code == 403


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_phones_and_desktops(
    around: Stage, pair: Replicas, person: People, assistant: Start, scheme: str
) -> None:
    for name, size in [("phone", PHONE), ("desktop", {"width": 1280, "height": 800})]:
        around.etcd.clear()
        dana, client = person(viewport=size, color_scheme=scheme), assistant("dana", "keys")
        at = f"{name}-{scheme}"
        open_link(dana, asked(client), "dana")
        look(dana, "Connect Notes?", f"key-{at}")
        dana.fill("Key of Notes", "no-such-key")
        dana.click("Connect Notes")
        look(dana, "Connect Notes?", f"key-refused-{at}")
        dana.fill("Key of Notes", "key-of-dana")
        dana.click("Connect Notes")
        switch = lambda: client.call("auth_switch", connection="notes").structured_content["url"]  # noqa: E731
        _type_key(dana, switch(), "key-of-ops")
        look(dana, "Notes is connected", f"connected-{at}")
        dana.goto(switch())
        look(dana, "Which account at Notes?", f"switch-{at}")
        dana.goto(f"{pair.origin('keys')}/.mcp-auth/")
        look(dana, "Your connected accounts", f"overview-{at}")
        dana.click("Disconnect all")
        look(dana, "Your connected accounts", f"overview-empty-{at}")
        there = person(viewport=size, color_scheme=scheme)
        open_link(there, asked(assistant("dana", "passwords")), "dana")
        look(there, "Connect Notes?", f"password-{at}")
