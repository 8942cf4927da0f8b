"""Several Envoys in front of one server share a key, and store nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import envoy_config, tokens
from .harness.answers import json_answer, result
from .harness.envoy import Envoy
from .harness.envoy_config import Cluster
from .harness.handles import (
    SERVERS,
    SESSION,
    SESSION_HEADER,
    TASK,
    HandleGateway,
    begin,
    ping,
)
from .harness.messages import LEGACY, call, rpc
from .harness.upstream import Upstream

KEYS = {"first": None, "second": None, "stranger": "another secret of the tests, as long"}


@pytest.fixture(scope="module")
def envoys(
    clusters: dict[str, Cluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Envoy]]:
    """Two with the same key, and one with another."""
    running: dict[str, Envoy] = {}
    try:
        for name, key in KEYS.items():
            with pytest.MonkeyPatch.context() as patch:
                if key is not None:
                    patch.setitem(envoy_config.ENVIRONMENT, "MCP_AUTH_KEY", key)
                # Two workers each: they share nothing either.
                running[name] = Envoy(tmp_path_factory.mktemp(name), SERVERS, clusters, concurrency=2)
        yield running
        for envoy in running.values():
            envoy.check()
    finally:
        for envoy in running.values():
            envoy.stop()


@pytest.fixture
def replicas(envoys: dict[str, Envoy], upstream: Upstream) -> dict[str, HandleGateway]:
    """The same listener of each."""
    return {name: HandleGateway(envoy, "crm", upstream) for name, envoy in envoys.items()}


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def b24_a_session_goes_on_at_another_replica(replicas: dict[str, HandleGateway], method: str) -> None:
    token = tokens.support()
    held = begin(replicas["first"], token)
    status = 200 if method == "POST" else 405
    for name in ("first", "second") * 3:
        received = ping(replicas[name], method, token, [(SESSION_HEADER, held)]).forwarded(status=status)
        assert received.header(SESSION_HEADER) == SESSION
    assert begin(replicas["second"], token) == held
    other = ping(replicas["second"], method, tokens.support(sub="user-bob"), [(SESSION_HEADER, held)])
    other.refused(404, -32001, "blocked")


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def b24_a_session_under_another_key_is_unknown(replicas: dict[str, HandleGateway], method: str) -> None:
    token = tokens.support()
    for made, asked in (("first", "stranger"), ("stranger", "first")):
        held = begin(replicas[made], token)
        exchange = ping(replicas[asked], method, token, [(SESSION_HEADER, held)])
        exchange.refused(404, -32001, "blocked")


def b24_a_task_goes_on_at_another_replica(replicas: dict[str, HandleGateway]) -> None:
    token = tokens.support()
    replicas["first"].upstream.answer = json_answer(result({"task": {"taskId": TASK}}))
    exchange = replicas["first"].post(call(LEGACY, "crm.get_customer", task={}), token)
    held = replicas["first"].hold(exchange.response.rpc()["result"]["task"]["taskId"])
    body = rpc("tasks/get", {"taskId": held})
    assert replicas["second"].post(body, token).forwarded().json["params"]["taskId"] == TASK
    exchange = replicas["stranger"].post(body, token)
    assert exchange.refused(200, -32602, "blocked").record["reason"] == "unknown_task"
