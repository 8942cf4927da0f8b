"""Tools whose calls use up the token, or its proof, at all workers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from .harness import client, dpop, tokens
from .harness.dpop import bound, challenges, proof
from .harness.envoy import Envoy
from .harness.envoy_config import Cluster, Listener
from .harness.gateway import Gateway
from .harness.messages import LEGACY, MODERN, call, message, post
from .harness.policy import policy
from .harness.upstream import Upstream

ONCE = {"crm.get_customer": {"single_use": True}}

LISTENERS = {
    "memory": Listener(policy(tools=ONCE, dpop="accepted")),
    "nowhere": Listener(policy(tools=ONCE, store={"etcd": {"cluster": "no_such_cluster"}})),
    "observe": Listener(policy(tools=ONCE, mode="observe")),
}
WORKERS = 4

BODY = call(LEGACY, "crm.get_customer", {"query": "x"})


@pytest.fixture(scope="module")
def busy(clusters: dict[str, Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    """An Envoy with several workers, which share nothing but the store."""
    running = Envoy(tmp_path_factory.mktemp("busy"), LISTENERS, clusters, concurrency=WORKERS)
    with running.checked():
        yield running


@pytest.fixture
def gateway(busy: Envoy, upstream: Upstream) -> Gateway:
    """Its listener with the store in memory."""
    return Gateway(busy, "memory", upstream)


def fresh() -> str:
    """A token that was not used before."""
    return tokens.token("support", jti=secrets.token_urlsafe(12))


@pytest.mark.parametrize("era", [LEGACY, MODERN])
def b44_a_token_is_accepted_for_one_single_use_call(gateway: Gateway, era: str) -> None:
    token, body = fresh(), call(era, "crm.get_customer", {"query": "x"})
    gateway.post(message(era, "tools/list"), token, era).forwarded()
    gateway.post(body, token, era).forwarded(body)
    for _ in range(2 * WORKERS):
        exchange = gateway.post(body, token, era)
        exchange.refused(401, 401, "needs_review")
        assert exchange.record["reason"] == "token_used" and exchange.record["next_action"]
        assert 'error="invalid_token"' in challenges(exchange.response.headers)["Bearer"]
    other = call(era, "crm.search_customers", {"query": "x"})
    gateway.post(other, token, era).forwarded(other)
    gateway.post(body, fresh(), era).forwarded(body)


def b44_of_many_concurrent_calls_one_passes(gateway: Gateway, upstream: Upstream) -> None:
    for _ in range(10):
        token = fresh()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: client.send(gateway.port, post(BODY, token)), range(8)))
        assert sorted(answer.status for answer in answers) == [200] + [401] * 7
        assert len(gateway.lines(8)) == len(answers) and len(upstream.take().requests) == 1


def b44_a_proof_is_accepted_for_one_single_use_call(gateway: Gateway) -> None:
    token = bound()
    used = proof(token)
    gateway.send(dpop.request(BODY, token, used)).forwarded(BODY)
    for _ in range(2 * WORKERS):
        exchange = gateway.send(dpop.request(BODY, token, used))
        exchange.refused(401, None, "needs_review")
        assert exchange.record["reason"] == "dpop_replayed"
    gateway.send(dpop.request(BODY, token, proof(token))).forwarded(BODY)


def test_without_the_store_single_use_calls_are_refused(busy: Envoy, upstream: Upstream) -> None:
    exchange = Gateway(busy, "nowhere", upstream).post(BODY, fresh())
    exchange.refused(503, 503, "blocked")
    assert exchange.record["reason"] == "store_unavailable" and "store" in exchange.record["next_action"]
    assert exchange.response.header("retry-after") == "5"


def test_observe_mode_does_not_use_tokens_up(busy: Envoy, upstream: Upstream) -> None:
    gateway, token = Gateway(busy, "observe", upstream), fresh()
    for _ in range(3):
        exchange = gateway.post(BODY, token)
        assert exchange.status == 200 and exchange.received.json == BODY
