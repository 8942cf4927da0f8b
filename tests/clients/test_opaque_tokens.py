"""The provider issues opaque tokens, and the filter asks it about them at its own endpoint."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from ..harness.gateway import Exchange, Gateway, Through
from ..harness.messages import MODERN, call
from .browser import Browser
from .conftest import Start
from .first_call import works_as_the_user
from .kinds import KINDS, PYTHON_V2, Kind
from .matrix import works
from .setting import KNOWN, SHORT, Setting

BODY = call(MODERN, "crm.get_customer", {"query": "acme"})

SignIn = Callable[[str], str]


@pytest.fixture
def token_for(around: Setting, start: Start) -> SignIn:
    """An opaque token a client got for one of the resources and does not use any more."""
    [kind] = [kind for kind in KINDS if kind.name == PYTHON_V2]

    def sign_in(resource: str) -> str:
        program = start(kind, resource, **KNOWN)
        program.connect()
        program.close()
        # The first one: a client that is slow gets another when it has expired.
        token = around.provider.grants("authorization_code")[0].answer["access_token"]
        assert "." not in token, "a JWT is not opaque"
        around.server.reset()
        return token

    return sign_in


@works("token opaque")
def test_a_client_calls_with_an_opaque_token(around: Setting, start: Start, kind: Kind) -> None:
    works_as_the_user(around, start(kind, "opaque"), kind)
    token = around.provider.access_token()
    assert "." not in token
    assert [asked.status for asked in around.provider.introspections(token)] == [200]


@works("token opaque and revoked")
def test_a_client_signs_in_again_after_its_token_was_revoked(
    around: Setting, start: Start, browser: Browser, kind: Kind
) -> None:
    program = start(kind, "opaque_brief", **KNOWN)
    program.connect()
    around.provider.revoke(around.provider.access_token(), **KNOWN)
    time.sleep(2.1)
    assert "later" in program.call("crm.get_customer", query="later")
    assert len(browser.visited) == 2


def b40_a_revoked_token_passes_no_longer_than_the_cache(
    around: Setting, through: Through, token_for: SignIn
) -> None:
    token = token_for("opaque_brief")
    gateway = settled(through("opaque_brief"))
    assert gateway.post(BODY, token, MODERN).status == 200
    around.provider.revoke(token, **KNOWN)
    time.sleep(2.1)
    around.server.reset()
    refused(around, gateway.post(BODY, token, MODERN), "token_inactive")


def b38_an_expired_token_does_not_outlive_itself_in_the_cache(
    around: Setting, through: Through, token_for: SignIn
) -> None:
    token = token_for("opaque_short")
    time.sleep(SHORT + 1.1)
    gateway = settled(through("opaque_short"))
    refused(around, gateway.post(BODY, token, MODERN), "token_expired")


def b39_a_token_for_another_server(around: Setting, through: Through, token_for: SignIn) -> None:
    token = token_for("opaque_brief")
    refused(around, settled(through("opaque")).post(BODY, token, MODERN), "token_audience")
    assert settled(through("opaque_brief")).post(BODY, token, MODERN).status == 200


def b38_a_token_the_provider_does_not_know(around: Setting, through: Through) -> None:
    refused(around, settled(through("opaque")).post(BODY, "made-up-by-somebody", MODERN), "token_inactive")


def b38_a_refresh_token_is_no_access_token(around: Setting, through: Through, token_for: SignIn) -> None:
    token_for("opaque")
    [granted] = around.provider.grants("authorization_code")
    refused(around, settled(through("opaque")).post(BODY, granted.answer["refresh_token"], MODERN))


def settled(gateway: Gateway) -> Gateway:
    """A listener, after the client that used it has left."""
    gateway.settle()
    return gateway


def refused(around: Setting, exchange: Exchange, reason: str | None = None) -> None:
    """Refused as a bad token, and the server heard nothing of it."""
    exchange.invalid_token(reason)
    assert around.server.headers == []
