"""Where the MCP server's tokens are opaque: the provider is asked about each (RFC 7662), and tells who connects an
account with an ID token."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import httpx

from ..clients.provider import INTROSPECTION
from ..harness import web
from ..harness.envoy_config import ENVIRONMENT, Listener
from ..harness.messages import MODERN, call, post
from . import providers
from .assistant import Assistant
from .browser import Person
from .connect import asked, connect
from .providers import ACCOUNTS, SCOPE
from .replicas import NAMES, Replicas
from .sign_in import sign_out
from .sites import notes
from .stage import Stage

# In seconds.
CACHE = 1


def _introspected(stage: Stage, url: str) -> Listener:
    keys = {"cluster": "login", "path": "/jwks"}
    site = notes(sign_in={"jwks": keys, "back_channel_logout": True})(stage, url)
    asks = providers.register(stage.login, redirect_uris=[], grant_types=[], response_types=[])
    [issuer] = site.policy["issuers"]
    for key in ("jwks", "types"):
        del issuer[key]
    issuer["introspection"] = {
        "cluster": "login",
        "path": INTROSPECTION,
        "client_id": asks["client_id"],
        "client_secret_env": "LOGIN_SECRET",
        "cache": f"{CACHE}s",
    }
    return replace(site, environment={**ENVIRONMENT, "LOGIN_SECRET": asks["client_secret"]})


SITES = {"notes": _introspected}

People = Callable[..., Person]
Start = Callable[..., Assistant]


def _call(url: str, token: str) -> httpx.Response:
    sent = post(call(MODERN, "notes.list"), token, MODERN)
    return web.post(url, content=sent.body, headers=[(name, str(value)) for name, value in sent.headers])


def test_a_revoked_token_uses_no_linked_account(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    dana, url = person(), pair.url("notes")
    program = around.client(around.login, access_token_format="opaque")
    granted = program.tokens(dana, "dana", scope=f"openid {SCOPE}", resource=url)
    token = granted["access_token"]
    assert "." not in token
    client = assistant("dana", with_token=token)
    connect(dana, asked(client), "dana")
    assert client.notes()["account"] == ACCOUNTS["dana"]

    # What the provider signs with the same keys is no access token: it is asked, and has no answer about JWTs.
    assert _call(url, granted["id_token"]).status_code == 503

    program.revoke(token)
    # Seconds are counted whole.
    time.sleep(CACHE + 1)
    around.server.reset()
    for name in NAMES * 2:
        pair.fronts["notes"].use(name)
        answer = _call(url, token)
        assert answer.status_code == 401 and 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert not around.server.headers
    pair.fronts["notes"].use()
    # The account is still connected: with another sign-in, she goes on.
    token = program.tokens(dana, "dana", scope=f"openid {SCOPE}", resource=url)["access_token"]
    again = assistant("dana", with_token=token)
    assert again.notes()["account"] == ACCOUNTS["dana"]


def test_a_sign_out_ends_the_account_of_an_opaque_token(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    dana, elsewhere = person(), person()
    program = around.client(around.login, access_token_format="opaque")
    known = {"scope": f"openid {SCOPE}", "resource": pair.url("notes")}
    client = assistant("dana", with_token=program.tokens(elsewhere, "dana", **known)["access_token"])
    connect(dana, asked(client), "dana")
    assert client.notes()["account"] == ACCOUNTS["dana"]
    with pair.logs("logout") as told:
        sign_out(dana, around.login)
    assert [each["http.response.status_code"] for each in told] == [200]
    assert asked(client)
