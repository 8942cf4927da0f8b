"""Providers as they are: how clients authenticate, how accounts are named, which scopes are granted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ..harness.envoy_config import ENVIRONMENT, Listener
from . import providers
from .assistant import Assistant
from .browser import Person
from .connect import TITLE, asked, connect, go_on, open_link
from .notes_api import SCOPES
from .providers import ACCOUNTS
from .replicas import NAMES, Replicas
from .sign_in import agree
from .sites import at_simple_provider, notes
from .stage import Stage

People = Callable[..., Person]
Start = Callable[..., Assistant]

KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key())), "kid": "filter", "alg": "ES256"}
PRIVATE = {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY)), "kid": "filter", "alg": "ES256"}
WITH_KEY = {
    "token_endpoint_auth_method": "private_key_jwt",
    "token_endpoint_auth_signing_alg": "ES256",
    "jwks": {"keys": [PUBLIC]},
}


def keyed(stage: Stage, url: str) -> Listener:
    """Its client at the resource has a key, and its client for sign-ins a secret that stands in the form."""
    connection = {"client_auth": "private_key_jwt", "client_key_env": "NOTES_KEY"}
    made = notes(client=WITH_KEY, connection=connection, auth_tools=True)(stage, url)
    pages = f"{url.removesuffix('/mcp')}/.mcp-auth/signed-in"
    client = providers.register(stage.login, redirect_uris=[pages], token_endpoint_auth_method="client_secret_post")
    sign_in = made.policy["issuers"][0]["sign_in"]
    sign_in |= {"client_id": client["client_id"], "client_secret_env": "LOGIN_SECRET", "client_auth": "post"}
    secrets = {"NOTES_KEY": json.dumps(PRIVATE), "LOGIN_SECRET": client["client_secret"]}
    return replace(made, environment={**ENVIRONMENT, **secrets})


GRAPHQL = {
    "cluster": "api",
    "path": "/graphql",
    "method": "POST",
    "body": {"query": "{ viewer { email } }"},
    "field": "data.viewer.email",
}

SITES = {
    "notes": keyed,
    "claim": notes(connection={"account": {"id_token": "sub"}, "scopes": ["openid", *SCOPES]}, auth_tools=True),
    "graphql": notes(connection={"account": GRAPHQL}),
    "slow": notes(connection={"account": {**GRAPHQL, "path": "/slow"}}),
    "userinfo": at_simple_provider(account={"userinfo": "contact.email"}),
    "less": notes(connection={"scopes": [*SCOPES, "notes:share"]}, auth_tools=True),
}


def _said(client: Assistant, tool: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
    """The text of a tool of the filter's own, and its fields."""
    answer = client.call(tool, **arguments)
    assert not answer.is_error, answer
    return answer.content[0].text, answer.structured_content


