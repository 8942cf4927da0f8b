"""A client that acts for itself: no user, no browser, and its own roles."""

from __future__ import annotations

import json
import time

import pytest

from .browser import Browser
from .conftest import Start
from .kinds import TYPESCRIPT_V1, Kind
from .matrix import limited, works
from .program import Failed, Program
from .setting import READ, SHORT, Setting, robot

ONLY_ITS_OWN_SCOPE = "asks for the scope the program names, not for the one of the challenge"


@works("client credentials", but=[TYPESCRIPT_V1])
def test_signs_in_as_itself(around: Setting, start: Start, browser: Browser, kind: Kind) -> None:
    calls_as_itself(around, start(kind, **robot(kind)), kind)
    assert browser.visited == []


@limited("client credentials", ONLY_ITS_OWN_SCOPE, TYPESCRIPT_V1)
def test_asks_for_the_scope_it_is_told(around: Setting, start: Start, kind: Kind) -> None:
    with pytest.raises(Failed, match="403 after trying upscoping"):
        start(kind, **robot(kind)).connect()
    around.reset()
    calls_as_itself(around, start(kind, **robot(kind), scope=READ), kind)


@works("client credentials, token expired")
def test_gets_another_token(around: Setting, start: Start, kind: Kind) -> None:
    program = start(kind, "short", **robot(kind), scope=READ)
    program.connect()
    time.sleep(SHORT + 0.2)
    assert "later" in program.call("crm.get_customer", query="later")
    assert len(around.provider.grants("client_credentials")) == 2


def calls_as_itself(around: Setting, program: Program, kind: Kind) -> None:
    """It connects and makes a call; the server knows which client it is."""
    assert program.connect() == kind.protocol
    answer = json.loads(program.call("crm.get_customer", query="acme", user_id="user-bob"))
    name = robot(kind)["client_id"]
    assert answer["user_id"] == name
    assert {headers.get("x-mcp-user") for headers in around.server.headers} == {name}
    [granted] = around.provider.grants("client_credentials")
    assert granted.parameters["resource"] == around.urls["crm"]
    assert granted.answer["scope"] == READ
