"""A tool needs a fresh token, or a fresh sign-in: the client sends the user to the provider once."""

from __future__ import annotations

import time

import pytest

from .browser import Browser
from .conftest import Start
from .kinds import Kind
from .matrix import limited, works
from .program import Failed
from .setting import AGE, Setting

NO_MAX_AGE = (
    "signs in again, but does not ask for a fresh sign-in (`max_age`, RFC 9470): a provider that "
    "still knows the user answers with the old one, and the client reports the second 401"
)


@works("token too old for the tool")
def test_a_client_gets_a_fresh_token_if_the_tool_needs_one(
    around: Setting, start: Start, browser: Browser, kind: Kind
) -> None:
    program = start(kind, "fresh_token")
    program.connect()
    time.sleep(AGE + 1.2)
    assert program.call("crm.search_slowly", query="acme") == "found acme"
    assert len(browser.visited) == 2
    first, second = around.provider.authorizations()
    assert second["scope"].split() == first["scope"].split()


@limited("sign-in too old for the tool", NO_MAX_AGE)
def test_a_client_ignores_max_age_and_reports_the_second_401(
    around: Setting, start: Start, browser: Browser, kind: Kind
) -> None:
    program = start(kind, "fresh_sign_in")
    program.connect()
    with pytest.raises(Failed):
        program.call("crm.search_slowly", query="acme")
    assert len(browser.visited) == 2
    assert all("max_age" not in asked for asked in around.provider.authorizations())
    assert around.server.calls == []
