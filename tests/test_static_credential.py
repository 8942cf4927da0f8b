"""One credential from the VM's environment for all requests to the server."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .harness import tokens
from .harness.changing import Changing
from .harness.client import Request
from .harness.envoy import Envoy
from .harness.envoy_config import Listener
from .harness.gateway import Gateway
from .harness.http import Received
from .harness.messages import LEGACY, MODERN, call, rpc
from .harness.policy import policy

SECRET = tokens.remember("crm-secret-credential-of-the-tests")
ENVIRONMENT = {"CRM_TOKEN": SECRET, "BROKEN": "a\r\nx-mcp-user: eve", "ENDED": "secret\n", "EMPTY": ""}
STATIC = {"authorization": "static", "credential_env": "CRM_TOKEN"}


def listener(**changes: Any) -> Listener:
    """A listener whose server gets the credential."""
    return Listener(policy(**{"upstream": STATIC, **changes}), environment=ENVIRONMENT)


LISTENERS = {
    "crm": listener(),
    "basic": listener(upstream={**STATIC, "scheme": "Basic"}),
    "anonymous": listener(anonymous={"tools": ["docs.*"]}),
    "local": listener(issuers=None, local={"user": "dev", "roles": ["manager"]}, arguments={}, tools={}),
    "dpop": listener(dpop="accepted"),
    "observe": listener(mode="observe"),
    "passing": Listener(policy(upstream={"authorization": "pass"})),
    "plain": Listener(policy()),
    "changing": replace(listener(), file=Path("policy.json")),
}

Through = Callable[[str], Gateway]


def credentials(received: Received) -> list[str]:
    """Every value of a header that could be taken for a credential."""
    names = ("authorization", "proxy-authorization", "x-forwarded-access-token")
    found = [*received.headers, *received.trailers]
    return [value for name, value in found if name.lower().replace("_", "-") in names]


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
@pytest.mark.parametrize("era", [LEGACY, MODERN])
def b23_the_server_gets_its_own_credential_and_no_other(gateway: Gateway, era: str, http2: bool) -> None:
    token = tokens.support()
    exchange = gateway.post(
        call(era, "crm.get_customer", {"user_id": "user-bob"}),
        token,
        era,
        headers=[
            ("proxy-authorization", f"Bearer {token}"),
            ("x-forwarded-access-token", token),
            ("authorization_", token),
        ],
        trailers=[("authorization", f"Bearer {token}")],
        http2=http2,
    )
    received = exchange.forwarded()
    assert credentials(received) == [f"Bearer {SECRET}"]
    assert received.header("x-mcp-user") == tokens.USER
    assert exchange.record["upstream_credential"] == "static"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_requests_without_a_body_have_the_credential(gateway: Gateway, method: str) -> None:
    exchange = gateway.bodyless(method, token=tokens.support())
    assert credentials(exchange.received) == [f"Bearer {SECRET}"]


def test_the_scheme_is_the_policys(through: Through) -> None:
    exchange = through("basic").post(call(LEGACY, "crm.get_customer"), tokens.support())
    assert credentials(exchange.forwarded()) == [f"Basic {SECRET}"]


def test_anonymous_calls_have_the_credential(through: Through) -> None:
    exchange = through("anonymous").post(call(LEGACY, "docs.find"), None)
    assert credentials(exchange.forwarded()) == [f"Bearer {SECRET}"]
    assert exchange.record["identified_by"] == "anonymous"


def test_calls_of_the_local_caller_have_the_credential(through: Through) -> None:
    exchange = through("local").post(call(LEGACY, "crm.get_customer"), tokens.support())
    assert credentials(exchange.forwarded()) == [f"Bearer {SECRET}"]
    assert exchange.record["identified_by"] == "local"


def test_a_refused_request_does_not_reach_the_server(gateway: Gateway) -> None:
    for exchange in [
        gateway.post(call(LEGACY, "crm.purge"), tokens.support()).refused(200),
        gateway.post(call(LEGACY, "crm.get_customer"), None).refused(401),
        gateway.send(Request("GET", "/other")).refused(404),
    ]:
        assert SECRET not in str(exchange.response.headers) + exchange.response.body.decode()
        assert "upstream_credential" not in exchange.record


def test_observe_mode_leaves_credentials_unchanged(through: Through) -> None:
    token = tokens.support()
    exchange = through("observe").post(call(LEGACY, "crm.get_customer"), token)
    assert credentials(exchange.received) == [f"Bearer {token}"]
    assert exchange.record["upstream_credential"] == "passed"


def test_the_record_names_the_kind_of_credential(through: Through) -> None:
    body, token = call(LEGACY, "crm.get_customer"), tokens.support()
    for name, expected in (("passing", "passed"), ("plain", "none")):
        exchange = through(name).post(body, token)
        exchange.forwarded()
        assert exchange.record["upstream_credential"] == expected
        assert exchange.record["identified_by"] == "token"
        assert 5 <= exchange.record["token_age_s"] < 60


def test_the_credential_is_not_logged(gateway: Gateway, envoy: Envoy) -> None:
    gateway.post(rpc("ping"), tokens.support()).forwarded()
    assert SECRET not in envoy.log() + envoy.access_path.read_text()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CRM_TOKNE", "has no variable `CRM_TOKNE`"),
        ("EMPTY", "has no variable `EMPTY`"),
        ("BROKEN", "visible ASCII"),
        ("ENDED", "line breaks"),
    ],
)
def test_without_a_usable_credential_nothing_is_loaded(changing: Changing, name: str, message: str) -> None:
    log = changing.refuses(listener(upstream={"authorization": "static", "credential_env": name}).policy)
    assert re.search(f"policy not loaded: upstream.credential_env: .*{message}", log), log
