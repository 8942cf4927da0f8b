"""Accounts are linked at a provider that the filter discovers (RFC 8414, RFC 7591)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..harness import web
from . import links, providers
from .assistant import Assistant
from .browser import Person
from .connect import asked, connect, go_on, open_link
from .providers import ACCOUNTS
from .replicas import NAMES, Replicas, Site
from .sites import notes
from .stage import Stage

METADATA = "/.well-known/oauth-authorization-server"


def _https(site: Site) -> Site:
    """The same site at an https address, without which a document about it is no client id."""
    return lambda stage, url: site(stage, url.replace("http:", "https:"))


SITES = {
    "notes": notes(discover={"cluster": "resource"}, auth_tools=True),
    "checked": notes(discover={"cluster": "resource", "resource": {"cluster": "api"}}),
    "https": _https(notes(discover={"cluster": "resource"})),
}

People = Callable[..., Person]
Start = Callable[..., Assistant]


def _registered(stage: Stage) -> list[dict[str, Any]]:
    """The clients that the filter made of itself."""
    made = [each.answer for each in stage.resource.registrations()]
    for each in made:
        providers.tokens.remember(each["registration_access_token"])
    return made


def _manage(method: str, client: dict[str, Any], **change: Any) -> None:
    """Change a client at the provider, or delete it (RFC 7592)."""
    headers = {"authorization": f"Bearer {client['registration_access_token']}"}
    kept = ("registration_access_token", "registration_client_uri", "client_id_issued_at")
    body = {name: value for name, value in client.items() if name not in kept}
    body = {"json": {**body, **change}} if change else {}
    answer = web.request(method, client["registration_client_uri"], headers=headers, **body)
    assert answer.status_code < 300, answer.text


def test_an_account_is_connected_used_and_disconnected(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    front = pair.fronts["notes"]
    front.use("a")
    client = assistant("dana")
    connect(person(), asked(client), "dana")
    [registered] = _registered(around)
    back = f"{pair.origin('notes')}{links.PAGES}callback/notes"
    assert registered["redirect_uris"] == [back] and "client_secret" not in registered
    assert around.resource.discoveries() == [(METADATA, 200)]
    [sent] = [each for each in around.resource.authorizations() if "code_challenge" in each]
    assert sent["client_id"] == registered["client_id"] and sent["redirect_uri"] == back
    for name in NAMES:
        front.use(name)
        assert client.notes()["account"] == ACCOUNTS["dana"]
    token = [each["authorization"] for each in around.server.headers if "authorization" in each][-1]
    providers.tokens.remember(token.removeprefix("Bearer "))

    front.use("b")
    ended = client.call("auth_disconnect", connection="notes").structured_content
    assert ended == {"connection": "notes", "disconnected": True, "revoked": "confirmed"}
    assert around.account(token.removeprefix("Bearer ")).status_code == 401
    # What was asked for it was asked when the user connected.
    assert around.resource.discoveries() == [(METADATA, 200)]


def test_both_replicas_are_one_client(around: Stage, pair: Replicas, person: People, assistant: Start) -> None:
    front = pair.fronts["notes"]
    for name, user in zip(NAMES, ("dana", "erin"), strict=True):
        front.use(name)
        client = assistant(user)
        connect(person(), asked(client), user)
        assert client.notes()["account"] == ACCOUNTS[user]
    assert len(_registered(around)) == 1
    assert len(around.resource.discoveries()) == 2


def test_tokens_of_a_client_that_registered_are_refreshed(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    dana = person()
    client = assistant("dana")
    link = asked(client)
    open_link(dana, link, "dana")
    go_on(dana)
    [registered] = _registered(around)
    _manage("PUT", registered, access_token_lifetime=2)
    connect(dana, link, "dana")
    first = around.resource.grants("authorization_code")[-1].answer["access_token"]
    around.wait_until_refused(first)
    for name in NAMES:
        pair.fronts["notes"].use(name)
        assert client.notes()["account"] == ACCOUNTS["dana"]
    refreshed = around.resource.grants("refresh_token")
    assert refreshed and {each.status for each in refreshed} == {200}
    assert {each.parameters["client_id"] for each in refreshed} == {registered["client_id"]}


def test_a_client_that_the_provider_forgot_registers_anew(
    around: Stage, person: People, assistant: Start
) -> None:
    dana, client = person(), assistant("dana")
    connect(dana, asked(client), "dana")
    [first] = _registered(around)
    _manage("DELETE", first)
    erin, other = person(), assistant("erin")
    connect(erin, asked(other), "erin")
    assert other.notes()["account"] == ACCOUNTS["erin"]
    assert [each["client_id"] for each in _registered(around)][0] == first["client_id"]
    assert len(_registered(around)) == 2


def test_no_client_is_registered_if_the_provider_accepts_client_documents(
    around: Stage, pair: Replicas, person: People
) -> None:
    origin = pair.origin("https").replace("http:", "https:")
    dana = person(ignore_https_errors=True)
    with pair.logs("client_document_published"):
        connect(dana, links.link(origin, around.login.issuer, "dana"), "dana")
    assert not around.resource.registrations()
    [granted] = around.resource.grants("authorization_code")
    assert granted.status == 200
    assert granted.parameters["client_id"] == f"{origin}{links.PAGES}client.json"
    assert granted.parameters["redirect_uri"] == f"{origin}{links.PAGES}callback/notes"


def test_the_metadata_of_the_resource_names_its_issuer(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client = assistant("dana", "checked")
    connect(person(), asked(client), "dana")
    assert client.notes()["account"] == ACCOUNTS["dana"]


def b42_a_resource_cannot_send_users_to_another_provider(
    around: Stage, pair: Replicas, person: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(around.api, "issuers", [around.login.issuer])
    dana = person()
    open_link(dana, links.link(pair.origin("checked"), around.login.issuer, "dana"), "dana")
    around.login.reset()
    with pair.logs("resource_metadata_unusable") as records:
        dana.click("Continue to Notes")
    assert {(each["decision"], each["connection"]) for each in records} == {("blocked", "notes")}
    assert "Tell the operator of this server" in dana.text()
    assert not around.resource.discoveries() and not around.login.discoveries()
    assert not around.login.authorizations()


def test_metadata_of_another_resource_is_refused(
    around: Stage, pair: Replicas, person: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(around.api, "url", "http://other.example")
    dana = person()
    open_link(dana, links.link(pair.origin("checked"), around.login.issuer, "dana"), "dana")
    with pair.logs("resource_metadata_unusable"):
        dana.click("Continue to Notes")
    assert "Nothing was connected" in dana.text() and not around.resource.discoveries()
