"""Tokens, proofs and confirmations that are valid for one call, at two replicas with one store."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from mcp import MCPError

from ..harness import dpop, web
from ..harness.envoy_config import Listener
from ..harness.messages import MODERN as OF_2026
from ..harness.messages import HeaderList, call, post
from ..harness.tokens import OMIT
from .assistant import LEGACY, MODERN, Assistant
from .browser import Person
from .providers import SCOPE
from .replicas import NAMES, Replicas
from .sites import ETCD
from .stage import Stage

TOOL = "crm.get_customer"

SITES = {
    "once": lambda stage, url: Listener(
        stage.policy(url, store=ETCD, dpop="accepted", tools={TOOL: {"single_use": True}}), "notes"
    ),
    "confirm": lambda stage, url: Listener(
        stage.policy(url, store=ETCD, tools={TOOL: {"confirm": True}}), "notes_stateless"
    ),
}

People = Callable[..., Person]
Start = Callable[..., Assistant]

BODY = call(OF_2026, TOOL, {"customer": "acme"})


def send(pair: Replicas, replica: str, headers: HeaderList) -> int:
    """The status of a call at a replica."""
    sent = post(BODY, None, OF_2026, headers)
    url = f"http://127.0.0.1:{pair.envoys[replica].ports['once']}/mcp"
    names = [(name, str(value)) for name, value in sent.headers]
    return web.post(url, content=sent.body, headers=names).status_code


def bearer(token: str) -> HeaderList:
    """The header that sends a token."""
    return [("authorization", f"Bearer {token}")]


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
def b44_a_token_used_at_one_replica_is_refused_at_the_other(
    pair: Replicas, token: Callable[..., str], assistant: Start, mode: str
) -> None:
    front, held = pair.fronts["once"], token("erin", "once")
    front.use("a")
    client = assistant("erin", "once", mode, held)
    assert client.call(TOOL, customer="acme").structured_content == {"customer": "acme"}
    for name in ("b", "a"):
        front.use(name)
        assert send(pair, name, bearer(held)) == 401
    with pair.logs("token_used"), pytest.raises(MCPError):
        client.call(TOOL, customer="acme")
    # Another one is as good as the first.
    assert send(pair, "b", bearer(token("erin", "once"))) == 200


def b44_of_many_at_both_replicas_one_passes(around: Stage, pair: Replicas, token: Callable[..., str]) -> None:
    held = token("erin", "once")
    around.server.reset()
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: send(pair, NAMES[n % 2], bearer(held)), range(16)))
    assert sorted(statuses) == [200] + [401] * 15
    assert len([each for each in around.server.headers if each[":method"] == "POST"]) == 1


def b44_a_proof_used_at_one_replica_is_refused_at_the_other(
    around: Stage, pair: Replicas, person: People
) -> None:
    client = replace(around.client(around.login), proof=lambda url: dpop.proof("", htu=url, ath=OMIT))
    asked = {"scope": f"openid {SCOPE}", "resource": pair.url("once")}
    granted = client.tokens(person(), "erin", **asked)
    assert granted["token_type"] == "DPoP"
    token = granted["access_token"]

    def proven() -> HeaderList:
        return dpop.headers(token, dpop.proof(token, htu=pair.url("once")))

    first, second = proven(), proven()
    assert [send(pair, name, first) for name in ("a", "b", "a")] == [200, 401, 401]
    assert [send(pair, name, second) for name in ("b", "a")] == [200, 401]


def test_without_the_store_no_such_call_passes(around: Stage, pair: Replicas, token: Callable[..., str]) -> None:
    held = token("erin", "once")
    around.etcd.close()
    try:
        with pair.logs("store_unavailable"):
            assert send(pair, "a", bearer(held)) == 503
    finally:
        around.etcd.start()
    assert [send(pair, name, bearer(held)) for name in NAMES] == [200, 401]


def test_the_user_agrees_to_each_call(around: Stage, pair: Replicas, assistant: Start) -> None:
    """Asked at one replica, answered at the other."""
    front = pair.fronts["confirm"]

    def yes(_: object) -> str:
        front.use("b")
        return "accept"

    client = assistant("erin", "confirm", answer=yes)
    for customer in ("acme", "globex"):
        front.use("a")
        assert client.call(TOOL, customer=customer).structured_content == {"customer": customer}
        question: Any = client.asked[-1]
        assert question.mode == "form" and TOOL in question.message and customer in question.message
    assert len(client.asked) == 2


@pytest.mark.parametrize("answer", ["decline", "cancel"])
def test_the_user_does_not_agree(around: Stage, pair: Replicas, assistant: Start, answer: str) -> None:
    pair.fronts["confirm"].use()
    client = assistant("erin", "confirm", answer=lambda _: answer)
    around.stateless.reset()
    with pair.logs("declined") as records:
        _refused(client)
    assert {each["decision"] for each in records} == {"blocked"}
    assert len(client.asked) == 1 and not called(around)


@pytest.mark.parametrize("mode", [MODERN, LEGACY])
def test_a_client_that_cannot_ask(around: Stage, pair: Replicas, assistant: Start, mode: str) -> None:
    pair.fronts["confirm"].use()
    client = assistant("erin", "confirm", mode)
    around.stateless.reset()
    _refused(client)
    assert not called(around)


def _refused(client: Assistant) -> None:
    try:
        assert client.call(TOOL, customer="acme").is_error
    except MCPError:
        pass


def called(stage: Stage) -> list[dict[str, str]]:
    """The calls that reached the server."""
    return [each for each in stage.stateless.headers if each.get("mcp-method") == "tools/call"]
