"""Several Envoys with one store: a proof counts once for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from .harness.dpop import bound, request
from .harness.envoy import Envoy
from .harness.envoy_config import Cluster, Listener
from .harness.gateway import Gateway
from .harness.messages import LEGACY, call
from .harness.policy import policy
from .harness.upstream import Upstream
from .layers.etcd import Etcd

LISTENERS = {"crm": Listener(policy(dpop="required", store={"etcd": {"cluster": "etcd"}}))}


@pytest.fixture(scope="module")
def envoys(clusters: dict[str, Cluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Envoy]]:
    """Two replicas, of two workers each, with one etcd."""
    with ExitStack() as stack:
        etcd = stack.enter_context(closing(Etcd(tmp_path_factory.mktemp("etcd"))))
        shared = {**clusters, "etcd": Cluster(etcd.port)}
        running = []
        for name in ("first", "second"):
            running.append(Envoy(tmp_path_factory.mktemp(name), LISTENERS, shared, concurrency=2))
            stack.callback(running[-1].stop)
        yield running
        for envoy in running:
            envoy.check()


def test_a8_a_proof_counts_once_for_all_replicas(envoys: list[Envoy], upstream: Upstream) -> None:
    replicas = [Gateway(envoy, "crm", upstream) for envoy in envoys]
    for first, others in ((0, (1, 0, 0, 1)), (1, (0, 1, 1, 0))):
        proven = request(call(LEGACY, "crm.get_customer", {"query": "x"}), bound(), era=LEGACY)
        replicas[first].send(proven).forwarded()
        for other in others:
            exchange = replicas[other].send(proven).refused(401, None, "needs_review")
            assert exchange.record["reason"] == "dpop_replayed"
