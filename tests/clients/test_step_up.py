"""A tool needs another scope: the client asks the user for it, once, and the call succeeds."""

from __future__ import annotations

import pytest

from .browser import Browser
from .conftest import Start
from .kinds import PYTHON_V1, TYPESCRIPT_V1, Kind
from .matrix import HTTP_ERRORS_END_IT, limited, works
from .program import Ended, Failed, Program
from .setting import CLIENT_DOCUMENT, READ, SEARCH, Setting

REFRESHES = "refreshes its token, which cannot add a scope, and reports the second 403 as an error"
NOT_REGISTERED = (
    "registers for the scope of the first challenge only; a provider that holds it to that refuses "
    "more, and the client reports it"
)


@works("scope missing, has a refresh token", but=[TYPESCRIPT_V1])
def test_asks_for_the_scope(around: Setting, start: Start, browser: Browser, kind: Kind) -> None:
    asks_for_both(around, browser, connected(start, kind, "crm"))


@limited("scope missing, has a refresh token", REFRESHES, TYPESCRIPT_V1)
def test_refreshes_instead(around: Setting, start: Start, browser: Browser, kind: Kind) -> None:
    program = connected(start, kind, "crm")
    with pytest.raises(Failed, match="403 after trying upscoping"):
        program.call("crm.search_slowly", query="acme")
    assert len(around.provider.grants("refresh_token")) == 1
    assert len(browser.visited) == 1
    works_as_before(program)


@works("scope missing, has none")
def test_asks_for_the_scope_without_a_refresh_token(
    around: Setting, start: Start, browser: Browser, kind: Kind
) -> None:
    asks_for_both(around, browser, connected(start, kind, "no_refresh"))


@limited("scope missing, registered itself", NOT_REGISTERED)
def test_is_not_registered_for_the_scope(
    around: Setting, start: Start, browser: Browser, kind: Kind
) -> None:
    program = start(kind, "no_refresh")
    program.connect()
    with pytest.raises(Failed, match="invalid_scope|not allowed"):
        program.call("crm.search_slowly", query="acme")
    assert around.provider.registrations()[0].answer["scope"].split()[0] == READ
    assert SEARCH in around.provider.authorizations()[-1]["scope"].split()
    assert len(browser.visited) == 2
    assert around.server.calls == []


@works("scope missing and not granted", but=[PYTHON_V1])
def test_gives_up_when_the_scope_is_not_granted(
    around: Setting, start: Start, browser: Browser, kind: Kind
) -> None:
    program = connected(start, kind, "stingy")
    gives_up(around, browser, program)
    works_as_before(program)


@limited("scope missing and not granted", HTTP_ERRORS_END_IT, PYTHON_V1)
def test_gives_up_and_ends_the_connection(
    around: Setting, start: Start, browser: Browser, kind: Kind
) -> None:
    program = connected(start, kind, "stingy")
    gives_up(around, browser, program)
    with pytest.raises(Ended):
        program.list()


def gives_up(around: Setting, browser: Browser, program: Program) -> None:
    """The user is asked once more, and not again when that was of no use."""
    with pytest.raises(Failed):
        program.call("crm.search_slowly", query="acme")
    assert len(browser.visited) == 2
    assert [call["query"] for call in around.server.calls] == ["before"]


def connected(start: Start, kind: Kind, resource: str) -> Program:
    """A client that has signed in and made a call with what it got."""
    program = start(kind, resource, client_document=CLIENT_DOCUMENT)
    program.connect()
    works_as_before(program)
    return program


def works_as_before(program: Program) -> None:
    """The tool that needs no more still answers."""
    assert "before" in program.call("crm.get_customer", query="before")


def asks_for_both(around: Setting, browser: Browser, program: Program) -> None:
    """The call succeeds after one more visit, which asks for the old scope and the new one."""
    assert program.call("crm.search_slowly", query="acme") == "found acme"
    assert {"query": "acme"} in around.server.calls
    assert len(browser.visited) == 2
    asked = set(around.provider.authorizations()[-1]["scope"].split())
    assert asked - {"offline_access"} == {READ, SEARCH}
    assert set(around.provider.grants("authorization_code")[-1].answer["scope"].split()) == {READ, SEARCH}
    # What was granted stays: neither call asks again.
    assert program.call("crm.search_slowly", query="more") == "found more"
    works_as_before(program)
    assert len(browser.visited) == 2