def test_clients_authenticate_with_a_key_and_with_a_secret_in_the_form(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client = assistant("dana")
    connect(person(), asked(client), "dana")
    for name in NAMES:
        pair.fronts["notes"].use(name)
        assert client.notes()["account"] == ACCOUNTS["dana"]
    ended = client.call("auth_disconnect", connection="notes").structured_content
    assert ended["revoked"] == "confirmed"

    [redeemed] = around.resource.grants("authorization_code")
    sent = redeemed.parameters
    assert redeemed.status == 200 and "client_secret" not in sent
    claims = jwt.decode(sent["client_assertion"], KEY.public_key(), ["ES256"], audience=around.resource.issuer)
    assert claims["iss"] == claims["sub"] == sent["client_id"] and len(claims["jti"]) == 43
    assert claims["exp"] - claims["iat"] == 120
    assert jwt.get_unverified_header(sent["client_assertion"]) == {"alg": "ES256", "typ": "JWT", "kid": "filter"}

    [signed_in] = [each for each in around.login.grants("authorization_code") if "client_secret" in each.parameters]
    assert signed_in.status == 200
    providers.tokens.remember(signed_in.parameters["client_secret"])
    assert PRIVATE["d"] not in pair.log()


@pytest.mark.parametrize("site", ["claim", "graphql"])
def test_the_account_is_named_by_a_claim_or_by_a_field(
    around: Stage, pair: Replicas, person: People, assistant: Start, site: str
) -> None:
    client, dana = assistant("dana", site), person()
    with pair.logs("connected") as records:
        connect(dana, asked(client), "dana")
    assert ACCOUNTS["dana"] in dana.text()
    assert records[0]["account"]
    assert client.notes()["account"] == ACCOUNTS["dana"]
    nonces = ["nonce" in each for each in around.resource.authorizations() if "code_challenge" in each]
    assert nonces == [site == "claim"]


def test_the_account_is_named_by_userinfo(around: Stage, pair: Replicas, person: People, assistant: Start) -> None:
    held = around.simple.caller_token("dana", pair.url("userinfo"), providers.SCOPE)
    client, dana = assistant("dana", "userinfo", with_token=held), person()
    dana.goto(asked(client))
    with pair.logs("connected") as records:
        go_on(dana)
    assert f"{TITLE} is connected" in dana.text() and "dana@simple" in dana.text()
    assert records[0]["account"] and len(around.simple.asked("/userinfo")) == 1
    assert client.notes()["account"] == "dana@simple"
    # It is asked once, when the account is connected.
    assert len(around.simple.asked("/userinfo")) == 1


def test_an_account_is_said_as_a_person_would(person: People, assistant: Start) -> None:
    client = assistant("dana", "claim")
    text, _ = _said(client, "auth_connections")
    assert text.startswith("Notes: not connected.")
    connect(person(), asked(client), "dana")
    text, fields = _said(client, "auth_connections")
    assert re.fullmatch(f"Notes: connected as {ACCOUNTS['dana']}, for (10|9) more minutes.", text), text
    assert fields["connections"][0]["account"] == ACCOUNTS["dana"]
    text, fields = _said(client, "auth_whoami")
    assert text.startswith("You are dana, with the role support, signed in ") and fields["user"] == "dana"
    text, _ = _said(client, "auth_disconnect", connection="notes")
    assert text == f"Notes: disconnected {ACCOUNTS['dana']}. Its access was revoked there."


def test_a_resource_that_does_not_name_the_account_in_time_gets_a_clear_page(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    dana = person()
    open_link(dana, asked(assistant("dana", "slow")), "dana")
    go_on(dana)
    with pair.logs("account_unavailable"):
        agree(dana, ACCOUNTS["dana"])
    assert "did not say in time" in dana.text() and "Nothing was connected" in dana.text()
    around.wait_until_refused(around.resource.access_token())


def test_fewer_scopes_than_requested_are_told(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client, dana = assistant("dana", "less"), person()
    with pair.logs("connected_with_less"):
        connect(dana, asked(client), "dana")
    assert "notes:share" in dana.text() and "Not allowed" in dana.text()
    text, fields = _said(client, "auth_connections")
    assert text.endswith("without the permissions notes:share.")
    assert fields["connections"][0]["missing_scopes"] == ["notes:share"]
    # The calls of its tools are not sent to the page again.
    assert client.notes()["account"] == ACCOUNTS["dana"]


def test_a_state_is_short_and_works_at_the_other_replica(
    around: Stage, pair: Replicas, person: People, assistant: Start
) -> None:
    client, dana = assistant("dana", "graphql"), person()
    link, front = asked(client), pair.fronts["graphql"]
    front.use("a")
    dana.goto(link)
    front.use("b")
    agree(dana, "dana")
    front.use("a")
    go_on(dana)
    front.use("b")
    agree(dana, ACCOUNTS["dana"])
    assert f"{TITLE} is connected" in dana.text()
    for provider in (around.login, around.resource):
        states = [each["state"] for each in provider.authorizations() if "state" in each]
        assert states and all(len(state) <= 43 for state in states), states
