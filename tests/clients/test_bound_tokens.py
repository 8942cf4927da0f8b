"""The provider binds tokens to a client's key, and a library makes the proofs (DPoP, RFC 9449)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..harness import dpop, tokens
from ..harness.client import Request
from ..harness.gateway import Exchange, Gateway, Through
from ..harness.messages import MODERN, call, post
from .conftest import Start
from .first_call import works_as_the_user
from .kinds import BOUND_KINDS, Kind
from .program import Program
from .setting import KNOWN, READ, Setting

BODY = call(MODERN, "crm.get_customer", {"query": "acme"})

KINDS = pytest.mark.parametrize("kind", BOUND_KINDS, ids=[kind.name for kind in BOUND_KINDS])
# Tokens that say themselves what they are bound to, and tokens of which the provider says it.
RESOURCES = pytest.mark.parametrize("resource", ["bound", "bound_opaque"])


@pytest.fixture
def bound(start: Start, resource: str) -> Callable[..., Program]:
    """A client with a key of its own."""
    return lambda kind=BOUND_KINDS[-1]: start(kind, resource, scope=READ, **KNOWN)


@pytest.fixture
def caller(bound: Callable[..., Program]) -> Program:
    """One that has signed in."""
    program = bound()
    program.connect()
    return program


@pytest.fixture
def token(around: Setting, caller: Program) -> str:
    """The caller's token, which the provider bound to the caller's key."""
    [granted] = around.provider.grants("authorization_code")
    assert granted.answer["token_type"] == "DPoP"
    around.server.reset()
    return granted.answer["access_token"]


@pytest.fixture
def listener(around: Setting, through: Through, token: str, resource: str) -> Gateway:
    """The listener of the resource."""
    gateway = through(resource)
    gateway.settle()
    return gateway


@KINDS
@RESOURCES
def b44_a_library_proves_every_request(
    around: Setting, bound: Callable[..., Program], kind: Kind
) -> None:
    works_as_the_user(around, bound(kind), kind)
    for headers in around.server.headers:
        assert "dpop" not in headers and "authorization" not in headers
    [granted] = around.provider.grants("authorization_code")
    assert granted.answer["token_type"] == "DPoP"


@RESOURCES
def b44_a_bound_token_without_a_proof_is_refused(around: Setting, listener: Gateway, token: str) -> None:
    scheme = dpop.headers(token)
    refused(around, listener.send(post(BODY, None, MODERN, scheme)), "dpop_missing")
    exchange = listener.post(BODY, token, MODERN)
    refused(around, exchange, "dpop_required" if listener.name == "bound" else "token_bound")


@RESOURCES
def b44_a_proof_that_is_sent_twice_is_refused(around: Setting, listener: Gateway, caller: Program, token: str) -> None:
    sent = prove(caller, token)
    assert listener.send(sent).status == 200
    around.server.reset()
    refused(around, listener.send(sent), "dpop_replayed")
    assert listener.send(prove(caller, token)).status == 200


@RESOURCES
def b44_a_proof_of_another_key_is_refused(
    around: Setting, listener: Gateway, bound: Callable[..., Program], caller: Program, token: str
) -> None:
    thief = bound()
    thief.connect()
    listener.settle()
    around.server.reset()
    refused(around, listener.send(prove(thief, token)), "dpop_binding")
    assert listener.send(prove(caller, token)).status == 200


@RESOURCES
def b44_a_proof_of_another_request_is_refused(
    around: Setting, listener: Gateway, caller: Program, token: str
) -> None:
    refused(around, listener.send(prove(caller, token, method="DELETE")), "dpop_method")
    swapped = caller.ask("headers", token="another", method="POST")["dpop"]
    refused(around, listener.send(dpop.request(BODY, token, swapped, era=MODERN)), "dpop_token")


@pytest.mark.parametrize("resource", ["bound_opaque"])
def b44_a_proof_for_another_server_is_refused(
    around: Setting, start: Start, through: Through, caller: Program, token: str
) -> None:
    """A server that was given token and proof cannot use them at this one."""
    other = through("bound")
    other.settle()
    refused(around, other.send(prove(caller, token)), "dpop_url")


def prove(program: Program, token: str, method: str = "POST") -> Request:
    """A call with this token and a new proof of the program's library, made for this method."""
    made = tokens.remember(program.ask("headers", token=token, method=method)["dpop"])
    return dpop.request(BODY, token, made, era=MODERN)


def refused(around: Setting, exchange: Exchange, reason: str) -> None:
    """Refused for this reason with a challenge for a proof, and the server heard nothing of it."""
    exchange.refused(401, None, "needs_review")
    assert "DPoP" in dpop.challenges(exchange.response.headers)
    assert exchange.record["reason"] == reason
    assert around.server.headers == []
