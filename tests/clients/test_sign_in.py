"""First contact: the client knows only the server's address and signs in after a 401."""

from __future__ import annotations

from .browser import Browser
from .conftest import Start
from .first_call import works_as_the_user
from .kinds import Kind
from .matrix import works
from .setting import CLIENT_DOCUMENT, KNOWN, READ, Setting


@works("signs in, registers itself")
def test_registers_itself(around: Setting, start: Start, browser: Browser, kind: Kind) -> None:
    works_as_the_user(around, start(kind), kind)
    signed_in_once(around, browser)
    [registered] = around.provider.registrations()
    assert registered.status == 201
    assert around.provider.authorizations()[0]["client_id"] == registered.answer["client_id"]


@works("signs in, client ID metadata document")
def test_is_described_by_a_document(around: Setting, start: Start, browser: Browser, kind: Kind) -> None:
    works_as_the_user(around, start(kind, client_document=CLIENT_DOCUMENT), kind)
    signed_in_once(around, browser)
    assert around.provider.registrations() == []
    assert around.provider.authorizations()[0]["client_id"] == CLIENT_DOCUMENT


@works("signs in, registered beforehand")
def test_is_known_beforehand(around: Setting, start: Start, browser: Browser, kind: Kind) -> None:
    works_as_the_user(around, start(kind, **KNOWN), kind)
    signed_in_once(around, browser)
    assert around.provider.registrations() == []
    assert around.provider.authorizations()[0]["client_id"] == KNOWN["client_id"]


def signed_in_once(around: Setting, browser: Browser) -> None:
    """One visit to the provider, for this server, with PKCE, and the scope of the challenge."""
    assert around.provider.discoveries() == [("/.well-known/oauth-authorization-server", 200)]
    assert len(browser.visited) == 1
    [asked] = around.provider.authorizations()
    assert asked["resource"] == around.urls["crm"]
    assert asked["code_challenge_method"] == "S256"
    assert set(asked["scope"].split()) - {"offline_access"} == {READ}
    [granted] = around.provider.grants("authorization_code")
    assert granted.parameters["resource"] == around.urls["crm"]
    assert granted.answer["scope"] == READ
