"""Delegated tokens, with a chain of actors (RFC 8693 section 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .harness import tokens
from .harness.envoy_config import Listener
from .harness.gateway import Gateway
from .harness.messages import LEGACY, call
from .harness.policy import TOOLS, issuer, policy


def listener(audit: dict[str, Any] | None = None, **changes: Any) -> Listener:
    """A listener whose issuer has these rules for actors."""
    condition = {"crm.report": {"when": "identity.actors == ['agent-1', 'agent-2']"}}
    return Listener(policy(issuers=[issuer(**changes)], audit=audit or {}, tools={**TOOLS, **condition}))


LISTENERS = {
    "crm": listener(),
    "plain": listener(audit={"subject": "plain"}),
    "omitted": listener(audit={"subject": "omit"}),
    "refused": listener(delegation="refused"),
    "required": listener(delegation="required"),
    "named": listener(actors=["agent-1", "https://other.example.com|agent-9"]),
}

BODY = call(LEGACY, "crm.get_customer")

Through = Callable[[str], Gateway]


def chain(*actors: str, **innermost: Any) -> dict[str, Any]:
    """An `act` claim, the one who calls first."""
    first, *rest = actors
    inner = {"act": chain(*rest, **innermost)} if rest else innermost
    return {"sub": first, **inner}


def test_a_delegated_token_is_accepted_and_its_actors_are_named(through: Through) -> None:
    token = tokens.support(act=chain("agent-1", "agent-2"))
    exchange = through("plain").post(BODY, token)
    assert exchange.forwarded().header("x-mcp-user") == tokens.USER
    assert exchange.record["enduser.id"] == tokens.USER
    assert exchange.record["actors"] == ["agent-1", "agent-2"]
    undelegated = through("plain").post(BODY, tokens.support())
    undelegated.forwarded()
    assert "actors" not in undelegated.record


def b45_actors_are_named_as_callers_are(through: Through) -> None:
    token = tokens.support(act=chain("agent-1", tokens.USER))
    record = through("crm").post(BODY, token).record
    first, second = record["actors"]
    assert second == record["enduser.id"] != first
    assert "agent-1" not in str(record)
    assert "actors" not in through("omitted").post(BODY, token).record


MALFORMED: dict[str, Any] = {
    "too_deep": chain("a1", "a2", "a3", "a4", "a5", "a6"),
    "no_object": "agent-1",
    "list": [{"sub": "agent-1"}],
    "null": None,
    "no_name": {"client_id": "agent-1"},
    "odd_name": {"sub": "agent\n1"},
    "number": {"sub": 1},
    "odd_issuer": {"sub": "agent-1", "iss": 1},
    "odd_end": chain("agent-1", act={}),
}


@pytest.mark.parametrize("act", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("name", ["crm", "refused", "required"])
def test_a_chain_that_cannot_be_named_whole_is_refused(through: Through, name: str, act: Any) -> None:
    exchange = through(name).post(BODY, tokens.support(act=act)).refused(401, 401, "needs_review")
    assert exchange.record["reason"] == "token_claim"
    assert 'error="invalid_token"' in (exchange.response.header("www-authenticate") or "")


def test_five_actors_are_read(gateway: Gateway) -> None:
    exchange = gateway.post(BODY, tokens.support(act=chain("a1", "a2", "a3", "a4", "a5")))
    exchange.forwarded()
    assert len(exchange.record["actors"]) == 5


def test_an_issuer_may_be_kept_from_delegating(through: Through) -> None:
    gateway = through("refused")
    gateway.post(BODY, tokens.support()).forwarded()
    exchange = gateway.post(BODY, tokens.support(act=chain("agent-1"))).refused(401, 401)
    assert exchange.record["reason"] == "token_delegated"


def test_delegation_may_be_asked_for(through: Through) -> None:
    gateway = through("required")
    gateway.post(BODY, tokens.support(act=chain("agent-1"))).forwarded()
    exchange = gateway.post(BODY, tokens.support()).refused(401, 401)
    assert exchange.record["reason"] == "token_not_delegated"


def test_the_policy_may_name_the_actors(through: Through) -> None:
    gateway = through("named")
    gateway.post(BODY, tokens.support()).forwarded()
    # Earlier actors are information only.
    gateway.post(BODY, tokens.support(act=chain("agent-1", "agent-2"))).forwarded()
    other = {"sub": "agent-9", "iss": tokens.OTHER_ISSUER}
    gateway.post(BODY, tokens.support(act=other)).forwarded()
    for act in (
        chain("agent-2", "agent-1"),
        {"sub": "agent-1", "iss": tokens.OTHER_ISSUER},
        chain("agent-9"),
        chain("agent-10"),
    ):
        exchange = gateway.post(BODY, tokens.support(act=act)).refused(401, 401)
        assert exchange.record["reason"] == "token_actor"


def test_conditions_may_ask_for_actors(gateway: Gateway) -> None:
    body = call(LEGACY, "crm.report")
    gateway.post(body, tokens.manager(act=chain("agent-1", "agent-2"))).forwarded()
    for claims in ({}, {"act": chain("agent-2", "agent-1")}):
        exchange = gateway.post(body, tokens.manager(**claims)).refused(200)
        assert exchange.record["reason"] == "condition"
